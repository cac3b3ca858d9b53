"""The command line of the program in a process that tells how it is doing: `python -m benchmarks.kafka.daemon`.

The first argument is the folder to report to, the others are those of `tsds-stream`. What is put around the program is
a look at its counters four times a second, a time stamp at each step of its start, and, where it is asked for, a thread
that wakes every millisecond and notes when it could not, an embedder that is out now and then, and a look at what
memory is used for.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

_BEAT = 0.001
_OUTAGE = (15.0, 1.0)  # seconds between two outages, and of one


class Report:
    """Lines of JSON in the folder: `statistics`, `stamps`, `stalls`, `memory`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._stamped: set[str] = set()

    def line(self, name: str, **fields: object) -> None:
        with self._lock, open(self._folder / name, "a") as file:
            file.write(json.dumps({"t": time.time(), **fields}) + "\n")

    def stamp(self, step: str) -> None:
        """The first time that a step is done."""
        if step not in self._stamped:
            self._stamped.add(step)
            self.line("stamps", step=step)


def main() -> int:
    """Run `tsds-stream` with what follows the folder."""
    folder, *arguments = sys.argv[1:]
    report = Report(Path(folder))
    report.stamp("interpreter")
    from tsds_stream.cli import main as run

    watch_statistics(report)
    watch_start(report)
    if "TSDS_BENCH_STALLS" in os.environ:
        watch_stalls(report)
    if "TSDS_BENCH_OUTAGES" in os.environ:
        lame_embedder()
    if "TSDS_BENCH_MEMORY" in os.environ:
        watch_memory(report, float(os.environ["TSDS_BENCH_MEMORY"]))
    return run(arguments)


def watch_statistics(report: Report) -> None:
    """The counters of the engine, and the processor time of its threads."""
    from tsds_stream.engine import engine

    original = engine.Loop.__init__

    def begin(
        self: Any, parts: Any, options: Any, clock: Any, log: Any, statistics: Any, stop: Any, *rest: Any
    ) -> None:
        def show(now: Any) -> None:
            cpu = {}
            for thread in threading.enumerate():
                if thread.ident is not None:
                    with suppress(ProcessLookupError):  # those of a re-reading end at any moment
                        cpu[thread.name] = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
            apart = ("sets", "dead_letters", "stages", "latency")
            numbers = {name: getattr(now, name) for name in now.__dataclass_fields__ if name not in apart}
            numbers |= {f"{stage}_seconds": durations.sum for stage, durations in now.stages.items()}
            sets = {
                name: {"revision": one.revision, "admitted": one.admitted, "size": one.size, "added": one.added}
                for name, one in now.sets.items()
            }
            dead = now.dead_letters.total()
            report.line("statistics", **numbers, dead_letters=dead, sets=sets, cpu=cpu, whole=time.process_time())

        original(self, parts, options, clock, log, statistics, stop, show, *rest[1:])

    engine.Loop.__init__ = begin  # type: ignore[method-assign]


def watch_start(report: Report) -> None:
    """When each step of the start is done for the first time."""
    from tsds_stream.engine import engine, intake

    report.stamp("imports")
    _stamped(engine, "create", report, "embedder")
    _stamped(engine, "assemble", report, "topics looked at")
    _stamped(engine, "restore", report, "checkpoint loaded")
    _stamped(engine, "_examples", report, "targets read")
    _stamped(intake.Intake, "apply", report, "first records processed")

    run = engine.Engine._run

    def _run(self: Any, stack: Any) -> None:
        report.stamp("opened")
        recover, opener = self._sink.recover, self._open_source

        def recovered() -> Any:
            try:
                return recover()
            finally:
                report.stamp("read back")

        def opened() -> Any:
            source = opener()
            seek = source.seek

            def sought(positions: Any) -> None:
                seek(positions)
                report.stamp("source at its place")

            source.seek = sought
            return source

        self._sink.recover, self._open_source = recovered, opened
        run(self, stack)

    engine.Engine._run = _run  # type: ignore[method-assign]


def watch_stalls(report: Report) -> None:
    """Gaps of a thread that wakes every millisecond, and how long the loop stands still for a checkpoint."""
    from tsds_stream.engine import checkpointing, loop, texts

    writing = threading.Event()
    gaps: dict[str, float] = {"checkpoint": 0.0, "otherwise": 0.0}

    def beat() -> None:
        last = time.perf_counter()
        while True:
            before = writing.is_set()
            time.sleep(_BEAT)
            now = time.perf_counter()
            when = "checkpoint" if before or writing.is_set() else "otherwise"
            gaps[when] = max(gaps[when], now - last - _BEAT)
            last = now

    threading.Thread(target=beat, name="beat", daemon=True).start()
    checkpoint, write, publish = loop.Loop._checkpoint, checkpointing.Checkpointer._write, loop.Loop._publish
    spent = {"publish": 0.0, "texts": 0.0}

    def _publish(self: Any, **named: Any) -> None:
        began = time.perf_counter()
        publish(self, **named)
        spent["publish"] = time.perf_counter() - began

    def _checkpoint(self: Any) -> None:
        started = self._parts.checkpointer._thread
        spent.update(publish=0.0)
        began = time.perf_counter()
        writing.set()
        checkpoint(self)
        if self._parts.checkpointer._thread is started:
            writing.clear()
        else:
            # A revision before a checkpoint is due at that time anyway: what it takes is not the checkpoint's.
            report.line("stalls", loop=time.perf_counter() - began - spent["publish"], **spent)

    def _write(self: Any, *arguments: Any) -> None:
        began = time.perf_counter()
        write(self, *arguments)
        writing.clear()
        report.line("stalls", **gaps, written=time.perf_counter() - began)
        gaps.update(checkpoint=0.0, otherwise=0.0)

    sync = texts.Texts.sync

    def _sync(self: Any) -> Any:
        began = time.perf_counter()
        result = sync(self)
        spent["texts"] = time.perf_counter() - began
        return result

    texts.Texts.sync = _sync  # type: ignore[method-assign]
    loop.Loop._publish = _publish  # type: ignore[method-assign]
    loop.Loop._checkpoint = _checkpoint  # type: ignore[method-assign]
    checkpointing.Checkpointer._write = _write  # type: ignore[method-assign]


def lame_embedder() -> None:
    """Out for a second every quarter of a minute."""
    from tsds_stream.embedding.base import EmbedderUnavailable
    from tsds_stream.embedding.hashing import HashingEmbedder

    embed, every = HashingEmbedder.embed_all, _OUTAGE

    def embed_all(self: HashingEmbedder, texts: Any) -> Any:
        if time.monotonic() % every[0] < every[1]:
            raise EmbedderUnavailable("switched off by the benchmark", retry_after=0.2)
        return embed(self, texts)

    HashingEmbedder.embed_all = embed_all  # type: ignore[method-assign]


class _Malloc(ctypes.Structure):
    """`struct mallinfo2` of glibc, over all arenas."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena",  # bytes from the system, in heaps
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",  # bytes in mappings of their own
            "usmblks",
            "fsmblks",
            "uordblks",  # bytes of the heaps in use
            "fordblks",  # bytes of the heaps that are free
            "keepcost",
        )
    )


def watch_memory(report: Report, interval: float) -> None:
    """What the process holds, by who would give it back: the C library, the interpreter, the objects of the program."""
    from tsds_stream.engine import late

    ask = ctypes.CDLL(None).mallinfo2
    ask.restype = _Malloc
    works: list[Any] = []
    begin = late.LateWork.__init__

    def begun(self: Any, *arguments: Any) -> None:
        works.append(self)
        begin(self, *arguments)

    def look() -> None:
        while True:
            time.sleep(interval)
            malloc = ask()
            pages = [int(number) for number in Path("/proc/self/statm").read_text().split()]
            megabytes = {
                "resident": pages[1] * os.sysconf("SC_PAGE_SIZE"),
                "heaps": malloc.arena,
                "free heap": malloc.fordblks,
                "mappings": malloc.hblkhd,
            }
            report.line(
                "memory",
                megabytes={name: round(size / 1e6, 1) for name, size in megabytes.items()},
                blocks=sys.getallocatedblocks(),
                collections=[one["collections"] for one in gc.get_stats()],
                collected=[one["collected"] for one in gc.get_stats()],
                objects=dict(Counter(type(one).__name__ for one in gc.get_objects()).most_common(25)),
                threads=sorted(thread.name for thread in threading.enumerate()),
                sets={one.name: _of_set(one) for work in works for one in work._sets},
            )

    late.LateWork.__init__ = begun  # type: ignore[method-assign]
    threading.Thread(target=look, name="memory", daemon=True).start()


def _of_set(one: Any) -> dict[str, int]:
    """Sizes of what one target set keeps."""
    core = one.selector._core
    found = {"ids seen again": 0 if core.late is None else len(core.late.changed)}
    for name, pool in (("", core.pool), ("late ", None if core.late is None else core.late.pool)):
        if pool is not None:
            store = pool.store
            found |= {f"{name}ids": store.ids, f"{name}points": store.in_use, f"{name}slots": store.size}
            found |= {f"{name}room": len(store._norms), f"{name}rows": len(pool.lists)}
    return found


def _stamped(owner: Any, name: str, report: Report, step: str) -> None:
    original: Callable[..., Any] = getattr(owner, name)

    def stamped(*arguments: Any, **named: Any) -> Any:
        result = original(*arguments, **named)
        report.stamp(step)
        return result

    setattr(owner, name, stamped)


if __name__ == "__main__":
    sys.exit(main())
