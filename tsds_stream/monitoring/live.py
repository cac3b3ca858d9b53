"""A few lines at the bottom of the terminal that show a run while it runs; the log scrolls above them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from time import time
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from tsds_stream.monitoring import facts
from tsds_stream.monitoring.health import Health, judge
from tsds_stream.monitoring.health.sentence import doing
from tsds_stream.monitoring.lines import Parts, bar, fitted, marked
from tsds_stream.monitoring.thresholds import DRIFT_SCORE
from tsds_stream.monitoring.wording import age, duration, plural, size

if TYPE_CHECKING:
    from rich.console import RenderableType
    from rich.progress import Task

    from tsds_stream.engine.statistics import Statistics
    from tsds_stream.records import Json

_TIMES_PER_SECOND = 4
_MOST_SETS = 6
_MOST_WARNINGS = 3
_HELD_UP = 30_000  # milliseconds without publication in effect of which a watching person is told before the alarm
_STYLES = {"healthy": "green", "degraded": "yellow", "down": "red"}


class LiveView:
    """Shows the newest status document, and a bar where the end is known. Any thread may hand something in.

    A context manager. Where nobody can be shown lines that change (a file, a pipe, a dumb terminal), it does nothing.

    Args:
        total: bytes to read; None: no end is known, and there is no bar.
        stream: the terminal; stderr by default.
        clock: milliseconds since the epoch.
    """

    def __init__(
        self,
        total: int | None = None,
        stream: TextIO | None = None,
        clock: Callable[[], int] = lambda: int(time() * 1000),
    ) -> None:
        stream = stream or sys.stderr
        self.watched = stream.isatty() and os.environ.get("TERM", "").lower() not in ("dumb", "unknown")
        self._clock = clock
        self._status: Json | None = None
        self._health: Health | None = None
        self._documents = 0
        if not self.watched:
            return
        from rich.live import Live
        from rich.progress import Progress

        from tsds_stream.terminal import console_on

        self._console = console_on(stream)
        # It is never started: it only knows how fast bytes go by, and how long the rest of them takes.
        self._bytes = Progress(console=self._console, auto_refresh=False, get_time=lambda: clock() / 1000)
        self._task = self._bytes.add_task("", total=total) if total else None
        self._live = Live(
            console=self._console,
            refresh_per_second=_TIMES_PER_SECOND,
            transient=True,
            redirect_stdout=sys.stdout.isatty(),
            get_renderable=self._picture,
            vertical_overflow="crop",
        )

    def __enter__(self) -> LiveView:
        if self.watched:
            self._live.start()
            self._console.show_cursor(True)  # a process that is killed cannot bring it back
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self.watched:
            self._live.stop()

    def shown(self, status: Json) -> None:
        """Here is a new status document."""
        if self.watched:
            self.judged(status, judge(status, self._clock()))

    def judged(self, status: Json | None, health: Health) -> None:
        """Here is a new status document, or none, and what to think of it."""
        self._status, self._health = status, health

    def progress(self, statistics: Statistics) -> None:
        """So much is read."""
        self._documents = statistics.documents_applied
        if self.watched and self._task is not None:
            self._bytes.update(self._task, completed=statistics.bytes_read)

    def _picture(self) -> RenderableType:
        from rich.console import Group

        lines = [] if self._task is None else [_bar(self._bytes.tasks[0], self._console.width)]
        status, health = self._status, self._health
        if health is None:
            read = f"{self._documents:,} read" if self._documents else ""
            lines.append(fitted([("● running" if read else "● starting", "green"), (read, "")], self._console.width))
        elif status is None:
            lines.append(marked("●", health.sentence, _STYLES[health.state]))
        else:
            lines += picture_of(status, health, self._clock(), self._console.width)
        return Group(*lines, "")  # the cursor rests on the last one: a prompt that comes too early finds an empty line


def picture_of(status: Json, health: Health, now: int, width: int) -> Iterator[RenderableType]:
    """The lines of a document."""
    phase, latency = status["process"]["phase"], status["latency"]["recent"]
    if phase in ("starting", "replaying"):
        yield marked("●", doing(status, now), _STYLES[health.state])
    else:
        words = [facts.speed(status), facts.lag(status), facts.done(status)]
        words.append(f"{facts.seconds(latency['p50'])} to a revision" if latency else "")
        yield fitted([(f"● {phase}", _STYLES[health.state]), *((word, "") for word in words)], width)
    yield from _sets(status, now, width)
    if phase != "starting":
        yield fitted([("  ", ""), *_of_the_run(status, now)], width, "")
    for sentence in _only_just(status, now, {one.code for one in health.warnings}):
        yield marked("!", sentence, "yellow")
    for one in health.warnings[:_MOST_WARNINGS]:
        yield marked("!", one.sentence, "red" if one.severity == "critical" else "yellow")
    if health.warnings:
        more = len(health.warnings) - _MOST_WARNINGS
        also = f"and {plural(more, 'more warning')}; " if more > 0 else ""
        yield fitted([(f"  {also}tsds-stream status says what to do", "dim")], width)


def _sets(status: Json, now: int, width: int) -> Iterator[RenderableType]:
    sets = list(status["sets"].items())
    longest = max((len(name) for name, _ in sets), default=0)
    for name, one in sets[:_MOST_SETS]:
        yield fitted([(f"  {name:<{longest}}", "bold"), *_of_a_set(one, now)], width, "  ")
    if len(sets) > _MOST_SETS:
        yield fitted([(f"  and {plural(len(sets) - _MOST_SETS, 'more set')}", "dim")], width)


def _of_a_set(one: Json, now: int) -> Parts:
    if not one["revision"]:
        return [("no revision yet", "dim")]
    exactness = (facts.exactness(one), "" if one["exact"] else "yellow")
    last = [(facts.change(one), ""), (age(one["created"], now), "")]
    return [(f"revision {one['revision']:,}", ""), (facts.members(one), ""), exactness, *last]


def _of_the_run(status: Json, now: int) -> Parts:
    drift, last = facts.stream_drift(status), status["checkpoints"]["last"]
    alarming = drift.score is not None and drift.score >= DRIFT_SCORE
    return [
        (f"drift {drift.words}", "yellow" if alarming else ""),
        (f"checkpoint {age(last, now)}" if last else "no checkpoint yet", ""),
        (facts.memory(status), ""),
    ]


def _only_just(status: Json, now: int, told: set[str]) -> Iterator[str]:
    """What a person who looks may know before it is an alarm."""
    if status["embedder"]["out"] and "embedder_failing" not in told:
        yield f"The embedder {facts.embedder(status, now)}"
    heartbeat = status["publishing"]["heartbeat"]
    held_up = status["process"]["phase"] == "live" and heartbeat and now - heartbeat > _HELD_UP
    if held_up and "revision_stale" not in told:
        yield f"Publishing has been held up for {duration((now - heartbeat) / 1000)}"


def _bar(task: Task, width: int) -> RenderableType:
    """How much of a known end is behind us, and how long the rest takes."""
    total, left = task.total or 0, None if task.finished else task.time_remaining
    words = [
        (f"{task.percentage:.0f}%", "bold"),
        (f"{duration(left)} left" if left is not None else "", ""),
        (f"{size(task.completed)} of {size(total)}", ""),
        (f"{size(task.speed)}/s" if task.speed and not task.finished else "", ""),
    ]
    return bar("Selecting", task.completed, total, words, width)
