"""When a newer revision is taken up, how the ranks agree on it, and how old a selection may get."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from numbers import Integral, Real
from typing import Protocol, TypeGuard

from tsds_stream.loader.reading import Archive, Documents, LoaderError
from tsds_stream.records import Json

_LOOK_AGAIN = 0.2  # seconds


@dataclass(frozen=True, slots=True)
class Following:
    """A policy: `pin`, `epoch` or `step:N`."""

    policy: str = "pin"
    every: int = 0  # steps

    @classmethod
    def parse(cls, text: str) -> Following:
        policy, colon, number = text.partition(":") if isinstance(text, str) else ("", "", "")
        if text in ("pin", "epoch"):
            return cls(text)
        if policy == "step" and colon and number.isdecimal() and int(number) > 0:
            return cls("step", int(number))
        raise ValueError(f"follow is 'pin', 'epoch' or 'step:N' with N >= 1, not {text!r}")

    def asks(self, step: int, position: int) -> bool:
        """Whether to look for a newer revision before this step; the first of all begins with the one it was given."""
        if not step or self.policy == "pin":
            return False
        return position == 0 if self.policy == "epoch" else step % self.every == 0


class Coordination(Protocol):
    """How the ranks of a run agree. Every rank calls the same methods in the same order."""

    def decide(self, step: int, answer: Callable[[], int]) -> int:
        """What `answer` gives on rank 0. Raises `LoaderError` on every rank where it raises that on rank 0."""

    def gather(self, facts: Json) -> list[Json]:
        """The facts of every rank, by rank."""


class Alone:
    """One process, or processes that were told the same."""

    def decide(self, step: int, answer: Callable[[], int]) -> int:
        return answer()

    def gather(self, facts: Json) -> list[Json]:
        return [facts]


def check_agreement(everybody: list[Json]) -> None:
    """Raise `LoaderError` unless all ranks said the same."""
    for rank, facts in enumerate(everybody):
        different = [
            f"{name}: {everybody[0][name]!r} on rank 0, {facts[name]!r} on rank {rank}"
            for name in facts
            if facts[name] != everybody[0][name]
        ]
        if different:
            raise LoaderError(
                f"The ranks do not agree ({'; '.join(different)}). Give every rank the same settings, and the state of "
                "the same checkpoint."
            )


def is_duration(value: object) -> bool:
    """Whether it is a number of seconds above 0."""
    return not isinstance(value, bool) and isinstance(value, Real) and 0 < float(value) < inf


def is_integer(value: object) -> TypeGuard[int]:
    """Whether it is an integer, of Python or of numpy."""
    return isinstance(value, Integral) and not isinstance(value, bool)


class Staleness:
    """Tells when publishing has stopped. A quiet stream is not a stale one: its publisher still says that it is there.

    Args:
        archive: whose publisher is watched.
        most: seconds since the last sign of the publisher, or None for as long as may be.
        now: milliseconds since the epoch.
    """

    def __init__(self, archive: Archive, most: float | None, now: Callable[[], int]) -> None:
        if most is not None and not is_duration(most):
            raise ValueError(f"max_staleness is a number of seconds above 0, not {most!r}")
        self._archive, self._most, self._now = archive, most, now
        self._next = 0

    def check(self) -> None:
        """Look, unless that was done a short while ago.

        Raises:
            LoaderError: the publisher was not heard of for longer than `most`, or never.
        """
        if self._most is None or self._now() < self._next:
            return
        last, now = self._archive.heartbeat(), self._now()
        what = f"and max_staleness is {self._most:g} s"
        do = "See whether `tsds-stream run` is up (`tsds-stream status`), or train without max_staleness."
        if last is None:
            raise LoaderError(f"The selection has no heartbeat of its publisher, {what}. {do}")
        if now - last > self._most * 1000:
            raise LoaderError(
                f"The publisher of the selection was last heard of {(now - last) / 1000:.1f} s ago, {what}. {do}"
            )
        self._next = now + int(min(self._most * 1000 / 10, 10_000))


def opened(archive: Archive, number: int, timeout: float) -> Documents:
    """A revision, as soon as it is here: other ranks may have read of it before it reached this computer.

    Raises:
        LoaderError: it did not come in time.
        Exception: what the archive says of a revision that it let go, or that is damaged.
    """
    if not arrives(archive, number, timeout):
        raise LoaderError(
            f"Revision {number}, which rank 0 decided for, did not arrive here within {timeout:g} s; the newest is "
            f"{archive.newest()}. See that this rank reads the same selection, or a copy that is kept up to date."
        )
    return archive.at(number)


def arrives(archive: Archive, number: int, timeout: float) -> bool:
    """Wait until the newest revision is this one or a later one; False when that takes too long."""
    deadline = time.monotonic() + timeout
    while archive.newest() < number:
        if time.monotonic() > deadline:
            return False
        time.sleep(_LOOK_AGAIN)
    return True
