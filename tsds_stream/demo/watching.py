"""A sink that lets somebody watch what is published."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from tsds_stream.records import DeadLetter
from tsds_stream.streams.base import Committed, Positions, Publication, Sink


@dataclass(frozen=True, slots=True)
class Sight:
    """One revision as the viewer sees it.

    Attributes:
        seen: usable records so far.
        replaced: share of the selection before that has left.
        held_back: reposts so far of a document of which one is selected that are not selected themselves.
        let_in: those that are selected beside another one.
    """

    number: int
    seen: int
    size: int
    cost: float
    replaced: float
    held_back: int
    let_in: int
    exact: bool
    sigma: float
    digest: str


class WatchedSink:
    """Passes everything on to `sink` and shows every revision after it is durable.

    Args:
        originals: for every repost the document that it repeats.
        arrived: how often a document (or its reposts) has been posted after so many records of the stream.
        show: called with each revision.
    """

    def __init__(
        self,
        sink: Sink,
        originals: Mapping[str, str],
        arrived: Callable[[int], Mapping[str, int]],
        show: Callable[[Sight], object],
    ) -> None:
        self._sink = sink
        self._originals = originals
        self._arrived = arrived
        self._show = show
        self._size = 0
        self.sights: list[Sight] = []

    def recover(self) -> Committed:
        """As the sink."""
        return self._sink.recover()

    def commit(
        self, publications: Sequence[Publication], dead_letters: Sequence[DeadLetter], positions: Positions
    ) -> None:
        """As the sink."""
        self._sink.commit(publications, dead_letters, positions)
        for publication in publications:
            self._see(publication)

    def heartbeat(self, positions: Positions, now: int) -> None:
        """As the sink."""
        self._sink.heartbeat(positions, now)

    def close(self) -> None:
        """As the sink."""
        self._sink.close()

    def _see(self, publication: Publication) -> None:
        record, ids = publication.revision, publication.members[0]
        held_back, let_in = crowding(ids, self._originals, self._arrived(record["documents_seen"]))
        sight = Sight(
            number=record["revision"],
            seen=record["documents_seen"],
            size=record["size"],
            cost=record["transport_cost"],
            replaced=record["removed"] / self._size if self._size else 0.0,
            held_back=held_back,
            let_in=let_in,
            exact=record["exact"],
            sigma=record["sigma"],
            digest=record["digest"],
        )
        self._size = record["size"]
        self.sights.append(sight)
        self._show(sight)


def crowding(ids: Sequence[str], originals: Mapping[str, str], arrived: Mapping[str, int]) -> tuple[int, int]:
    """Reposts held back, and let in, by a selection.

    Args:
        arrived: by original id, how many records of that family are live.
    """
    selected: dict[str, int] = {}
    for name in ids:
        family = originals.get(name, name)
        if family in arrived:
            selected[family] = selected.get(family, 0) + 1
    held_back = sum(arrived[family] - count for family, count in selected.items())
    return held_back, sum(count - 1 for count in selected.values())
