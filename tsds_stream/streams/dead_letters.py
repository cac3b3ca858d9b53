"""Dead letters in a file: one JSON object per line, from which the original bytes can be had back.

`key` and `value` are strings where the bytes are UTF-8; else they are null and `key_base64`, `value_base64` hold them.
A record that had headers has `headers`, a list of {"name", "value"}, with `value_base64` in the same way.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Iterator
from pathlib import Path

import orjson

from tsds_stream.records import DeadLetter, Json
from tsds_stream.sealed import DamagedFileError
from tsds_stream.streams.layout import Layout


def encode_dead_letter(letter: DeadLetter) -> bytes:
    """One line, with its newline."""
    record = {"reason": letter.reason, "detail": letter.detail, "source": letter.source, "created": letter.created}
    record |= _shown("key", letter.key) | _shown("value", letter.value)
    if letter.headers:
        record["headers"] = [{"name": name} | _shown("value", data) for name, data in letter.headers]
    return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)


def decode_dead_letter(line: bytes) -> DeadLetter:
    """Raises `ValueError` for a line that is none."""
    try:
        record = orjson.loads(line)
        return DeadLetter(
            record["reason"],
            record["detail"],
            record["source"],
            _hidden(record, "key"),
            _hidden(record, "value"),
            record["created"],
            tuple((one["name"], _hidden(one, "value") or b"") for one in record.get("headers", ())),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not a dead letter: {error}") from error


def read_dead_letters(root: Path) -> Iterator[DeadLetter]:
    """Those of a snapshot directory, oldest first. A line that is only half written yet is left out.

    Raises:
        DamagedFileError: a whole line is not a dead letter.
    """
    path = Layout(root).dead_letters
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return
            try:
                letter = decode_dead_letter(line)
            except ValueError as error:
                remedy = "Take the line out while no writer is running, or move the file away to begin a new one."
                raise DamagedFileError(path, f"is damaged in line {number}", remedy) from error
            yield letter


def _shown(name: str, data: bytes | None) -> Json:
    if data is None:
        return {name: None}
    try:
        return {name: data.decode()}
    except UnicodeDecodeError:
        return {name: None, f"{name}_base64": b64encode(data).decode()}


def _hidden(record: Json, name: str) -> bytes | None:
    encoded = record.get(f"{name}_base64")
    if encoded is not None:
        return b64decode(encoded, validate=True)
    text: str | None = record[name]
    return None if text is None else text.encode()
