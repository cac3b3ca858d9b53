"""One broker for all workers of a test run: the first that needs it starts it, it ends with the last.

Each worker holds a shared lock on a file while it may use the broker. A keeper process, which started the broker, waits
for the exclusive lock: the system gives it when the last worker let go, were it by SIGKILL. Nobody counts.
"""

from __future__ import annotations

import fcntl
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.kafka.broker import Broker
from tests.kafka.jars import BrokerUnavailable

ROOT = Path(__file__).resolve().parent.parent.parent


@contextmanager
def shared_broker(folder: Path) -> Iterator[str]:
    """The address `host:port` of the broker of this folder, which runs at least until the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    address = folder / "address.json"
    with open(folder / "users", "w") as users, open(folder / "starting", "w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is about to end its broker
        if not address.exists():
            _start_keeper(folder)
        fcntl.flock(starting, fcntl.LOCK_UN)
        said = json.loads(address.read_text())
        if "error" in said:
            raise BrokerUnavailable(said["error"])
        yield said["bootstrap"]


def _start_keeper(folder: Path) -> None:
    command = [sys.executable, "-m", "tests.kafka.shared", str(folder)]
    with open(folder / "keeper.log", "wb") as log:
        # A session of its own: an interrupt from the terminal ends the tests, and the tests' end ends the keeper.
        keeper = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, start_new_session=True
        )
    assert keeper.stdout is not None
    with keeper.stdout as out:
        said = out.readline()
    keeper.returncode = 0  # it outlives this worker where another one still needs the broker
    if not said:
        raise BrokerUnavailable(f"the keeper of the broker ended: {(folder / 'keeper.log').read_text()}")


def keep(folder: Path) -> None:
    """Start a broker, write its address, and end it when nobody holds the lock on `users` any more."""
    address = folder / "address.json"
    partial = folder / "address.partial"
    with open(folder / "users") as users:
        broker = None
        try:
            broker = Broker(folder / "broker")
            partial.write_text(json.dumps({"bootstrap": broker.bootstrap}))
        except BrokerUnavailable as error:
            partial.write_text(json.dumps({"error": str(error)}))
        partial.rename(address)
        print("written", flush=True)
        fcntl.flock(users, fcntl.LOCK_EX)
        address.unlink()
        if broker is not None:
            broker.close()


if __name__ == "__main__":
    keep(Path(sys.argv[1]))
