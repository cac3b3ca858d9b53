"""Which files hold documents, and in which form: told by their names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Literal, NamedTuple

from tsds_stream.streams.base import SourceError
from tsds_stream.streams.byte_streams import open_bytes
from tsds_stream.streams.lines import LineReader
from tsds_stream.streams.packed import PackedReader
from tsds_stream.streams.readers import Reader
from tsds_stream.streams.whole_file import WholeFileReader

Kind = Literal["lines", "msgpack", "parquet", "text"]

SUFFIXES: Final = ".jsonl, .ndjson, .json, .msgpack (each also .gz or .zst), .parquet, .txt, .md"
_NAME: Final = re.compile(
    r"\.(?:(?P<kind>jsonl|ndjson|json|msgpack)(?P<rotated>\.\d+)?(?:\.(?P<compression>gz|zst))?|(?P<single>parquet|txt|md))$"
)
_TEMPORARY: Final = re.compile(r"^[.~#]|^_|~$|\.(?:tmp|temp|part|partial|crdownload|swp)(?:\.|$)")


class Form(NamedTuple):
    """What the name of a file says about it; `rotated`: a log that was moved aside (documents.jsonl.1)."""

    kind: Kind
    compression: str
    rotated: bool


def form_of(name: str) -> Form | None:
    """The form of a file by its name, or None where the name says nothing."""
    match = _NAME.search(name.lower())
    if match is None:
        return None
    single = match["single"]
    if single:
        return Form("parquet" if single == "parquet" else "text", "", False)
    return Form(
        "msgpack" if match["kind"] == "msgpack" else "lines", match["compression"] or "", bool(match["rotated"])
    )


def open_reader(path: Path, name: str, limit_bytes: int) -> Reader:
    """A reader at the start of the file; a name that says nothing is read as lines. Raises `OSError`, `SourceError`."""
    form = form_of(path.name) or Form("lines", "", False)
    if form.kind == "parquet":
        from tsds_stream.streams.parquet import ParquetReader  # imports pyarrow, which takes longer than all of ours

        return ParquetReader(path, limit_bytes)
    if form.kind == "text":
        return WholeFileReader(path, name, limit_bytes)
    stream = open_bytes(path, form.compression)
    return PackedReader(stream, limit_bytes) if form.kind == "msgpack" else LineReader(stream, limit_bytes)


class Place:
    """A file or a directory of files, as the settings name it.

    A directory is looked through recursively, in ascending order of relative path. Names that are hidden (`.`), marked
    as unfinished (`_`, `~`, `.tmp`, `.part` and the like) or that no known suffix ends are passed over; so are
    rotated names (`documents.jsonl.1`), which are looked at only to find a file again that was moved aside.
    """

    def __init__(self, path: str) -> None:
        self.path = Path(path)
        self.directory = self.path.is_dir() or path.endswith(("/", os.sep))
        self.root = self.path if self.directory else self.path.parent

    def file(self, name: str) -> Path:
        return self.root / name

    def files(self) -> dict[str, os.stat_result]:
        """Relative path and status of every file of documents, in order. Raises `SourceError`."""
        if not self.directory:
            try:
                return {self.path.name: self.path.stat()}
            except FileNotFoundError:
                return {}
        return {name: status for name, status, form in self._walk() if not form.rotated}

    def others(self, name: str) -> Iterator[str]:
        """Names under which the file `name` may be found after it was moved: rotated forms of it, then all others."""
        if self.directory:
            names = [other for other, _, _ in self._walk()]
        else:
            try:
                names = sorted(other for other in os.listdir(self.root) if form_of(other))
            except OSError:
                names = []
        stem = name.rsplit("/", 1)[-1].split(".", 1)[0]
        names.sort(key=lambda other: (not other.rsplit("/", 1)[-1].startswith(stem), other))
        return iter([other for other in names if other != name])

    def _walk(self) -> list[tuple[str, os.stat_result, Form]]:
        found = []
        waiting = [""]
        while waiting:
            folder = waiting.pop()
            try:
                entries = list(os.scandir(self.root / folder))
            except FileNotFoundError:
                continue
            except OSError as error:
                raise SourceError(f"{self.root / folder} cannot be listed: {error.strerror}") from None
            for entry in entries:
                if _TEMPORARY.search(entry.name):
                    continue
                name = f"{folder}{entry.name}"
                try:
                    if entry.is_dir():
                        if not entry.is_symlink():  # a link may lead in a circle
                            waiting.append(name + "/")
                    elif (form := form_of(entry.name)) is not None and entry.is_file():
                        found.append((name, entry.stat(), form))
                except OSError:
                    continue  # it went away meanwhile
        return sorted(found, key=lambda item: item[0])
