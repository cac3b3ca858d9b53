"""Target examples from files. The files are declarative: a line is an example, and a removed line withdraws it.

The same kinds of file as for documents: lines, msgpack, Parquet (fields id?, text or embedding, weight?, group?), or
plain text with one example per line (.txt). A directory holds all examples of all its files. An example without id is
named by its content, so equal lines are one example. `{"id": …, "deleted": true}` is refused: remove the line.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import blake2b

from tsds_stream.codecs import Decoder, RecordError
from tsds_stream.records import Json, Target
from tsds_stream.streams.base import SourceError
from tsds_stream.streams.line_numbers import LineNumbers
from tsds_stream.streams.listing import Place, form_of, open_reader
from tsds_stream.streams.readers import Bad, Reader

_SHOWN = 20  # problems that one error names
_LONGEST = 16 * 1024 * 1024  # bytes of one example

Signature = dict[str, tuple[int, int]]


class TargetFile:
    """The examples of one target set; `changed` notices edits by size and time, and then by content.

    Args:
        path: a file, or a directory of files.
        decoder: `Decoder.target` makes examples of values.
    """

    positions = None  # a file is read whole
    tolerant = False  # and whoever edits it is there to mend it

    def __init__(self, path: str, decoder: Decoder) -> None:
        self.path = path
        self._decoder = decoder
        self._place = Place(path)
        self._seen: Signature | None = None
        self._digest = ""

    def read(self) -> list[Target]:
        """All examples, in ascending UTF-8 order of id.

        Raises:
            SourceError: a file is missing or empty, or lines of it are no examples or name one id twice. Nothing of a
                faulty file is used: a half-written list of targets must not withdraw the rest.
        """
        seen, digest = self._signature(), self._content()
        targets: dict[str, Target] = {}
        origins: dict[str, str] = {}
        problems: list[str] = []
        names = list(seen)
        if not names:
            raise SourceError(f"{self.path}: no file of target examples is there")
        for name in names:
            for where, value in self._values(name, problems):
                try:
                    target = self._decoder.target(value)
                    if target.deleted:
                        raise RecordError("deleted", "target files are declarative: remove the line to withdraw it")
                except RecordError as error:
                    problems.append(f"{where}: {error.detail}")
                    continue
                known = targets.get(target.id)
                if known is not None and _key(known) != _key(target):
                    problems.append(f"{where}: another example has the id {target.id!r} ({origins[target.id]})")
                targets[target.id], origins[target.id] = target, where
        if problems:
            more = f"\n  and {len(problems) - _SHOWN} more" if len(problems) > _SHOWN else ""
            raise SourceError("These target examples cannot be used:\n  " + "\n  ".join(problems[:_SHOWN]) + more)
        if not targets:
            raise SourceError(
                f'{self.path} holds no target example: write a line for each, as {{"id": "...", "text": "..."}}'
            )
        self._seen, self._digest = seen, digest
        return [targets[key] for key in sorted(targets)]

    def changed(self) -> bool:
        """Whether the content is another than at the last successful `read`. Cheap while size and time stay."""
        seen = self._signature()
        if seen == self._seen:
            return False
        if self._seen is not None and self._content() == self._digest:
            self._seen = seen  # touched only
            return False
        return True

    def _signature(self) -> Signature:
        return {name: (status.st_size, status.st_mtime_ns) for name, status in self._place.files().items()}

    def _content(self) -> str:
        digest = blake2b(digest_size=16)
        for name in self._place.files():
            digest.update(os.fsencode(name) + b"\0")
            try:
                with self._place.file(name).open("rb") as file:
                    while data := file.read(1 << 20):
                        digest.update(data)
            except OSError as error:
                raise SourceError(f"{self._place.file(name)} cannot be read: {error.strerror}") from None
        return digest.hexdigest()

    def _values(self, name: str, problems: list[str]) -> list[tuple[str, bytes | Json]]:
        """Where each value of a file stands, and the value."""
        path = self._place.file(name)
        form = form_of(name)
        try:
            if form is not None and form.kind == "text":
                return [(f"{path} line {n}", {"text": line}) for n, line in _plain_lines(path.read_bytes())]
            reader = open_reader(path, name, _LONGEST)
        except (OSError, UnicodeDecodeError) as error:
            raise SourceError(f"{path} cannot be read: {error}") from None
        try:
            values, bad = _all(reader)
        finally:
            reader.close()
        numbers = LineNumbers()

        def where(start: int) -> str:
            if form is not None and form.kind != "lines":
                return f"{path} at {start}"
            line = numbers.at(path, form.compression if form is not None else "", start)
            return f"{path} line {line}" if line is not None else f"{path} at byte {start}"

        try:
            problems += [f"{where(one.start)}: {one.detail}" for one in bad]
            return [(where(start), value) for start, value in values]
        finally:
            numbers.close()


def diff(old: Sequence[Target], new: Sequence[Target]) -> tuple[list[Target], list[str]]:
    """What leads from one list of examples to another: (added or changed examples, ids of withdrawn ones)."""
    before = {target.id: _key(target) for target in old}
    after = {target.id for target in new}
    return (
        [target for target in new if before.get(target.id) != _key(target)],
        [target.id for target in old if target.id not in after],
    )


def _key(target: Target) -> tuple[object, ...]:
    embedding = None if target.embedding is None else target.embedding.tobytes()
    return (target.text, embedding, target.weight, target.group)


def _plain_lines(data: bytes) -> list[tuple[int, str]]:
    text = data.decode("utf-8-sig")
    return [(n, line.rstrip("\r")) for n, line in enumerate(text.split("\n"), 1) if line.strip()]


def _all(reader: Reader) -> tuple[list[tuple[int, bytes | Json]], list[Bad]]:
    values: list[tuple[int, bytes | Json]] = []
    bad: list[Bad] = []
    while True:
        piece = reader.take(4096, None, True)
        values += zip(piece.starts, piece.values, strict=True)
        bad += piece.bad
        if piece.broken or not piece.more:
            return values, bad
