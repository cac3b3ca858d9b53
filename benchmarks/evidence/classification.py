"""(g) Classification: what selected texts without labels are worth to a classifier of few labelled ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from benchmarks.evidence import mixes
from benchmarks.evidence.classifier import Classifier
from benchmarks.evidence.corpora.text import text_corpus
from benchmarks.evidence.learning.latent import Latent
from benchmarks.evidence.pictures import draw_differences
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.table import BEST_SIMPLE, COLUMNS, Column, Table
from benchmarks.evidence.trials import Split
from tsds_stream.comparison.methods import method_of
from tsds_stream.comparison.pool import Targets
from tsds_stream.comparison.words import Words
from tsds_stream.selection.arithmetic import Int64

ANNOTATED: Final = (1000, 3000)
METHODS: Final = ("kde", "turns", "uniform", "round_robin", BEST_SIMPLE, "nearest", "dsir", "random")
POOL, HELD_OUT, BUDGET = 20_000, 1000, 2000
DIRECTIONS: Final = 64
NONE: Final = "no selection"


def joined(seed: int) -> mixes.Mix:
    """Half of one mix and half of another one: five or six labels, never the same two mixes."""
    halves = (mixes.text(seed), mixes.text(seed + 5))
    return {name: sum(half.get(name, 0.0) for half in halves) / 2 for name in sorted({*halves[0], *halves[1]})}


def run(seed: int, quick: bool) -> list[Finding]:
    """Every method with both numbers of annotated examples."""
    mix = mixes.TRIED if quick else joined(seed)
    share = 20 if quick else 1
    most, unseen = max(ANNOTATED) // share, HELD_OUT // share
    split = Split(text_corpus(), mix, seed, POOL // share, most, unseen)
    of_domain = [round(most * part) + round(unseen * part) for part in mix.values()]
    found = []
    for annotated in ANNOTATED:
        trial = split.trial(BUDGET // share, annotated // share)
        pool = trial.task.pool.words
        assert pool is not None
        known, asked = (labelled(part, of_domain) for part in (trial.task.targets, trial.held_out))
        condition = f"{annotated:,} annotated"
        found.append(Finding(condition, NONE, {"macro-F1": taught(known[0], known, asked)}))
        for name in METHODS:
            rows = method_of(name).select(trial.task)
            found.append(Finding(condition, name, {
                "documents": float(len(rows)),
                "on target": float((trial.shares[trial.domains[rows]] > 0).mean()),
                "macro-F1": taught(pool.take(rows), known, asked),
            }))  # fmt: skip
    return found


def labelled(examples: Targets, of_domain: Sequence[int]) -> tuple[Words, Int64]:
    """Texts and labels of a split's targets, whose ids number them domain by domain.

    Args:
        of_domain: how many targets and held-out targets each domain has.
    """
    assert examples.words is not None
    rows = np.array([int(name) for name in examples.ids])
    return examples.words, np.searchsorted(np.cumsum(of_domain), rows, side="right")


def taught(texts: Words, known: tuple[Words, Int64], asked: tuple[Words, Int64]) -> float:
    """Macro-F1 of a logistic regression on labelled texts, with the features that other texts without labels taught."""
    features = Latent(texts, DIRECTIONS).features
    classes = int(known[1].max()) + 1
    classifier = Classifier(features(known[0]), known[1], classes)
    return macro_f1(classifier.probabilities(features(asked[0])).argmax(1), asked[1], classes)


def macro_f1(answers: Int64, labels: Int64, classes: int) -> float:
    """Mean over the classes of 2 · right / (answered + labelled), 0 for a class that stands in neither."""
    right = np.bincount(labels[answers == labels], minlength=classes)
    both = np.bincount(answers, minlength=classes) + np.bincount(labels, minlength=classes)
    return float((2 * right / np.maximum(both, 1)).mean())


def notes(results: Results) -> list[str]:
    """What selection is worth here, and what it is not."""
    lines = []
    for condition in results.conditions:
        over, under, level = [], [], []
        for method in METHODS:
            interval = results.difference(condition, method, NONE, "macro-F1", 100)
            if interval is not None:
                side = level if not interval.decided else over if interval.mean > 0 else under
                side.append(method)
        parts = [("better than", over), ("worse than", under), ("not to be told from", level)]
        found = "; ".join(f"{what} it are {', '.join(names)}" for what, names in parts if names)
        lines.append(f"* **{condition}**, against a representation of the annotated texts alone: {found}.")
    return [
        *lines,
        "",
        "So the comparison with random documents says which method finds related texts, and the comparison with "
        f"*{NONE}* whether related texts are needed at all for a label as easy as this one.",
        "",
    ]


def draw(results: Results, path: Path) -> None:
    """Every method's difference to random documents."""
    label = "100 × macro-F1 above that with random documents"
    draw_differences(results, path, results.conditions, "macro-F1", "random", label)


TABLE: Final = Table(
    name="classification",
    title="Classification",
    asks=f"""What selected texts *without* labels are worth to a classifier. As in the published experiments, some
annotated texts ({" or ".join(f"{number:,}" for number in ANNOTATED)}) are the targets; a representation is learnt from
what is selected for them; a classifier is then trained on the annotated texts in that representation, and tested on
{HELD_OUT:,} others. Labels: the domains of the texts, five or six of 23 (two of the fixed mixes joined, half of each;
a mix takes part in two seeds, so that the intervals are somewhat too narrow), in unequal shares. Pool: {POOL:,}
documents of all domains; the tokens of {BUDGET:,} are selected. The representation is latent semantic analysis of the
selected documents ({DIRECTIONS} directions), the classifier a logistic regression; both are far smaller than the
language models of the published experiments. {NONE.capitalize()}: the representation is learnt from the annotated
texts themselves. The domain of a text is an easy label: a few words give it away. Differences: 100 × macro-F1,
positive is better.""",
    seeds=len(mixes.TEXT),
    run=run,
    prepare=text_corpus,
    draw=draw,
    columns=(*COLUMNS, Column("macro-F1", "macro-F1", ".4f")),
    compared="macro-F1",
    references=("random", BEST_SIMPLE, NONE),
    difference="100 Δ macro-F1",
    notes=notes,
    folder="learning",
)
