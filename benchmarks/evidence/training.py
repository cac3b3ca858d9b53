"""(g) Training: what two learners make of equal numbers of selected tokens, from pools of two sizes."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from benchmarks.evidence import mixes
from benchmarks.evidence.corpora.text import text_corpus
from benchmarks.evidence.measuring import measured
from benchmarks.evidence.page import row_of, written
from benchmarks.evidence.pictures import Panel, draw_panels
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.table import BEST_SIMPLE, COLUMNS, Column, Table
from benchmarks.evidence.trials import SEED, Split, Trial
from tsds_stream.comparison.intervals import Interval
from tsds_stream.comparison.methods import method_of
from tsds_stream.comparison.words import Lexicon, Words
from tsds_stream.selection.arithmetic import Int64

if TYPE_CHECKING:
    from benchmarks.evidence.learning.transformer import Coding, Transformer

POOLS: Final = (  # name, documents, share that is copied
    ("20,000", 20_000, 0.0),
    ("20,000, 5% copied", 20_000, 0.05),
    ("80,000", 80_000, 0.0),
    ("80,000, 1% copied", 80_000, 0.01),
)
METHODS: Final = ("kde", "turns", "uniform", "round_robin", BEST_SIMPLE, "nearest", "dsir", "random")
CONTINUED: Final = ("kde", "turns", BEST_SIMPLE, "nearest", "random")  # those that the transformer learns from,
TRAINED_ON: Final = tuple(name for name, _, _ in POOLS[:3])  # and the pools
TRANSFORMERS: Final = 3  # the first seeds
TARGETS, HELD_OUT, BUDGET = 200, 500, 1000
FIRST, FURTHER = 300 * 1024, 96 * 1024  # predictions of words, from nothing and on a selection
_BASE_TEXTS: Final = 4000
_RATE: Final = 5e-4  # of learning, on a selection
LOSS: Final = "transformer loss"


def prepare() -> None:
    """The corpus, and a sentence where torch is missing."""
    if find_spec("torch") is None:
        raise SystemExit("the table of training needs torch: pip install 'tsds-stream[transformer]'")
    text_corpus()


def run(seed: int, quick: bool) -> list[Finding]:
    """The n-gram model on all selections, and for some seeds the transformer on some."""
    mix = mixes.TRIED if quick else mixes.text(seed)
    share = 20 if quick else 1
    sizes = (50, 100) if quick else (TARGETS, HELD_OUT)
    learner = Continued(seed, mix, share) if seed < (1 if quick else TRANSFORMERS) else None
    found = []
    for documents in dict.fromkeys(documents for _, documents, _ in POOLS):
        pools = {name: copied for name, size, copied in POOLS if size == documents}
        split = Split(text_corpus(), mix, seed, documents // share, *sizes, copied=max(pools.values()))
        for name, copied in pools.items():
            trial = split.trial(BUDGET // share, sizes[0], copied)
            for method in METHODS:
                chosen = method_of(method).select(trial.task)
                figures = measured(trial, Chosen(chosen))
                if learner is not None and name in TRAINED_ON and method in CONTINUED:
                    figures[LOSS] = learner.loss(trial, chosen)
                found.append(Finding(name, method, figures))
            if learner is not None and name in TRAINED_ON:
                found.append(Finding(name, "not trained further", {LOSS: learner.loss(trial, None)}))
    return found


class Chosen:
    """Documents that were selected before, as a method."""

    about, needs_texts = "selected before", False

    def __init__(self, rows: Int64) -> None:
        self._rows = rows

    def select(self, task: object) -> Int64:
        """The same of every task."""
        return self._rows


class Continued:
    """A transformer trained on domains outside the mix, and further on selections: the same start for all of a seed.

    Its words are the most frequent ones of the first pool.
    """

    def __init__(self, seed: int, mix: mixes.Mix, share: int) -> None:
        corpus, random = text_corpus(), np.random.default_rng((SEED, seed, 2))
        others = np.concatenate([rows for name, rows in corpus.of_domain.items() if name not in mix])
        rows = random.choice(others, _BASE_TEXTS // share, replace=False)
        self._texts = [corpus.texts[row] for row in rows.tolist()]
        self._seed, self._share = seed, share
        self._start: tuple[Transformer, Coding] | None = None

    def loss(self, trial: Trial, chosen: Int64 | None) -> float:
        """Of the held-out targets, per word, after training on the chosen documents; without: before it."""
        from benchmarks.evidence.learning.transformer import loss_of, trained

        pool, held_out = trial.task.pool.words, trial.held_out.words
        assert pool is not None
        assert held_out is not None
        model, coding = self._start = self._start or self._from_nothing(pool)
        if chosen is not None:
            order = np.random.default_rng(self._seed).permutation(np.sort(chosen))
            stream = coding.stream(pool.take(order))
            model = trained(model, stream, FURTHER // self._share, self._seed, _RATE)
        return loss_of(model, coding.stream(held_out))

    def _from_nothing(self, pool: Words) -> tuple[Transformer, Coding]:
        from benchmarks.evidence.learning.transformer import Coding, fresh, trained

        coding = Coding.of(pool)
        texts = coding.stream(Lexicon().encode(self._texts))
        return trained(fresh(coding.size, self._seed), texts, FIRST // self._share, self._seed), coding


def transformer_difference(results: Results, pool: str, method: str) -> Interval | None:
    """Of a method's loss to that of the best simple rule, x 100."""
    return results.difference(pool, method, BEST_SIMPLE, LOSS, 100)


def notes(results: Results) -> list[str]:
    """What the transformer learnt."""
    pools = [pool for pool in results.conditions if pool in TRAINED_ON]
    heads = ["pool", *CONTINUED, "not trained further"]
    lines = [f"**The transformer**, {TRANSFORMERS} seeds: 100 × (loss − that of {BEST_SIMPLE}), negative is better; "
             f"under {BEST_SIMPLE} the loss itself.", "", row_of(heads), f"|{'---|' * len(heads)}"]  # fmt: skip
    for pool in pools:
        cells = []
        for method in heads[1:]:
            difference, loss = transformer_difference(results, pool, method), results.mean(pool, method, LOSS)
            cells.append(written(difference) if difference else f"{loss.mean:.3f}" if loss else "")
        lines.append(row_of([pool, *cells]))
    return [*lines, "", *undecided(results, pools), ""]


def undecided(results: Results, pools: list[str]) -> list[str]:
    """What the transformer does not show."""
    same = [
        f"{method} ({pool})"
        for method in CONTINUED
        for pool in pools
        if (told := transformer_difference(results, pool, method)) and not told.decided
    ]
    return [
        f"What does not hold: {TRANSFORMERS} seeds show no difference to {BEST_SIMPLE} for {', '.join(same)}."
    ] * bool(same)


def draw(results: Results, path: Path) -> None:
    """Both learners' differences to the best simple rule, pool by pool."""
    places = [(place, pool) for place, (pool, _, _) in enumerate(POOLS, 1)]
    names = [name for name in METHODS if name != BEST_SIMPLE]
    ticks = "pool: " + ", ".join(f"{place} {pool}" for place, pool in places)

    def ngram(pool: str, method: str) -> Interval | None:
        return results.difference(pool, method, BEST_SIMPLE, "loss", 100)

    label = f"loss above {BEST_SIMPLE}, %"
    panels = [
        Panel("Kneser–Ney", (ticks, label), places, names, ngram, differences=True),
        Panel("Transformer", ("pool, as on the left", label), places[:3],
              [name for name in names if name in CONTINUED], partial(transformer_difference, results),
              differences=True),
    ]  # fmt: skip
    draw_panels(path, panels, columns=2)


TABLE: Final = Table(
    name="training",
    title="Training",
    asks=f"""What two learners make of the tokens of {BUDGET:,} documents that each method selects for {TARGETS} targets
of three or four of 23 domains, from pools of 20,000 and 80,000 documents: as they come, and with 5% or 1% of them
copied 10 to 100 times with some words edited. Loss: negative log-likelihood per word of {HELD_OUT} held-out texts.

The first learner is a Kneser–Ney trigram model that sees nothing but the selection. The second (first
{TRANSFORMERS} seeds, {len(CONTINUED)} methods, three pools) is a transformer of 1.1 million parameters that has learnt
from {FIRST:,} words of other domains than the targets' and goes on with {FURTHER:,} words of the selection, somewhat
more than it has: the same start, as many steps and the same rate for every method. It is tiny, and so is what it has
read: it shows whether the order of the methods depends on the learner, not what a large model gains. Its rare words
share 96 numbers, so that its losses and those of the n-gram model cannot be compared with each other.
Needs torch (`pip install 'tsds-stream[transformer]'`).""",
    seeds=6,
    run=run,
    prepare=prepare,
    draw=draw,
    columns=(*COLUMNS, Column(LOSS, LOSS, ".3f")),
    notes=notes,
    folder="learning",
)
