"""Records of files as records of a topic: the key is the id, the value is what stands in the file."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import msgpack
import numpy as np
import orjson

from tsds_stream.codecs import Decoder
from tsds_stream.fields import RecordError, record_id
from tsds_stream.records import Json
from tsds_stream.streams.base import SourceError
from tsds_stream.streams.line_numbers import LineNumbers
from tsds_stream.streams.listing import Form, Place, form_of, open_reader
from tsds_stream.streams.readers import Reader

_LIMIT: Final = 1024  # records of a file at a time
_LINES: Final = Form("lines", "", False)


class Keyed(NamedTuple):
    """A record to be sent; `value` None takes the document away."""

    key: bytes
    value: bytes | None
    where: str


class Unkeyed(NamedTuple):
    """A record that cannot be sent."""

    where: str
    why: str


@dataclass(slots=True)
class Part:
    """Some records of a file, and the bytes of all files that are behind us."""

    records: list[Keyed | Unkeyed]
    done: int


class Feed:
    """The records of files, directories of files, or "-": standard input, line by line.

    Args:
        longest: bytes of one record.
        target_set: the files hold target examples of this set, not documents.
    """

    def __init__(self, paths: Sequence[str], longest: int, target_set: str | None = None) -> None:
        self._paths = paths
        self._longest = longest
        self._target_set = target_set
        self._decoder = Decoder()
        self._behind = 0

    def __iter__(self) -> Iterator[Part]:
        """Raises `SourceError` when a file cannot be read."""
        for path in self._paths:
            if path == "-":
                yield from self._lines_of_stdin()
                continue
            place = Place(path)
            files = place.files()
            if not files:
                raise SourceError(f"{path} does not exist" if not place.path.exists() else f"{path} holds no files")
            for name, status in files.items():
                yield from self._file(place.file(name), name, status.st_size)
                self._behind += status.st_size

    def _file(self, path: Path, name: str, size: int) -> Iterator[Part]:
        form = form_of(name) or _LINES
        try:
            if form.kind == "text" and self._target_set is not None:
                yield Part(self._keyed(_plain_lines(path)), self._behind + size)
                return
            reader = open_reader(path, name, self._longest)
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{path} cannot be read: {error}") from None
        try:
            yield from self._pieces(reader, path, form, size)
        finally:
            reader.close()

    def _pieces(self, reader: Reader, path: Path, form: Form, size: int) -> Iterator[Part]:
        places = _Places(path, form)
        try:
            while True:
                piece = reader.take(_LIMIT, None, True)
                values = [(places.of(start), value) for start, value in zip(piece.starts, piece.values, strict=True)]
                made = self._keyed(values)
                for position, one in enumerate(made):
                    if isinstance(one, Unkeyed):
                        made[position] = one._replace(where=places.exactly(piece.starts[position]))
                made += [Unkeyed(places.exactly(bad.start), bad.detail) for bad in piece.bad]
                yield Part(made, self._behind + max(0, size - reader.left))
                if piece.broken or not piece.more:
                    return
        finally:
            places.close()

    def _lines_of_stdin(self) -> Iterator[Part]:
        for number, line in enumerate(sys.stdin.buffer, 1):
            self._behind += len(line)
            if line.strip():
                yield Part(self._keyed([(f"standard input line {number}", line.rstrip(b"\r\n"))]), self._behind)

    def _keyed(self, values: Sequence[tuple[str, bytes | Json]]) -> list[Keyed | Unkeyed]:
        if self._target_set is not None:
            return [self._target(where, value) for where, value in values]
        # Decoding takes fields apart that are decoded already.
        given = [dict(value) if isinstance(value, dict) else value for _, value in values]
        documents, errors = self._decoder.documents(given)
        wrong, good = dict(errors), iter(documents)
        made: list[Keyed | Unkeyed] = []
        for position, (where, value) in enumerate(values):
            if position in wrong:
                made.append(_by_id_alone(where, value, wrong[position]))
            else:
                document = next(good)
                made.append(Keyed(document.id.encode(), None if document.deleted else _encoded(value), where))
        return made

    def _target(self, where: str, value: bytes | Json) -> Keyed | Unkeyed:
        try:
            target = self._decoder.target(dict(value) if isinstance(value, dict) else value)
        except RecordError as error:
            return Unkeyed(where, error.detail)
        key = f"{self._target_set}/{target.id}".encode()
        return Keyed(key, None if target.deleted else _encoded(value), where)


class _Places:
    """Where records of a file stand, for people; lines are counted only where one is asked for."""

    def __init__(self, path: Path, form: Form) -> None:
        self._path = path
        self._form = form
        self._numbers = LineNumbers()

    def of(self, start: int) -> str:
        return f"{self._path} at {start}"

    def exactly(self, start: int) -> str:
        if self._form.kind != "lines":
            return self.of(start)
        line = self._numbers.at(self._path, self._form.compression, start)
        return self.of(start) if line is None else f"{self._path} line {line}"

    def close(self) -> None:
        self._numbers.close()


def _by_id_alone(where: str, value: bytes | Json, error: RecordError) -> Keyed | Unkeyed:
    """A record that is no document but has an id is sent all the same: its reader has to say what becomes of it."""
    try:
        fields = value if isinstance(value, dict) else orjson.loads(value)
        identifier = record_id(fields.get("id"), None) if isinstance(fields, dict) else None
    except (ValueError, RecordError):
        identifier = None
    return Unkeyed(where, error.detail) if identifier is None else Keyed(identifier.encode(), _encoded(value), where)


def _encoded(value: bytes | Json) -> bytes:
    """Bytes as they are; fields as JSON, or as msgpack where they hold bytes or a vector, which JSON would bloat."""
    if isinstance(value, bytes):
        return value
    embedding = value.get("embedding")
    if isinstance(embedding, np.ndarray):
        value = {**value, "embedding": np.ascontiguousarray(embedding, "<f4").tobytes()}
    if isinstance(value.get("embedding"), bytes):
        packed: bytes = msgpack.packb(value)
        return packed
    return orjson.dumps(value)


def _plain_lines(path: Path) -> list[tuple[str, bytes | Json]]:
    """One target example per line."""
    lines = path.read_bytes().decode("utf-8-sig").split("\n")
    return [(f"{path} line {n}", {"text": line.rstrip("\r")}) for n, line in enumerate(lines, 1) if line.strip()]
