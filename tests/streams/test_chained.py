"""Several sources as one."""

from __future__ import annotations

from collections.abc import Mapping

from tsds_stream.records import Document
from tsds_stream.streams.base import Batch, Positions
from tsds_stream.streams.chained import ChainedSource


class Listed:
    """Names from a list; a position is how many were read."""

    rewindable = True
    rested = False

    def __init__(self, *names: str) -> None:
        self._names, self._next, self.exhausted = names, 0, not names

    def seek(self, positions: Positions | None) -> None:
        self._next = 0 if positions is None else positions["next"]

    def poll(self, limit: int, timeout: float, until: Positions | None = None) -> Batch:
        end = len(self._names) if until is None else until["next"]
        start, self._next = self._next, min(self._next + limit, end)
        self.exhausted = self._next == end
        documents = [Document(name) for name in self._names[start : self._next]]
        return Batch(documents, [], {"next": self._next}, len(documents))

    def unreachable(self, state: Positions | None, committed: Positions) -> str | None:
        return "b was renamed" if "b" in self._names and state != committed else None

    def reaches_back(self, positions: Positions) -> bool:
        return "d" not in self._names or positions["next"] == 0

    def rest(self) -> None:
        self.rested = True

    def lag(self) -> Mapping[str, float]:
        return {"records": float(len(self._names) - self._next)}

    def close(self) -> None:
        self._names = ()


def chain() -> ChainedSource:
    return ChainedSource([Listed("a", "b", "c"), Listed(), Listed("d"), Listed("e", "f")])


def read(source: ChainedSource, limit: int = 2, until: Positions | None = None) -> tuple[str, list[Positions]]:
    names, positions = "", []
    while True:
        batch = source.poll(limit, 0.0, until)
        names += "".join(document.id for document in batch.documents)
        positions.append(batch.positions)
        if source.exhausted:
            return names, positions


def test_sources_are_read_one_after_the_other():
    assert read(chain())[0] == "abcdef"


def test_reading_goes_on_after_any_positions():
    _, places = read(chain(), limit=1)
    for number, place in enumerate(places):
        again = chain()
        again.seek(place)
        first, _ = read(chain(), until=place)
        rest = "" if number == len(places) - 1 else read(again)[0]
        assert first + rest == "abcdef"


def test_what_is_left_is_the_sum_of_all():
    source = chain()
    source.poll(2, 0.0)
    assert source.lag() == {"records": 4.0}


def test_one_source_that_does_not_reach_back_is_enough():
    source = chain()
    assert source.reaches_back({"parts": [{"next": 3}]})
    assert not source.reaches_back({"parts": [{"next": 3}, {"next": 0}, {"next": 1}]})


def test_why_a_state_cannot_go_on_is_what_a_source_says():
    source = chain()
    assert source.unreachable({"parts": [{"next": 1}]}, {"parts": [{"next": 2}]}) == "b was renamed"
    assert source.unreachable({"parts": [{"next": 3}]}, {"parts": [{"next": 3}, {"next": 0}]}) is None


def test_the_source_that_is_being_read_rests():
    first, second = Listed("a"), Listed("b")
    source = ChainedSource([first, second])
    source.poll(1, 0.0)
    source.rest()
    assert (first.rested, second.rested) == (False, True)
