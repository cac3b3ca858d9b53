"""Killing the engine in every way, and looking at what is left: used by the tests and by `benchmarks.chaos`.

`python -m tests.chaos` is a process that has everything imported and forks a child per line of its input, so that a
kill costs milliseconds and not the start of an interpreter. Each child is a real process with a real engine on files.
"""

from __future__ import annotations

import errno
import gzip
import io
import json
import os
import random
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.patience import PATIENCE
from tsds_stream.durable import Data, Disk
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.streams.dead_letters import read_dead_letters
from tsds_stream.streams.revisions import latest_revision, list_revisions, open_revision, target_sets

ROOT = Path(__file__).resolve().parent.parent
WORDS = ("red", "green", "blue", "cat", "dog", "bird", "sea", "sky", "stone", "sun", "moon", "king", "queen", "pawn")


# -- the world ----------------------------------------------------------------------------------------------------


def lines(prefix: str, count: int, seed: int) -> list[str]:
    """Documents, new versions, copies, retractions and what is no record at all."""
    chosen = random.Random(seed)
    out: list[str] = []
    for i in range(count):
        kind = chosen.random()
        name = f"{prefix}{i if kind < 0.75 else chosen.randrange(i + 1)}"
        text = " ".join(chosen.choices(WORDS, k=4)) if kind < 0.95 else "red cat king"
        if kind > 0.985:
            out.append(chosen.choice(["{broken", "[]", '{"id": "x"}', '{"text": 7}', '{"id": "y", "embedding": [1]}']))
        elif 0.8 < kind < 0.85:
            out.append(json.dumps({"id": name, "deleted": True}))
        else:
            out.append(json.dumps({"id": name, "text": text, "meta": {"n": i}}))
    return out


def make_world(root: Path, documents: int) -> None:
    """Documents in three files and the targets of two sets."""
    folder = root / "documents"
    folder.mkdir(parents=True)
    part = documents // 3
    (folder / "a.jsonl").write_text("\n".join(lines("a", part, 1)) + "\n")
    (folder / "b.jsonl.gz").write_bytes(gzip.compress("\n".join(lines("b", part, 2)).encode(), mtime=0))
    (folder / "c.jsonl").write_text("\n".join(lines("c", part, 3)) + "\n")
    (root / "colours.jsonl").write_text("".join(f'{{"text": "{t}"}}\n' for t in ("red sea", "green leaf", "blue sky")))
    (root / "games.jsonl").write_text("".join(f'{{"text": "{t}"}}\n' for t in ("king queen", "pawn")))


def settings_of(root: Path, *, follow: bool = False, sigma: float | str = "auto") -> dict[str, Any]:
    """Settings that make as many revisions and checkpoints as a short run can.

    Where files are followed, the order of documents depends on when each was written, so that `sigma` has to be given:
    "auto" is taken from the first 700 documents of the stream.
    """
    return {
        "source": {
            "kind": "files",
            "path": str(root / "documents"),
            "follow": follow,
            "poll_interval": 0.02,
            "settle": 0.2,
        },
        "embedder": {"kind": "hashing", "dimension": 64},
        "target_sets": [
            {
                "name": "colours",
                "targets": str(root / "colours.jsonl"),
                "budget": 20,
                "calibration": 700,
                "sigma": sigma,
            },
            {"name": "games", "targets": str(root / "games.jsonl"), "budget": 10, "sigma": 0.4, "mode": "turns"},
        ],
        "sink": {"kind": "directory", "path": str(root / "selection"), "keep_revisions": 1_000_000},
        "publish": {"interval": 0.01},
        "state": {"directory": str(root / "state"), "checkpoint_interval": 0.05},
    }


# -- the disk -----------------------------------------------------------------------------------------------------


class KillingDisk(Disk):
    """Kills the process at the n-th operation, or lets the disk be full from there on.

    `how`: "before", "after", "torn" (half of what was to be written is there), "full".
    Syncs are counted but not done: nobody cuts the power, and a test should not wait for it.
    """

    def __init__(self, at: int, how: str) -> None:
        self._at = at
        self._how = how
        self._count = 0
        self._lock = threading.Lock()

    def write(self, path: Path, parts: Iterable[Data]) -> None:
        data = b"".join(parts)
        self._step(lambda: super(KillingDisk, self).write(path, [data[: len(data) // 2]]), path, grows=True)
        super().write(path, [data])
        self._after()

    def append(self, path: Path, offset: int, data: Data) -> None:
        half = bytes(data)[: len(data) // 2]
        self._step(lambda: super(KillingDisk, self).append(path, offset, half), path, grows=True)
        super().append(path, offset, data)
        self._after()

    def truncate(self, path: Path, length: int) -> None:
        self._step(None, path)
        super().truncate(path, length)
        self._after()

    def sync(self, path: Path) -> None:
        self._step(None, path)
        self._after()

    def sync_directory(self, path: Path) -> None:
        self._step(None, path)
        self._after()

    def replace(self, source: Path, target: Path) -> None:
        self._step(None, target)
        super().replace(source, target)
        self._after()

    def remove(self, path: Path) -> None:
        self._step(None, path)
        super().remove(path)
        self._after()

    def remove_tree(self, path: Path) -> None:
        self._step(None, path)
        super().remove_tree(path)
        self._after()

    def make_directory(self, path: Path) -> None:
        self._step(None, path, grows=True)
        super().make_directory(path)
        self._after()

    def _step(self, tear: Any, path: Path, *, grows: bool = False) -> None:
        with self._lock:
            self._count += 1
            here = self._count == self._at
            full = self._how == "full" and self._count >= self._at and grows
        if full:
            if tear is not None:
                tear()
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        if here and self._how in ("before", "torn"):
            if self._how == "torn" and tear is not None:
                tear()
            os.kill(os.getpid(), signal.SIGKILL)

    def _after(self) -> None:
        if self._count >= self._at > 0 and self._how == "after":
            os.kill(os.getpid(), signal.SIGKILL)


# -- processes ----------------------------------------------------------------------------------------------------


class Forker:
    """The process that forks engines."""

    def __init__(self) -> None:
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
        command = [sys.executable, "-m", "tests.chaos"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment
        )
        self._child: int | None = None
        try:
            self._answer("ready")
        except BaseException:
            self.close()
            raise

    def start(self, settings: dict[str, Any], **plan: Any) -> None:
        """Begin a run. Only one at a time: what a failed test left running is ended."""
        if self._child is not None:
            self.kill()
            self.wait()
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"settings": settings, **plan}) + "\n")
        self._process.stdin.flush()
        self._child = int(self._answer("child"))

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to the run that was started."""
        assert self._child is not None
        assert self._child > 1
        with suppress(ProcessLookupError):  # it may have ended by itself
            os.kill(self._child, number)

    def wait(self) -> int:
        """Exit status of the run; minus the signal that killed it."""
        status = int(self._answer("status"))
        self._child = None
        return status

    def run(self, settings: dict[str, Any], **plan: Any) -> int:
        """Start and wait."""
        self.start(settings, **plan)
        return self.wait()

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _answer(self, what: str) -> str:
        assert self._process.stdout is not None
        found, _, value = self._process.stdout.readline().strip().partition(" ")
        assert found == what
        return value


def run_engine(plan: dict[str, Any]) -> int:
    """One run in this process."""
    from tsds_stream.config import Settings
    from tsds_stream.engine import Engine, Options
    from tsds_stream.logs import LineLog

    if "file_size" in plan:  # a limit of the operating system, for everything that writes
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (plan["file_size"], plan["file_size"]))
    disk = KillingDisk(plan.get("at", 0), plan.get("how", "never"))
    log = LineLog(plan.get("log", "debug"), stream=None if "log" in plan else io.StringIO())
    try:
        settings = Settings.model_validate(plan["settings"])
        # Revisions as often as they can be made: each is a chance to be killed in.
        options = Options(batch=plan.get("batch", 16), publish_share=1.0)
        engine = Engine.from_settings(settings, log=log, disk=disk, options=options)
        return int(engine.run())
    except CommandError as error:
        Path(plan["message"]).write_text(str(error)) if "message" in plan else print(error, file=sys.stderr)
        return int(error.status)


def main() -> None:
    """Fork a child per line of the input; tell its process id, and then its exit status."""
    import tsds_stream.engine  # noqa: F401 - children find it imported

    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            status = int(ExitStatus.UNEXPECTED)
            try:
                status = run_engine(json.loads(line))
            finally:
                sys.stderr.flush()
                os._exit(status)
        print("child", child, flush=True)
        print("status", os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


# -- what must hold -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """What a stream leads to: the last digest and size of each set, and the dead letters."""

    digests: dict[str, str]
    dead_letters: Counter[tuple[str, int, str]]
    revisions: dict[str, int]

    def same_as(self, other: Outcome) -> bool:
        """How often something was published on the way does not matter."""
        return self.digests == other.digests and self.dead_letters == other.dead_letters


def inspect(root: Path) -> Outcome:
    """What was published. Raises `AssertionError`, `DamagedFileError` unless revisions are consecutive and intact."""
    folder = root / "selection"
    digests, numbers = {}, {}
    for name in target_sets(folder) if folder.exists() else []:
        newest = latest_revision(folder, name)
        records, damages = list_revisions(folder, name)
        assert not damages
        assert [record["revision"] for record in records] == list(range(1, newest + 1))
        for number in range(1, newest + 1):
            revision = open_revision(folder, name, number)
            revision.verify()
            assert all(record["text"] for record in revision), "every text is there"
        digests[name], numbers[name] = records[-1]["digest"], newest
    letters = Counter((one.source["path"], one.source["position"], one.reason) for one in read_dead_letters(folder))
    assert set(letters.values()) <= {1}, "no dead letter twice"
    return Outcome(digests, letters, numbers)


if __name__ == "__main__":
    main()
