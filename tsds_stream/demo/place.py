"""The directory that the demonstration leaves behind, and how it knows its own."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import orjson

from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.lock import LockedError, WriterLock
from tsds_stream.records import Json

_MARK: Final = "demo.json"
_OWNER: Final = "tsds-stream demo"
_MADE: Final = (
    "documents.jsonl", "targets.jsonl", "selection", "state", "probability.png", "stream.png", "again.jsonl"
)  # fmt: skip


class Place:
    """Names of everything in the directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.mark = root / _MARK
        self.documents = root / "documents.jsonl"
        self.targets = root / "targets.jsonl"
        self.selection = root / "selection"
        self.state = root / "state"
        self.probability_plot = root / "probability.png"
        self.stream_plot = root / "stream.png"
        self.again = root / "again.jsonl"

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Make it, or empty it of what an earlier demonstration left; nobody else demonstrates here meanwhile.

        Raises:
            CommandError: it belongs to something else, is in use, or cannot be made.
        """
        if self.root.exists() and not self.root.is_dir():
            raise CommandError(f"{self.root} is a file; give --directory another name", ExitStatus.STATE)
        if self.root.is_dir() and any(self.root.iterdir()) and not self._is_ours():
            raise CommandError(
                f"{self.root} holds something that no demonstration made, so it is left alone; give --directory "
                "another name",
                ExitStatus.STATE,
            )
        self.root.mkdir(parents=True, exist_ok=True)
        try:
            lock = WriterLock(self.root / ".lock", f"The directory {self.root}")
        except LockedError as error:
            raise CommandError(str(error), ExitStatus.STATE) from error
        with lock:
            self.say({})
            for name in _MADE:
                _remove(self.root / name)
            yield

    def say(self, facts: Json) -> None:
        """Write what is known of the demonstration into the file by which it recognises its directory."""
        content = {"made_by": _OWNER, **facts}
        self.mark.write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))

    def _is_ours(self) -> bool:
        try:
            content = orjson.loads(self.mark.read_bytes())
        except (OSError, orjson.JSONDecodeError):
            return False
        return isinstance(content, dict) and content.get("made_by") == _OWNER


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
