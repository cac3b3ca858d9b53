"""(h) Streaming: what following a stream gives, against making the selection anew, keeping, and forgetting."""

from __future__ import annotations

from math import exp
from pathlib import Path
from statistics import fmean
from typing import Final

import numpy as np

from benchmarks.evidence import mixes
from benchmarks.evidence.corpora.text import text_corpus
from benchmarks.evidence.page import row_of, written
from benchmarks.evidence.pictures import Panel, draw_panels
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.streams.following import (
    Rows,
    Step,
    arrived,
    ascending,
    entered,
    followed,
    from_scratch,
    part_of,
)
from benchmarks.evidence.streams.orders import WIDTH, in_waves, streamed
from benchmarks.evidence.table import Column, Table
from benchmarks.evidence.trials import SEED, Split, Trial
from tsds_stream.comparison.intervals import Interval
from tsds_stream.comparison.measures import log_perplexity

RULES: Final = ("kde", "turns")
SHUFFLED, WAVES, COPIED = "shuffled", "in waves", "in waves, copies"
LENGTH, POINTS, REVISIONS = 40_000, 8, 40
TARGETS, HELD_OUT, BUDGET = 200, 500, 1000
_COPIED: Final = 0.05
_COPYABLE: Final = 0.3625  # documents in lengths of the stream which, 5% of them copied, fill it
_WINDOW: Final = 2  # points
KEPT, WINDOW, BLOCKS, SCRATCH, FRESH, DRAWN = (
    "kept from the first point",
    "sliding window",
    "block by block",
    "from scratch",
    "fresh seed",
    "multinomial",
)
_OTHERS: Final = (WINDOW, KEPT, BLOCKS)
_COSTS: Final = ("seconds", "seconds at the end")


def run(seed: int, quick: bool) -> list[Finding]:
    """Three streams of one mix."""
    mix = mixes.TRIED if quick else mixes.text(seed)
    length, targets, held_out, budget = (4000, 50, 100, 100) if quick else (LENGTH, TARGETS, HELD_OUT, BUDGET)
    found: list[Finding] = []
    for copied in (0.0, _COPIED):
        documents = round(length * _COPYABLE) if copied else length
        split = Split(text_corpus(), mix, seed, documents, targets, held_out, copied)
        trial = split.trial(budget, targets, copied)
        waves = in_waves(trial.domains, np.random.default_rng((SEED, seed, 1)))
        orders = {COPIED: waves} if copied else {SHUFFLED: np.arange(len(waves)), WAVES: waves}
        for condition, order in orders.items():
            found += _followed(streamed(trial, order, length, calibration=length // POINTS), condition)
    return found


def _followed(trial: Trial, condition: str) -> list[Finding]:
    """All selections along one stream."""
    task, length = trial.task, len(trial.task.pool)
    spacing, every = length // POINTS, length // REVISIONS
    points = list(range(spacing, length + 1, spacing))
    found = []
    for rule in RULES:
        fresh = {FRESH: "coordinated", DRAWN: "multinomial"} if rule == "kde" else {}
        steps = list(followed(task, rule, every, tuple(fresh.values())))
        at = {step.seen: step for step in steps}
        anew = [from_scratch(task, rule, seen) for seen in points]
        here = {seen: at[seen].rows for seen in points}
        found.append(Finding(condition, rule, _quality(trial, here) | _turnover(steps, None, spacing)))
        found.append(Finding(condition, f"{rule}, {SCRATCH}", {
            "same digest": fmean(step.digest == at[step.seen].digest for step in anew),
            "seconds": fmean(step.seconds for step in anew),
            "seconds at the end": anew[-1].seconds,
        }))  # fmt: skip
        for name, mode in fresh.items():
            found.append(Finding(condition, f"{rule}, {name}", _turnover(steps, mode, spacing)))
        others: dict[str, dict[int, Rows]] = {
            WINDOW: {seen: part_of(task, rule, max(0, seen - _WINDOW * spacing), seen) for seen in points},
            KEPT: dict.fromkeys(points, here[points[0]]),
            BLOCKS: {length: set().union(*(part_of(task, rule, p - spacing, p, 1 / POINTS) for p in points))},
        }
        for name, selections in others.items():
            found.append(Finding(condition, f"{rule}, {name}", _quality(trial, selections)))
    selections = {seen: part_of(task, "random", 0, seen) for seen in points}
    found.append(Finding(condition, "random", _quality(trial, selections)))
    return found


def _quality(trial: Trial, selections: dict[int, Rows]) -> dict[str, float]:
    """Loss of the held-out targets at each point of the stream, and, where all points are known, its mean."""
    assert trial.vocabulary is not None
    figures, known = {}, {}
    for seen, selected in selections.items():
        rows = frozenset(selected)
        if rows not in known:
            part = trial.task.pool.part(ascending(selected))
            known[rows] = log_perplexity(part, trial.held_out, trial.vocabulary)
        figures[f"loss at point {seen * POINTS // len(trial.task.pool)}"] = known[rows]
    last = ascending(selections[max(selections)])
    figures["perplexity"] = exp(figures[f"loss at point {POINTS}"])
    figures["distinct"] = len(np.unique(trial.sources[last])) / len(last)
    if len(selections) == POINTS:
        figures["loss"] = fmean(figures[f"loss at point {point}"] for point in range(1, POINTS + 1))
    return figures


def _turnover(steps: list[Step], mode: str | None, spacing: int) -> dict[str, float]:
    """From the first point on, mean over the revisions: what entered, and what of that had only just arrived."""
    selections = [step.rows if mode is None else step.drawn[mode] for step in steps]
    pairs = [
        (entered(before, after), arrived(after, last.seen))
        for last, before, after in zip(steps, selections, selections[1:], strict=False)
        if last.seen >= spacing
    ]
    figures = {"entered": fmean(pair[0] for pair in pairs), "arrived": fmean(pair[1] for pair in pairs)}
    figures["avoidable"] = figures["entered"] - figures["arrived"]
    if mode is None:
        figures["seconds"] = fmean(step.seconds for step in steps)
        figures["seconds at the end"] = fmean(step.seconds for step in steps[-POINTS // 2 :])
    return figures


def loss_above(results: Results, condition: str, method: str, rule: str, point: int) -> Interval | None:
    """By how much a selection's loss at a point is above that of the rule that follows the stream, 100 x log."""
    return results.difference(condition, method, rule, f"loss at point {point}", 100)


def notes(results: Results) -> list[str]:
    """What was found, what was not, and the losses along the streams relative to the selection that follows them."""
    lines = [*_found(results), "", *_not_found(results), ""]
    for rule in RULES:
        lines += [f"**Along the stream, against {rule}**: 100 × (log perplexity − its log perplexity) after each "
                  f"{LENGTH // POINTS:,} documents; positive: worse than following the stream.", ""]  # fmt: skip
        heads = ["stream", "selection", *map(str, range(1, POINTS + 1))]
        lines += [row_of(heads), f"|{'---|' * len(heads)}"]
        for condition in results.conditions:
            for method in (*(f"{rule}, {other}" for other in _OTHERS), "random"):
                found = [loss_above(results, condition, method, rule, point) for point in range(1, POINTS + 1)]
                lines.append(row_of([condition, method, *("" if one is None else written(one) for one in found)]))
        lines.append("")
    return lines


def _found(results: Results) -> list[str]:
    """In a sentence for each stream and rule."""
    lines = []
    for condition in results.conditions:
        for rule in RULES:
            anew = f"{rule}, {SCRATCH}"
            same = _mean(results, condition, anew, "same digest")
            ratio, last = (
                _mean(results, condition, anew, one) / _mean(results, condition, rule, one) for one in _COSTS
            )
            text = (
                f"* **{condition}, {rule}**: from scratch the selection is the same at {same:.0%} of the points and "
                f"takes {ratio:.0f} times the processor time on average, {last:.0f} times at the end. "
                f"{_mean(results, condition, rule, 'avoidable'):.2%} of a selection is replaced without need"
            )
            if rule == "kde":
                fresh, drawn = (_mean(results, condition, f"{rule}, {one}", "avoidable") for one in (FRESH, DRAWN))
                text += f" ({fresh:.0%} with a fresh seed, {drawn:.0%} drawn independently)"
            ends = [(other, loss_above(results, condition, f"{rule}, {other}", rule, POINTS)) for other in _OTHERS]
            costs = ", ".join(f"{other} {written(interval)}" for other, interval in ends if interval is not None)
            lines.append(f"{text}. Loss at the end above its own, %: {costs}.")
    return lines


def _not_found(results: Results) -> list[str]:
    """Where following the stream is not better, and what the table cannot say."""
    equal = [
        f"{rule}, {other} ({condition})"
        for condition in results.conditions
        for rule in RULES
        for other in _OTHERS
        if (interval := loss_above(results, condition, f"{rule}, {other}", rule, POINTS)) is not None
        and not (interval.low is not None and interval.low > 0)
    ]
    seconds = max(_mean(results, c, f"{rule}, {SCRATCH}", _COSTS[1]) for c in results.conditions for rule in RULES)
    return [
        f"What does not hold: at the end, following the stream is not shown to be better than {'; '.join(equal)}."
        if equal
        else "At the end, following the stream is better than each of the three others, on every stream.",
        f"A selection from scratch of {LENGTH:,} documents takes {seconds:.1f} s here: at this size nobody needs to "
        "save it; it grows with the stream, a revision while following does not. The targets stay the same throughout: "
        "where what is wanted changes with time, a window forgets what should be forgotten, and this table does not "
        "show it. The order in waves is made up; how much keeping and forgetting lose depends on when the seasons of "
        f"the targets' domains fall. *{BLOCKS}* does not know what it took before, so near-copies come in again from "
        "every block; a version that knows has not been tried. Turnover depends on the budget, the spread and the "
        f"revisions: here {LENGTH // REVISIONS:,} documents each.",
    ]


def _mean(results: Results, condition: str, method: str, figure: str) -> float:
    return fmean(results.values(condition, method, figure).values())


def draw(results: Results, path: Path) -> None:
    """Losses above those of the selection that follows the stream; turnover by revision."""
    places = [(LENGTH // POINTS * point / 1000, str(point)) for point in range(1, POINTS + 1)]
    panels = []
    for rule in RULES:
        for condition in results.conditions:

            def height(point: str, method: str, condition: str = condition, rule: str = rule) -> Interval | None:
                return loss_above(results, condition, method, rule, int(point))

            names = [f"{rule}, {other}" for other in _OTHERS]
            labels = ("thousand documents", f"log perplexity above {rule}, %")
            panels.append(Panel(f"{rule}: {condition}", labels, places, names, height, differences=True))
    draw_panels(path, panels)


TABLE: Final = Table(
    name="streaming",
    title="Streaming",
    asks=f"""What following a stream gives. {LENGTH:,} documents of 23 domains come one after the other, {TARGETS}
targets of three or four of the domains are known from the start, {HELD_OUT} are held out, and the tokens of {BUDGET:,}
documents are selected. Shuffled: the documents come in random order. In waves: every domain has its season
(arrivals around a random moment with a standard deviation of {WIDTH:.0%} of the stream). Copies: 5% of the documents
have 10 to 100 edited copies, which make up two thirds of that stream.

One selector reads the stream and is refreshed after every {LENGTH // REVISIONS:,} documents. Against it: *{SCRATCH}*, a
new selector that reads everything so far at {POINTS} points (same digest: share of the points at which the selection
is the same to the last bit); *{KEPT}*, the selection of the first {LENGTH // POINTS:,} documents for ever;
*{WINDOW}*, the rule applied to the newest {_WINDOW * LENGTH // POINTS:,} documents; *{BLOCKS}*, an eighth of the budget
from each eighth of the stream, never changed (comparable at the end only). *{FRESH}* and *{DRAWN}* draw from the same
transport plan, by the same coordinated rule or independently with replacement, with other randomness at each revision.

Entered: share of a selection that was not in the one of the revision before; arrived: of it, what is new in the stream
since then and cannot have been there; avoidable: the difference. Seconds: of processor time for one revision, of the
{LENGTH // REVISIONS:,} documents since the last one or, from scratch, of all documents so far. Loss: mean over the
points of the log perplexity of the held-out texts under a Kneser–Ney trigram model; perplexity and distinct: at the
end.""",
    seeds=6,
    timed=_COSTS,
    run=run,
    prepare=text_corpus,
    draw=draw,
    columns=(
        Column("same digest", "same digest", ".0%"),
        Column("loss", "loss", ".3f"),
        Column("perplexity", "perplexity", ".1f"),
        Column("distinct", "distinct", ".1%"),
        Column("entered", "entered", ".2%"),
        Column("arrived", "arrived", ".2%"),
        Column("avoidable", "avoidable", ".2%"),
        Column("seconds", "seconds", ".3f"),
        Column("seconds at the end", "seconds at the end", ".3f"),
    ),
    references=RULES,
    notes=notes,
    folder="streams",
)
