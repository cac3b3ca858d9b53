"""The wire form of the selection and revisions topics: what is sent of a revision, and how it is read again.

Selection records have the key `set/id` (UTF-8) and a JSON object as value; a null value: no longer selected. Headers
are `revision` (ASCII digits) and, where there is a value, `point` (16 bytes: which point the document stands for). Keys
that begin with a colon are not documents: no target set has such a name. Revision records have the set as key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from tsds_stream.records import Json

REVISION: Final = "revision"  # header of selection records and tombstones
POINT: Final = "point"  # header of selection records
RESERVED: Final = b":"  # first byte of keys in the selection topic that are not documents
_POINT_BYTES: Final = 16
_BODY: Final = ("text", "meta")  # left out of a reference

Headers = tuple[tuple[str, bytes], ...]


class Wire(NamedTuple):
    """A record as it is sent."""

    key: bytes | None
    value: bytes | None
    headers: Headers = ()


class Change(NamedTuple):
    """One record of the selection topic: a member that is new or sent again, or (`record` is None) one that left."""

    name: str  # of the target set
    id: str
    revision: int
    record: Json | None  # without "text" and "meta" where it is a reference
    point: bytes  # key of the point; empty where `record` is None


def selection_key(name: str, identifier: str) -> bytes:
    """Of a document in a target set."""
    return f"{name}/{identifier}".encode()


def split_selection_key(key: bytes | None) -> tuple[str, str]:
    """Target set and id. Raises `ValueError` for the key of something else."""
    if key is None or key[:1] == RESERVED:
        raise ValueError("the key is not that of a document")
    name, slash, identifier = key.decode().partition("/")
    if not slash or not name or not identifier:
        raise ValueError("the key is not of the form set/id")
    return name, identifier


def encode_upsert(record: Json, point: bytes, *, reference: bool = False) -> Wire:
    """A selected document.

    Args:
        record: as it is published.
        point: 16 bytes.
        reference: leave out text and meta; `source` says where they are.
    """
    if reference:
        record = {field: value for field, value in record.items() if field not in _BODY}
    headers = ((REVISION, b"%d" % record["revision"]), (POINT, point))
    return Wire(selection_key(record["set"], record["id"]), orjson.dumps(record), headers)


def encode_removal(name: str, identifier: str, revision: int) -> Wire:
    """A document that is no longer selected since `revision`."""
    return Wire(selection_key(name, identifier), None, ((REVISION, b"%d" % revision),))


def decode_change(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> Change:
    """A record of the selection topic. Raises `ValueError` for anything else than a document of a set."""
    name, identifier = split_selection_key(key)
    told = dict(headers)
    digits = told.get(REVISION)
    if digits is None or not digits.isdigit():
        raise ValueError("the header `revision` is missing or not a number")
    if value is None:
        return Change(name, identifier, int(digits), None, b"")
    point = told.get(POINT)
    if point is None or len(point) != _POINT_BYTES:
        raise ValueError(f"the header `point` is missing or does not have {_POINT_BYTES} bytes")
    return Change(name, identifier, int(digits), _object(value), point)


def encode_revision(record: Json) -> Wire:
    """A revision record."""
    return Wire(str(record["set"]).encode(), orjson.dumps(record))


def decode_revision(key: bytes | None, value: bytes | None) -> Json:
    """A revision record. Raises `ValueError` for anything else."""
    if key is None or value is None:
        raise ValueError("a revision record has a key and a value")
    record = _object(value)
    if record.get("set") != key.decode() or not isinstance(record.get("revision"), int):
        raise ValueError("the value is not a revision record of the set that the key names")
    return record


def _object(value: bytes) -> Json:
    decoded = orjson.loads(value)
    if not isinstance(decoded, dict):
        raise ValueError("the value is not a JSON object")
    return decoded
