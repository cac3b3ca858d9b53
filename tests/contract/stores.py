"""What every place of publication is to a test: sinks that open it as new processes do, and what a reader sees."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.faulty_disk import Crash
from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.base import Positions, Sink

__all__ = ["Crash", "Seen", "Store"]


@dataclass
class Seen:
    """What a reader of the store holds, without any help of the writer.

    Attributes:
        revisions: by set, the revision records, oldest first.
        members: by set, the selection records of the newest revision by id.
        letters: the dead letters, oldest first.
    """

    revisions: dict[str, list[Json]] = field(default_factory=dict)
    members: dict[str, dict[str, Json]] = field(default_factory=dict)
    letters: list[DeadLetter] = field(default_factory=list)


class Store:
    """A place of publication. One process has it at a time: `sink`.

    Attributes:
        points: where a process can be made to die within a commit.
    """

    points: Mapping[str, object]

    @abstractmethod
    def open(self) -> Sink:
        """A sink in a new process; nothing is recovered yet."""

    @abstractmethod
    def positions(self, number: int) -> Positions:
        """Some, later ones for a larger number."""

    @abstractmethod
    def arm(self, sink: Sink, point: str) -> None:
        """Let the process die in its next commit: `Crash` is raised, or the commit comes to its end before."""

    @abstractmethod
    def drop(self, sink: Sink) -> None:
        """The process is gone; nothing of it is closed, but what the system closes."""

    def open_to_readers(self, point: str) -> bool:
        """Whether they see something even before the next process has recovered what this one left."""
        return True

    @abstractmethod
    def seen(self) -> Seen:
        """What a reader sees now."""

    def close(self) -> None:
        """The store is of no more use."""
