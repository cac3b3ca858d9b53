"""What the seeds of a table found: figures by condition and method, and their paired differences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tsds_stream.comparison.intervals import Interval, interval_of


@dataclass(frozen=True)
class Finding:
    """One method under one condition, with one seed."""

    condition: str
    method: str
    figures: dict[str, float]


@dataclass(frozen=True)
class Results:
    """Of all seeds of a table.

    Attributes:
        seeds: the findings of each. seconds: what each took.
    """

    seeds: Mapping[int, list[Finding]]
    seconds: Mapping[int, float]

    @property
    def conditions(self) -> list[str]:
        """In the order in which they were measured."""
        return list(dict.fromkeys(finding.condition for found in self.seeds.values() for finding in found))

    def methods(self, condition: str) -> list[str]:
        """Those measured under a condition, in this order."""
        every = (finding for found in self.seeds.values() for finding in found)
        return list(dict.fromkeys(finding.method for finding in every if finding.condition == condition))

    def values(self, condition: str, method: str, figure: str) -> dict[int, float]:
        """By seed, where it was measured."""
        return {
            seed: finding.figures[figure]
            for seed, found in self.seeds.items()
            for finding in found
            if (finding.condition, finding.method) == (condition, method) and figure in finding.figures
        }

    def mean(self, condition: str, method: str, figure: str) -> Interval | None:
        """Over the seeds; none where it was not measured."""
        values = list(self.values(condition, method, figure).values())
        return interval_of(values) if values else None

    def difference(
        self, condition: str, method: str, reference: str, figure: str, unit: float = 1.0
    ) -> Interval | None:
        """Of the method minus the reference, seed by seed, times `unit`; none for the reference itself."""
        own, other = (self.values(condition, name, figure) for name in (method, reference))
        both = [unit * (own[seed] - other[seed]) for seed in own if seed in other]
        return interval_of(both) if both and method != reference else None

    def as_json(self) -> list[dict[str, Any]]:
        """A record of each seed."""
        return [
            {"seed": seed, "seconds": round(self.seconds[seed], 1), "findings": [asdict(one) for one in found]}
            for seed, found in sorted(self.seeds.items())
        ]
