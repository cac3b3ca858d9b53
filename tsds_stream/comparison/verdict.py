"""What the numbers say, in sentences: per method against the reference, and over all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import expm1
from typing import Final, Literal

from tsds_stream.comparison.compare import Comparison
from tsds_stream.comparison.intervals import Interval, interval_of

SMALL: Final = 0.01  # differences below do not matter in practice
LARGE: Final = 0.1
FEW_HELD_OUT: Final = 10  # targets; what differs between so few says nothing of others
NARROW: Final = 0.02  # half of an interval that leaves no room for more than a small difference
_NO_SPREAD: Final = 1e-12  # rounding

Outcome = Literal["worse", "better", "same", "open", "one seed", "rigid"]


@dataclass(frozen=True)
class Verdict:
    """A method against the reference.

    Attributes:
        difference: of the natural logarithms of what is compared, method - reference; below 0: the method is better.
        outcome: "worse" or "better" when the 95% interval does not hold 0, "same" when all selections were equally
            good to the last digit, "open" when the interval holds 0, "one seed" when there is none, "rigid" when the
            difference is the same on every split, so that nothing tells how it would be on others.
    """

    method: str
    reference: str
    difference: Interval
    outcome: Outcome
    measure: str

    @property
    def narrow(self) -> bool:
        """Whether the interval leaves room for small differences only."""
        half = self.difference.half
        return half is not None and half <= NARROW

    @property
    def percent(self) -> str:
        """The difference and its interval: "+3.1% (+1.2 to +5.0)"."""
        mean = f"{100 * expm1(self.difference.mean):+.1f}%"
        if self.difference.low is None or self.difference.high is None or self.outcome == "rigid":
            return mean
        return f"{mean} ({_change(self.difference.low)} to {_change(self.difference.high)})"

    @property
    def sentence(self) -> str:
        """What it means."""
        if self.outcome == "same":
            return f"{self.method} does what {self.reference} does: the same {self.measure} on every split."
        if self.outcome == "one seed":
            return f"{self.method}: {self.measure} {self.percent} on one split, which says nothing of chance."
        if self.outcome == "rigid":
            return f"{self.method}: {self.measure} {self.percent} on every split alike, which says nothing of others."
        if self.outcome == "open":
            none = f"{self.method}: no difference to {self.reference}"
            if self.narrow:
                return f"{none} on this data: {self.percent}."
            return f"{none} is shown on this data: {self.percent} leaves it open; more --seeds or targets narrow that."
        winner, loser = (self.reference, self.method) if self.outcome == "worse" else (self.method, self.reference)
        size = abs(self.difference.mean)
        how = ", too little to matter in practice" if size < SMALL else " clearly" if size >= LARGE else ""
        return f"{self.method}: {self.measure} {self.percent}; {winner} beats {loser}{how}."


def verdicts(comparison: Comparison) -> list[Verdict]:
    """Of every method but the reference, in order of the mean difference, best first."""
    found = [_verdict(comparison, name) for name in comparison.methods[1:]]
    return sorted(found, key=lambda one: one.difference.mean)


def differences(comparison: Comparison, method: str, against: str) -> list[float]:
    """Per split, the log of what is compared of one method less that of another."""
    return [trial.scores[method].loss - trial.scores[against].loss for trial in comparison.trials]


def correction(comparison: Comparison) -> float:
    """For splits of the same targets, which overlap: held out over left (Nadeau and Bengio, 2003)."""
    out = len(comparison.trials[0].held_out)
    return out / (comparison.targets - out)


def overall(comparison: Comparison, found: Sequence[Verdict]) -> str:
    """One sentence about the reference and all others."""
    reference = comparison.reference
    parts = []
    if comparison.plan.seeds < 2:
        return "One split gives no interval, so nothing is decided: ask for more --seeds."
    held_out = len(comparison.trials[0].held_out)
    if held_out < FEW_HELD_OUT:
        return f"{held_out} targets held out at a time tell nothing of other targets: bring more of them."
    for outcome, words in (("worse", f"{reference} beats"), ("better", f"{reference} is beaten by")):
        those = [one for one in found if one.outcome == outcome]
        clear = [one.method for one in those if abs(one.difference.mean) >= LARGE]
        some = [_sized(one) for one in those if SMALL <= abs(one.difference.mean) < LARGE]
        if clear or some:
            named = [f"{_listed(clear)} clearly"] if clear else []
            parts.append(f"{words} {_listed([*named, *some])}")
    little = [one.method for one in found if one.outcome in ("worse", "better") and abs(one.difference.mean) < SMALL]
    even = [one.method for one in found if one.outcome == "same" or (one.outcome == "open" and one.narrow)]
    unclear = [one.method for one in found if one.outcome == "open" and not one.narrow]
    rigid = [one.method for one in found if one.outcome == "rigid"]
    if little:
        parts.append(f"{_listed(little)}: a difference too small to matter")
    if even:
        parts.append(f"{_listed(even)}: no difference on this data")
    if unclear:
        parts.append(f"{_listed(unclear)}: no difference is shown on this data, and none is ruled out")
    if rigid:
        parts.append(f"{_listed(rigid)}: the same difference on every split, which says nothing of others")
    if not parts:
        return f"There is nothing to hold {reference} against."
    return "; ".join(parts) + "."


def _verdict(comparison: Comparison, name: str) -> Verdict:
    per_split = differences(comparison, name, comparison.reference)
    difference = interval_of(per_split, correction(comparison))
    outcome: Outcome = "open"
    if max(map(abs, per_split)) < _NO_SPREAD:
        outcome = "same"
    elif difference.low is None:
        outcome = "one seed"
    elif max(per_split) - min(per_split) < _NO_SPREAD:
        outcome = "rigid"
    elif difference.decided:
        outcome = "worse" if difference.mean > 0 else "better"
    measure = "perplexity" if comparison.has_texts else "transport cost"
    return Verdict(name, comparison.reference, difference, outcome, measure)


def _change(log: float) -> str:
    return f"{100 * expm1(log):+.1f}"


def _sized(verdict: Verdict) -> str:
    return f"{verdict.method} by {100 * abs(expm1(verdict.difference.mean)):.0f}%"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
