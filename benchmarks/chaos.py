"""Kill the engine a thousand times, and look at what is left: `python -m benchmarks.chaos --kills 1000`.

Three kinds of death take turns: SIGKILL at a random moment, death at a random file operation (before it, after it, in
the middle of a write), and a full disk. After each one the published revisions must be consecutive and intact; every
fifth time a checkpoint is damaged, too. A stream that ends is compared with an undisturbed run and begun anew.
"""

from __future__ import annotations

import argparse
import random
import shutil
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.chaos import Forker, Outcome, inspect, make_world, settings_of
from tsds_stream.exit_status import ExitStatus


def main() -> None:
    """Parse the options, run, and print what was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000, help="faults to survive (default: %(default)s)")
    parser.add_argument("--documents", type=int, default=3000, help="length of the stream (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the faults (default: %(default)s)")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="tsds-stream-chaos-") as folder:
        Chaos(Path(folder), arguments.documents, arguments.seed).run(arguments.kills)


class Chaos:
    """One world, one process that forks engines, and a count of what happened."""

    def __init__(self, root: Path, documents: int, seed: int) -> None:
        make_world(root, documents)
        self._root = root
        self._chosen = random.Random(seed)
        self._forker = Forker()
        self._seen: Counter[str] = Counter()
        self._revisions = 0

    def run(self, kills: int) -> None:
        """Survive so many faults, and then finish undisturbed."""
        began = time.monotonic()
        assert self._forker.run(settings_of(self._root), batch=64) == ExitStatus.OK
        expected = inspect(self._root)
        self._begin_anew()
        while (survived := sum(count for kind, count in self._seen.items() if kind in KINDS)) < kills:
            self._fault(self._chosen.choice(KINDS), expected)
            if survived % 50 == 49:
                print(f"{survived + 1} faults, {time.monotonic() - began:.0f} s", flush=True)
        self._finish(expected)
        self._forker.close()
        print(f"survived {kills} faults in {time.monotonic() - began:.0f} s")
        for what, count in sorted(self._seen.items()):
            print(f"  {what}: {count}")
        print(f"  revisions checked, each intact and in its place: {self._revisions}")
        print("  every finished stream had the digests and the dead letters of an undisturbed run")

    def _fault(self, kind: str, expected: Outcome) -> None:
        settings, chosen = settings_of(self._root), self._chosen
        if kind == "killed at a random moment":
            self._forker.start(settings)
            time.sleep(chosen.uniform(0.02, 0.5))
            self._forker.kill()
            status = self._forker.wait()
        elif kind == "killed at a file operation":
            how = chosen.choice(["before", "after", "torn"])
            status = self._forker.run(settings, at=chosen.randrange(1, 400), how=how)
        else:
            message = str(self._root / "message")
            status = self._forker.run(settings, at=chosen.randrange(1, 400), how="full", message=message)
        if status == ExitStatus.OK:
            self._compare(expected)
            return
        assert status in (-9, ExitStatus.STATE), f"exit status {status}"
        self._seen[kind] += 1
        inspect(self._root)
        if chosen.random() < 0.2:
            self._damage()

    def _damage(self) -> None:
        """Flip a bit of the newest checkpoint, or cut one of its files."""
        checkpoints = sorted((self._root / "state" / "checkpoints").glob("0*[0-9]"))
        files = [path for path in (sorted(checkpoints[-1].rglob("*")) if checkpoints else []) if path.is_file()]
        files = [path for path in files if path.stat().st_size]
        if not files:
            return
        victim = self._chosen.choice(files)
        data = bytearray(victim.read_bytes())
        if self._chosen.random() < 0.5:
            data[self._chosen.randrange(len(data))] ^= 1 << self._chosen.randrange(8)
        else:
            del data[self._chosen.randrange(len(data)) :]
        victim.write_bytes(data)
        self._seen["damaged checkpoint"] += 1

    def _finish(self, expected: Outcome) -> None:
        assert self._forker.run(settings_of(self._root)) == ExitStatus.OK
        self._compare(expected)

    def _compare(self, expected: Outcome) -> None:
        outcome = inspect(self._root)
        assert outcome.same_as(expected), f"{outcome} is not {expected}"
        self._seen["finished stream"] += 1
        self._revisions += sum(outcome.revisions.values())
        self._begin_anew()

    def _begin_anew(self) -> None:
        shutil.rmtree(self._root / "selection")
        shutil.rmtree(self._root / "state")


KINDS = ["killed at a random moment", "killed at a file operation", "full disk"]

if __name__ == "__main__":
    main()
