"""(f) The number of targets: up to which number each advantage lasts."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.evidence import mixes
from benchmarks.evidence.corpora.text import text_corpus
from benchmarks.evidence.measuring import measured
from benchmarks.evidence.page import row_of, written
from benchmarks.evidence.pictures import Panel, draw_panels
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.table import BEST_SIMPLE, Table
from benchmarks.evidence.trials import Split
from tsds_stream.comparison.intervals import Interval
from tsds_stream.comparison.methods import method_of

NUMBERS: Final = (10, 30, 100, 300, 1000)
BUDGETS: Final = (500, 2000)
COPIED: Final = {"no copies": 0.0, "5% copied": 0.05}
OURS: Final = ("kde", "turns")
OTHERS: Final = ("uniform", "round_robin", BEST_SIMPLE, "nearest", "dsir", "random")
DOCUMENTS, HELD_OUT = 20_000, 500


def condition_of(number: int, budget: int, copies: str) -> str:
    return f"{number} targets, {budget} documents, {copies}"


def run(seed: int, quick: bool) -> list[Finding]:
    """Every method, with every number of targets, at both budgets, without and with copies."""
    mix = mixes.TRIED if quick else mixes.text(seed)
    documents, held_out, share = (2000, 100, 10) if quick else (DOCUMENTS, HELD_OUT, 1)
    split = Split(text_corpus(), mix, seed, documents, max(NUMBERS), held_out, copied=max(COPIED.values()))
    found = []
    for copies, copied in COPIED.items():
        for number in NUMBERS:
            for budget in BUDGETS:
                trial = split.trial(budget // share, number, copied)
                condition = condition_of(number, budget, copies)
                found += [Finding(condition, name, measured(trial, method_of(name))) for name in (*OURS, *OTHERS)]
    return found


def advantage(results: Results, ours: str, condition: str, other: str) -> Interval | None:
    """By how much the other's loss is above ours, 100 × log."""
    return results.difference(condition, other, ours, "loss", 100)


def above_zero(results: Results, ours: str, other: str, budget: int, copies: str) -> str:
    """The numbers of targets at which the whole interval of the advantage lies above 0."""
    found = []
    for number in NUMBERS:
        interval = advantage(results, ours, condition_of(number, budget, copies), other)
        if interval is not None and interval.low is not None and interval.low > 0:
            found.append(number)
    return "all" if len(found) == len(NUMBERS) else ", ".join(map(str, found)) or "none"


def notes(results: Results) -> list[str]:
    """The advantages along the number of targets, in one table for each budget."""
    lines = []
    for ours in OURS:
        for budget in BUDGETS:
            for copies in COPIED:
                heads = [f"{ours} over", *map(str, NUMBERS), "above 0 at"]
                lines += [f"**{ours}, {budget} documents, {copies}**: by number of targets, 100 × the log perplexity "
                          "of the other minus its own, positive is better.", "",
                          row_of(heads), f"|{'---|' * len(heads)}"]  # fmt: skip
                for other in OTHERS:
                    found = [advantage(results, ours, condition_of(n, budget, copies), other) for n in NUMBERS]
                    cells = ["" if one is None else written(one) for one in found]
                    lines.append(row_of([other, *cells, above_zero(results, ours, other, budget, copies)]))
                lines.append("")
    return lines


def draw(results: Results, path: Path) -> None:
    """The advantages along the number of targets."""
    panels = [
        Panel(
            f"{ours}, {budget} documents, {copies}",
            ("targets", "advantage, 100 × log perplexity"),
            [(number, condition_of(number, budget, copies)) for number in NUMBERS],
            OTHERS[:5],
            partial(advantage, results, ours),
            logarithmic=True,
            differences=True,
        )
        for ours in OURS
        for copies in COPIED
        for budget in BUDGETS
    ]
    draw_panels(path, panels, columns=4)


TABLE: Final = Table(
    name="number_of_targets",
    title="The number of targets",
    asks=f"""Where each advantage ends. {DOCUMENTS:,} documents of 23 domains, without copies and with 10 to 100 of 5%
of them; {", ".join(map(str, NUMBERS))} targets of the same mix, the fewer among the more; the tokens of
{" or ".join(map(str, BUDGETS))} documents selected; {HELD_OUT} other targets as the test. Above 0 at: the numbers of
targets at which the whole 95% interval of the advantage lies above 0.""",
    seeds=len(mixes.TEXT),
    run=run,
    prepare=text_corpus,
    draw=draw,
    notes=notes,
)
