"""Is the selection of one target set changing, and does it still fit the target?"""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream.monitoring.selection_watch.causes import CAUSES, causes_of
from tsds_stream.monitoring.selection_watch.coverage import Coverage
from tsds_stream.monitoring.selection_watch.horizons import DAY, HOUR, Horizons
from tsds_stream.monitoring.selection_watch.mass import Mass, total_variation, turnover
from tsds_stream.monitoring.selection_watch.members import Members
from tsds_stream.monitoring.selection_watch.notice import NAMED, Examples, Notice
from tsds_stream.monitoring.selection_watch.pace import Pace
from tsds_stream.monitoring.selection_watch.recent import Recent
from tsds_stream.monitoring.selection_watch.shares import group_document, source_document
from tsds_stream.monitoring.selection_watch.trend import Trend
from tsds_stream.monitoring.stream_drift import group_targets, shortened
from tsds_stream.records import Json
from tsds_stream.selection.arithmetic import Float64, key_words

_HORIZONS: Final = (("hour", HOUR), ("day", DAY))


class SelectionWatch:
    """What the status document says of one selection. One thread calls; it need not be the engine's.

    Args:
        false_alarm_rate: expected false alarms of `selection_drift` while the live documents double.
        coverage_distance: a target is covered when a selected document lies within it; None: found out.
    """

    def __init__(self, false_alarm_rate: float = 0.01, coverage_distance: float | None = None) -> None:
        self._examples: Examples | None = None
        self._labels: list[str] = []
        self._rows: dict[str, int] = {}
        self._weights: Float64 | None = None  # of the members of the last revision
        self.mass: Mass | None = None  # of the last revision
        self.since = 0  # when it came into force
        self.members = Members()
        self.horizons = Horizons()
        self.coverage = Coverage(coverage_distance)
        self.trend = Trend()
        self.pace = Pace(false_alarm_rate)
        self.recent = Recent()
        self.churn = {cause: {"added": 0, "removed": 0} for cause in CAUSES}
        self.standing: Json | None = None  # what does not depend on the time of day
        self._compared: dict[str, tuple[object, Mass, Json]] = {}

    def taken(self, notice: Notice) -> None:
        """A revision was published."""
        if notice.examples is not None:
            self._take_examples(notice.examples)
        mass = _mass(notice)
        change: Json = {"tv": None, "turnover": None}
        if self.mass is not None:
            change = {"tv": total_variation(self.mass, mass), "turnover": turnover(self.mass, mass)}
            self.horizons.replaced(self.mass, self.since, notice.time)
        self._watch_pace(notice, mass)
        self.mass, self.since = mass, notice.time
        self._take_members(notice)
        self.standing = {**change, **self._fit(notice)}

    def regrouped(self, examples: Examples) -> None:
        """The groups of the targets have other names. Other targets are heard of with the revision that they make."""
        if self.standing is None or self._weights is None or self._examples is None:
            return
        if examples.ids == self._examples.ids:
            self._take_examples(examples)
            named = dict(zip(examples.ids, examples.groups, strict=True))
            far = [{**one, "group": shortened(named[one["id"]])} for one in self.standing["uncovered_targets"]]
            self.standing = {**self.standing, **self._groups(self._weights), "uncovered_targets": far}

    def document(self, now: int) -> Json | None:
        """The part of the status document; None before the first revision."""
        if self.standing is None or self.mass is None:
            return None
        then: Json = {}
        for name, back in _HORIZONS:
            then |= self._against(name, back, now)
        return {
            **self.standing,
            **then,
            "churn": {cause: dict(counts) for cause, counts in self.churn.items()},
            "cost_trend": self.trend.per_hour(),
            "selection_drift": self.pace.document(),
            "entered": list(self.recent.entered),
            "left": list(self.recent.left),
        }

    def _against(self, name: str, back: int, now: int) -> Json:
        """Total variation and turnover against an earlier moment."""
        assert self.mass is not None
        before = self.mass if self.since <= now - back else self.horizons.at(now, back)
        compared = self._compared.get(name)
        if compared is None or compared[0] is not before or compared[1] is not self.mass:
            found: Json = {f"tv_{name}": None, f"turnover_{name}": None}
            if before is not None:
                tv, turned = total_variation(before, self.mass), turnover(before, self.mass)
                found = {f"tv_{name}": tv, f"turnover_{name}": turned}
            self._compared[name] = compared = (before, self.mass, found)
        return compared[2]

    def _take_examples(self, examples: Examples) -> None:
        self._examples = examples
        named = dict(zip(examples.ids, examples.groups, strict=True))
        self._labels = group_targets(examples.ids, examples.vectors, named)
        self._rows = {name: row for row, name in enumerate(examples.ids)}

    def _watch_pace(self, notice: Notice, mass: Mass) -> None:
        self.pace.arrived(notice.record["documents_seen"], notice.departures, len(mass.members))
        provisional = "provisional" in notice.record["reasons"]
        if self.mass is None or provisional or notice.reconfigured or notice.retargeted:
            self.pace.restart(mass, forget=notice.reconfigured)
            if notice.reconfigured or notice.retargeted:
                self.trend.clear()
        else:
            self.pace.look(mass, notice.revision.effective_sample_size or 1.0)
        self.trend.add(notice.time, notice.record["transport_cost"] or 0.0)

    def _take_members(self, notice: Notice) -> None:
        entering, leaving = causes_of(
            (record["id"] for record in notice.entered),
            notice.left,
            arrived=notice.arrived,
            gone=notice.gone,
            reconfigured=notice.reconfigured,
            retargeted=notice.retargeted,
        )
        for cause in entering.values():
            self.churn[cause]["added"] += 1
        for cause in leaving.values():
            self.churn[cause]["removed"] += 1
        when = {"time": notice.time, "revision": notice.record["revision"]}
        self.recent.take(when, notice.entered, notice.upserts, entering, leaving)
        self.members.follow(notice.revision.ids)
        self.members.take(notice.upserts, self._rows)
        if notice.vectors is not None and self._examples is not None:
            self.members.find_nearest(notice.vectors, self._examples.vectors)

    def _fit(self, notice: Notice) -> Json:
        """How the selection fits the target."""
        record, weights = notice.record, notice.revision.weights
        full = not record["short_of_budget"] and "provisional" not in record["reasons"]
        self.coverage.take(notice.distances, full)
        uncovered = self.coverage.uncovered(notice.distances)
        self._weights = weights
        sources, concentration = source_document(self.members.sources, self.members.source, weights)
        return {
            **self._groups(weights),
            "uncovered": len(uncovered),
            "uncovered_targets": [self._far(row, notice) for row in uncovered[:NAMED].tolist()],
            "coverage_distance": self.coverage.distance,
            "coverage_frozen": self.coverage.frozen,
            "truncated_share": record["truncated"] / max(record["targets_active"], 1),
            "sources": sources,
            "source_concentration": concentration,
        }

    def _groups(self, weights: Float64) -> Json:
        """What was asked and what was selected, by group."""
        if self._examples is None:
            return {"groups": [], "named_groups": False, "group_distance": None}
        groups, distance = group_document(self._labels, self._examples.weights, self.members.target, weights)
        return {"groups": groups, "named_groups": any(self._examples.groups), "group_distance": distance}

    def _far(self, row: int, notice: Notice) -> Json:
        assert self._examples is not None
        distance = float(notice.distances[row])
        return {
            "id": self._examples.ids[row],
            "group": shortened(self._examples.groups[row]),
            "distance": distance if np.isfinite(distance) else None,
            "nearest": notice.nearest.get(row),
        }


def _mass(notice: Notice) -> Mass:
    keys = notice.revision.keys
    members = np.sort(key_words(keys)[:, 0]) if keys else np.empty(0, np.uint64)
    return Mass(notice.words, notice.probabilities, members)
