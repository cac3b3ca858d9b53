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
from tests.kafka.jars import BrokerError
from tests.kafka.security import start_secure

ROOT = Path(__file__).resolve().parent.parent.parent
KINDS = {"plain": Broker, "secure": start_secure}


@contextmanager
def shared_broker(folder: Path, kind: str = "plain") -> Iterator[dict[str, int]]:
    """The ports, by name of the listener, of the broker of this folder, which runs at least until the context ends."""
    folder.mkdir(parents=True, exist_ok=True)
    address = folder / "address.json"
    with open(folder / "users", "w") as users, open(folder / "starting", "w") as starting:
        fcntl.flock(starting, fcntl.LOCK_EX)
        fcntl.flock(users, fcntl.LOCK_SH)  # waits for a keeper that is about to end its broker
        if not address.exists():
            _start_keeper(folder, kind)
        fcntl.flock(starting, fcntl.LOCK_UN)
        said = json.loads(address.read_text())
        if "error" in said:
            raise BrokerError(said["error"])
        yield said["ports"]


def _start_keeper(folder: Path, kind: str) -> None:
    command = [sys.executable, "-m", "tests.kafka.shared", str(folder), kind]
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
        raise BrokerError(f"the keeper of the broker ended: {(folder / 'keeper.log').read_text()}")


def keep(folder: Path, kind: str) -> None:
    """Start a broker, write its address, and end it when nobody holds the lock on `users` any more."""
    address = folder / "address.json"
    partial = folder / "address.partial"
    with open(folder / "users") as users:
        broker = None
        try:
            broker = KINDS[kind](folder / "server")
            partial.write_text(json.dumps({"ports": broker.ports}))
        except BrokerError as error:
            partial.write_text(json.dumps({"error": str(error)}))
        partial.rename(address)
        print("written", flush=True)
        fcntl.flock(users, fcntl.LOCK_EX)
        address.unlink()
        if broker is not None:
            broker.close()


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2])
