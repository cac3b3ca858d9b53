"""(a) Ground truth: selections whose right mix is known, and plans whose optimum a linear program finds."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.evidence import mixes
from benchmarks.evidence.caps import against_linear_program, cap_trial
from benchmarks.evidence.corpora.images import images
from benchmarks.evidence.image_trials import ImageSplit
from benchmarks.evidence.measuring import measured
from benchmarks.evidence.pictures import Panel, draw_panels
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.table import BEST_SIMPLE, COLUMNS, Column, Table
from benchmarks.evidence.trials import Trial
from tsds_stream.comparison.methods import method_of
from tsds_stream.selection.settings import Regularizer

METHODS: Final = ("kde", "turns", "uniform", "tv", "top", "round_robin", BEST_SIMPLE, "nearest", "random")
DOCUMENTS, TARGETS, BUDGETS, COPIED = 12_000, 100, (100, 300), 0.05
PROGRAM: Final = "plans beside a linear program"
_PLANNED: Final = (240, 20, 30)  # documents, targets and budget that a linear program can manage
_REGULARIZERS: Final[tuple[Regularizer, ...]] = ("kde", "uniform")


def run(seed: int, quick: bool) -> list[Finding]:
    """Digits without and with noisy copies, caps, and the linear program."""
    documents, targets, budgets = (2000, 50, (50, 100)) if quick else (DOCUMENTS, TARGETS, BUDGETS)
    mix = mixes.TRIED_DIGITS if quick else mixes.digits(seed)
    first = 1000 if quick else 0  # other caps than those of the table
    clean, copied = (ImageSplit(mix, seed, documents, targets, share) for share in (0.0, COPIED))
    found: list[Finding] = []
    for budget in budgets:
        found += _compared(f"digits, {budget} of {documents:,}", clean.trial(budget))
        found += _compared(f"digits with noisy copies, {budget} of {documents:,}", copied.trial(budget))
    for budget in budgets:
        found += _compared(f"caps, {budget} of {documents:,}", cap_trial(first + seed, documents, targets, budget))
    for regularizer in _REGULARIZERS:
        optimum = against_linear_program(first + seed, regularizer, *_PLANNED)
        found.append(Finding(PROGRAM, regularizer, {"excess": optimum.excess, "difference": optimum.difference}))
    return found


def _compared(condition: str, trial: Trial) -> Iterator[Finding]:
    for name in METHODS:
        yield Finding(condition, name, measured(trial, method_of(name)))


def draw(results: Results, path: Path) -> None:
    """How far each method's mix is from the true one, and the error of a classifier."""
    digits = [(float(c.split(", ")[1].split()[0]), c) for c in results.conditions if c.startswith("digits,")]
    caps = [(float(c.split(", ")[1].split()[0]), c) for c in results.conditions if c.startswith("caps,")]
    shown = [name for name in METHODS if name not in ("top", "tv")]
    mix, error = (partial(results.mean, figure=figure) for figure in ("mix distance", "error"))
    draw_panels(
        path,
        [
            Panel("Digits: distance of the mix", ("selected", "distance to the true mix, 0 to 2"), digits, shown, mix),
            Panel("Digits: what it teaches", ("selected", "error of a classifier"), digits, shown, error),
            Panel("Caps: distance of the mix", ("selected", "distance to the true mix, 0 to 2"), caps, shown, mix),
        ],
    )


TABLE: Final = Table(
    name="ground_truth",
    title="Ground truth",
    asks=f"""Selections whose right answer is known. Digits (MNIST, the 64 leading principal components of the pool):
{TARGETS} targets, four digits in the proportions .4, .3, .2 and .1, other ones for each seed; from {DOCUMENTS:,} images
of all ten digits {BUDGETS[0]} or {BUDGETS[1]} are selected; also with 10 to 100 noisy copies of {COPIED:.0%} of them.
Error: of logistic regression that learnt from the selection, asked about as many images of each of the four digits.
Caps: the same with three caps on a sphere of 64 dimensions. Mix distance: sum of the differences between the shares of
selection and targets, 0 to 2. Last, plans over {_PLANNED[0]} documents beside the optimum that a linear program finds:
relative excess of the objective, and total variation between the two distributions over documents. Differences: of
the mix distance, negative is better.""",
    seeds=10,
    run=run,
    prepare=images,
    columns=(*COLUMNS, Column("excess", "excess", ".0e"), Column("difference", "total variation", ".0e")),
    compared="mix distance",
    difference="Δ mix",
    unit=1.0,
    draw=draw,
)
