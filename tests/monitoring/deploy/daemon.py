"""A real `tsds-stream run` on files with real text, which is scraped, fed, suspended and stopped."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from zlib import crc32

import numpy

from tests.kafka.world import as_toml
from tests.monitoring.deploy.files import ROOT, Json
from tests.patience import PATIENCE
from tsds_stream.demo.pages import Page, docstrings

_NOT_READ = {"test", "tests", "idle_test", "site-packages", "lib2to3", "__pycache__"}
GROUPS = {"archives": ("tarfile", "zipfile", "shutil"), "mail": ("mailbox", "smtplib", "imaplib")}


class Daemon:
    """What runs, by its process, its log and the folder that it reads from."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, documents: Path) -> None:
        self.process = process
        self._log = log
        self._documents = documents
        self._fed = 0

    @property
    def address(self) -> str:
        """Where it listens, as its log tells."""
        return address_in(self._log.read_text, lambda: self.process.poll() is None)

    def feed(self, records: Iterable[Json]) -> None:
        """A new file of documents."""
        self._fed += 1
        file = self._documents / f"{self._fed:03}.jsonl"
        whole = file.with_suffix(".new")
        whole.write_text("".join(f"{json.dumps(record)}\n" for record in records))
        whole.replace(file)

    def signal(self, number: signal.Signals) -> None:
        """To the process itself, not to that which serves its figures."""
        os.kill(self.process.pid, number)


@contextmanager
def daemon(root: Path, *sets: Json, drift: Json, program: str = "tsds_stream") -> Iterator[Daemon]:
    """It follows an empty folder, and is stopped in the end if it still runs.

    Args:
        program: the module that is run with the words `run --config FILE`.
    """
    documents = root / "documents"
    documents.mkdir(parents=True)
    (root / "targets.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in targets()))
    settings = {
        "source": {"kind": "files", "path": str(documents), "follow": True},
        "sink": {"kind": "directory", "path": str(root / "selection")},
        "target_sets": [{"targets": str(root / "targets.jsonl"), **one} for one in sets],
        "publish": {"interval": 0.5},
        "state": {"directory": str(root / "state"), "checkpoint_interval": 2.0},
        "monitoring": {"listen": "127.0.0.1:0", "drift": drift},
    }
    (root / "tsds.toml").write_text(as_toml(settings))
    command = [sys.executable, "-m", program, "run", "--config", str(root / "tsds.toml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"}
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=root, env=environment, stdout=log, stderr=log)
    try:
        yield Daemon(process, root / "log", documents)
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(PATIENCE)
        finally:
            process.kill()
            process.wait()


def address_in(said: Callable[[], str], alive: Callable[[], bool]) -> str:
    """`127.0.0.1:port` from the log of a run that is told to listen on any port."""
    deadline = time.monotonic() + PATIENCE
    while (found := re.search(r"http://(127\.0\.0\.1:\d+)/", said())) is None:
        assert alive(), said()[-4000:]
        assert time.monotonic() < deadline, said()[-4000:]
        time.sleep(0.05)
    return found[1]


@cache
def library() -> list[Page]:
    """Documentation of the standard library, in an order of its own."""
    return _pages(Path(sysconfig.get_paths()["stdlib"]), "library", 4000)


@cache
def another_subject() -> list[Page]:
    """Documentation of numerical arrays."""
    return _pages(Path(numpy.__file__).parent, "numpy", 1200)


def targets() -> list[Json]:
    """Examples from two subjects of the standard library, each a group; they are not among the documents."""
    found = []
    for group, modules in GROUPS.items():
        pages = [page for page in library() if page.id.split(".")[0] in modules]
        found += [{"id": page.id, "text": page.text, "group": group} for page in pages[:12]]
    return found


def records(pages: Iterable[Page]) -> list[Json]:
    """Documents with the time of now and their source, without the targets."""
    held_out = {one["id"] for one in targets()}
    now = int(time.time() * 1000)
    return [
        {"id": page.id, "text": page.text, "timestamp": now, "meta": {"source": page.source}}
        for page in pages
        if page.id not in held_out
    ]


def _pages(root: Path, source: str, limit: int) -> list[Page]:
    files = [file for file in root.rglob("*.py") if not _NOT_READ & set(file.relative_to(root).parts)]
    found: dict[str, Page] = {}
    for file in sorted(files):
        for page in docstrings(file.read_bytes(), file.stem, source):
            found.setdefault(page.text, page)
    pages = sorted(found.values(), key=lambda page: (crc32(page.text.encode()), page.id))
    return pages[:limit]
