"""The records of the served log: lines of JSON behind their CRC-32, so that each one can be believed or not.

A segment begins with a `Header`; `Served` records follow.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import orjson

FORMAT: Final = 1
_HEAD: Final = 9  # of a line: the checksum and a space
_NAME: Final = "served log"


class Header(NamedTuple):
    """Under which circumstances a segment was written.

    Attributes:
        world_size: how many ranks there were; 0: not known.
        step: with which this life of the run began, or went on after a state was loaded.
        time: when that was, in milliseconds since the epoch; step and time tell one life of a rank from the next.
        part: how many segments this life has before this one.
    """

    rank: int
    world_size: int
    step: int
    time: int
    part: int


class Served(NamedTuple):
    """Documents of one batch of one rank, all of one source, in the order of the batch.

    Attributes:
        time: when the batch was yielded, in milliseconds since the epoch.
        source: target set, or name within a mixture.
        revision: 0 for documents that come from no selection.
    """

    step: int
    time: int
    source: str
    revision: int
    epoch: int
    ids: list[str]


class UnknownFormatError(Exception):
    """The log is of another version; the message is a clause that says of which."""


def line_of_header(header: Header) -> bytes:
    return _line((_NAME, FORMAT, *header))


def line_of(step: int, time: int, source: str, revision: int, epoch: int, ids: Sequence[str]) -> bytes:
    return _line((step, time, source, revision, epoch, list(ids)))


def header_in(line: bytes) -> Header | None:
    """The header in a line without its end; None: this is none, or not what was written.

    Raises:
        UnknownFormatError: it is one of another version.
    """
    if not is_whole(line) or step_in(line) is not None:
        return None
    values = _taken_apart(line)
    if values[1] != FORMAT:
        raise UnknownFormatError(f"has format {values[1]}, and this version reads {FORMAT}")
    return Header(*values[2:])


def step_in(line: bytes) -> int | None:
    """The step of the record in a whole line; None: it holds a header."""
    first = line[_HEAD + 1 : line.find(b",", _HEAD)]
    return int(first) if first.isdigit() else None


def served_in(line: bytes) -> Served:
    """The record in a whole line that holds one."""
    return Served(*_taken_apart(line))


def is_whole(line: bytes) -> bool:
    """Whether a line, without its end, is what was written."""
    return line[:_HEAD] == _checksum(line[_HEAD:])


def quoted(id: str) -> set[bytes]:
    """As an id may stand in a line."""
    return {_json(id), json.dumps(id).encode()}


def _line(values: Sequence[object]) -> bytes:
    body = _json(values)
    return b"%b%b\n" % (_checksum(body), body)


def _taken_apart(line: bytes) -> list[Any]:
    try:
        values: list[Any] = orjson.loads(line[_HEAD:])
    except orjson.JSONDecodeError:
        values = json.loads(line[_HEAD:])
    return values


def _json(value: object) -> bytes:
    try:
        return orjson.dumps(value)
    except TypeError:  # a text that has no UTF-8 form, as ids of other people's corpora may be
        return json.dumps(value).encode()


def _checksum(body: bytes) -> bytes:
    return b"%08x " % zlib.crc32(body)
