"""(b) Near-duplicates: texts of which a share was copied many times with a few words changed."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.evidence import mixes
from benchmarks.evidence.contestants import compared, kde
from benchmarks.evidence.corpora.text import text_corpus
from benchmarks.evidence.measuring import measured
from benchmarks.evidence.pictures import Panel, draw_panels
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.table import BEST_SIMPLE, Table
from benchmarks.evidence.trials import Split
from tsds_stream.comparison.intervals import Interval

COPIED: Final = {"no copies": 0.0, "1% copied": 0.01, "5% copied": 0.05, "10% copied": 0.1}
SIGMAS: Final = (0.2, 0.3, 0.4, 0.5, 0.6, 0.75, 0.9)
SWEPT: Final = ("no copies", "5% copied")
DOCUMENTS, TARGETS, HELD_OUT, BUDGET = 20_000, 200, 500, 1000


def sigma_name(sigma: float) -> str:
    return f"kde, sigma {sigma}"


def run(seed: int, quick: bool) -> list[Finding]:
    """Every method with every share of copies; the sweep of sigma without and with copies."""
    mix = mixes.TRIED if quick else mixes.text(seed)
    size = (2000, 50, 100) if quick else (DOCUMENTS, TARGETS, HELD_OUT)
    split = Split(text_corpus(), mix, seed, *size, copied=max(COPIED.values()))
    found = []
    for condition, copied in COPIED.items():
        trial = split.trial(100 if quick else BUDGET, size[1], copied)
        asked = compared()
        if condition in SWEPT:
            asked |= {sigma_name(sigma): kde(sigma=sigma) for sigma in SIGMAS}
        found += [Finding(condition, name, measured(trial, method)) for name, method in asked.items()]
    return found


def draw(results: Results, path: Path) -> None:
    """What is distinct, and the loss, along the share of copies; the loss along sigma."""
    along = [(100 * copied, condition) for condition, copied in COPIED.items()]
    shown = ["kde", "turns", "uniform", "round_robin", "dsir", "nearest", BEST_SIMPLE]

    def loss(condition: str, method: str) -> Interval | None:
        return results.difference(condition, method, BEST_SIMPLE, "loss", 100)

    def of_sigma(sigma: str, condition: str) -> Interval | None:
        return loss(condition, sigma)

    share = ("documents copied, %", "distinct share of the selection")
    excess = f"log perplexity above {BEST_SIMPLE}, %"
    draw_panels(
        path,
        [
            Panel("What is selected twice", share, along, shown, partial(results.mean, figure="distinct")),
            Panel("What that costs", (share[0], excess), along, shown[:5], loss, differences=True),
            Panel("The kernel's width", ("sigma", excess), [(s, sigma_name(s)) for s in SIGMAS], SWEPT, of_sigma),
        ],
    )


TABLE: Final = Table(
    name="near_duplicates",
    title="Near-duplicates",
    asks=f"""What a pool full of near-copies does to a selection, and what prevents it. {DOCUMENTS:,} documents of 23
domains, {TARGETS} targets of three or four of them, {HELD_OUT} held out; of 0, 1, 5 or 10% of the documents 10 to 100
copies with 2, 5 or 10% of the words deleted, replaced or inserted, embedded like any other text. All methods select
the tokens of {BUDGET:,} documents. Distinct: share of the selected documents that go back to different ones.
Perplexity: of the held-out texts, under a Kneser–Ney trigram model trained on the selection. Differences: 100 × the
difference in log perplexity, negative is better.""",
    seeds=len(mixes.TEXT),
    run=run,
    prepare=text_corpus,
    draw=draw,
)
