"""A target set that publishes as the engine does, and what its watch is told."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tsds_stream import Selector, SelectorConfig
from tsds_stream.engine.publisher import Body, Publisher, parameters_digest
from tsds_stream.engine.target_set import TargetSet
from tsds_stream.monitoring.selection_watch import Journal, Notice, SelectionWatch
from tsds_stream.records import Document, Json
from tsds_stream.streams.base import Sent

BEGAN = 1_790_000_000_000
SECOND, MINUTE, HOUR = 1000, 60_000, 3_600_000


class Story:
    """Documents in, notices to the watch; the clock moves when the story says so."""

    def __init__(
        self,
        targets: np.ndarray,
        config: SelectorConfig,
        *,
        ids: Sequence[str] | None = None,
        groups: Sequence[str | None] | None = None,
        watch: SelectionWatch | None = None,
    ) -> None:
        names = [f"q{k:03}" for k in range(len(targets))] if ids is None else list(ids)
        selector = Selector(targets, config, target_ids=names)
        self.now = BEGAN
        self.watch = watch or SelectionWatch()
        self.bodies: dict[str, Body] = {}
        self.notice: Notice | None = None
        self.notices = 0
        self._begin(selector, config, dict(zip(names, groups or [None] * len(names), strict=True)), None, {})

    def _begin(
        self,
        selector: Selector,
        config: SelectorConfig,
        groups: dict[str, str | None],
        record: Json | None,
        members: dict[str, Sent],
    ) -> None:
        publisher = Publisher("default", 0.05, "fake", parameters_digest(config), record, members)
        self.one = TargetSet("default", config, selector, publisher, groups=groups)
        self.journal = Journal(self.one)

    @property
    def selector(self) -> Selector:
        return self.one.selector

    def restart(self, config: SelectorConfig | None = None, watch: SelectionWatch | None = None) -> None:
        """Another process takes over what is published, perhaps with other parameters."""
        one = self.one
        if config is not None:
            one.selector.reconfigure(config)
        held = one.publisher._held
        values = zip(held.probabilities.tolist(), held.weights.tolist(), held.keys, held.multiplicities, strict=True)
        members = {
            name: Sent(p, weight, bytes(key).ljust(16, b"\0"), int(m))
            for name, (p, weight, key, m) in zip(held.ids, values, strict=True)
        }
        self.watch = watch or SelectionWatch()
        self._begin(one.selector, config or one.config, one.groups, one.publisher.record, members)

    def add(
        self,
        ids: Sequence[str],
        vectors: np.ndarray,
        timestamps: Sequence[int] | None = None,
        source: str | None = None,
    ) -> None:
        """Live documents, whose text is their id."""
        stamps = None if timestamps is None else np.array(timestamps, np.int64)
        self.selector.add(ids, vectors, timestamps=stamps)
        meta = {} if source is None else {"source": source}
        self.bodies.update((name, Body(f"text of {name}", meta, {})) for name in ids)
        times = [None] * len(ids) if timestamps is None else timestamps
        self.journal.applied([Document(name, timestamp=time) for name, time in zip(ids, times, strict=True)], list(ids))

    def remove(self, ids: Sequence[str]) -> None:
        """Retractions."""
        self.selector.remove(ids)
        self.journal.applied([Document(name, deleted=True) for name in ids], [])

    def publish(self, after: int = SECOND) -> Notice | None:
        """What the engine does when a revision is due; the notice, if there is a new one."""
        self.now += after
        revision = self.selector.refresh()
        if revision is None:
            return None
        prospect = self.one.publisher.prospect(
            revision, self.selector, {}, self.now, lambda ids, keys: [self.bodies[name] for name in ids]
        )
        if prospect is None:
            return None
        self.one.publisher.committed(prospect)
        self.selector.renumber(self.one.publisher.number)
        self.notice = self.journal.published(revision, prospect.publication)
        self.notices += 1
        self.watch.taken(self.notice)
        return self.notice

    def document(self, after: int = 0) -> Json:
        """The watch's document, some time after the last revision."""
        found = self.watch.document(self.now + after)
        assert found is not None
        return found
