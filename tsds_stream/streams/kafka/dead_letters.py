"""Dead letters in a topic: the original key, value and headers, and behind them headers that say why.

tsds-reason     a short code
tsds-detail     a sentence
tsds-source     JSON: {"topic", "partition", "offset"}, or what the source was
tsds-created    milliseconds since the epoch
tsds-null       "key", "value" or "key,value": what was null; a record must have one of them, so that a value may be
                empty instead
tsds-truncated  "1": the record did not fit; its value (at need also its key and headers) is left out
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import orjson

from tsds_stream.records import DeadLetter
from tsds_stream.streams.kafka.encoding import Wire

REASON: Final = "tsds-reason"
DETAIL: Final = "tsds-detail"
SOURCE: Final = "tsds-source"
CREATED: Final = "tsds-created"
NULL: Final = "tsds-null"
TRUNCATED: Final = "tsds-truncated"
_MOST_DETAIL: Final = 4000  # bytes


def encode_letter(letter: DeadLetter) -> Wire:
    """All of a dead letter."""
    return _wire(letter, letter.key, letter.value, letter.headers)


def encode_references(letter: DeadLetter) -> tuple[Wire, Wire]:
    """What to send where all of it does not fit: without the value, and at need without key and headers, too."""
    truncated = ((TRUNCATED, b"1"),)
    return _wire(letter, letter.key, None, letter.headers, truncated), _wire(letter, None, None, (), truncated)


def decode_letter(key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes | None]]) -> DeadLetter:
    """What `encode_letter` was given; one that was truncated has `TRUNCATED` among its headers.

    Raises:
        ValueError: the record is not a dead letter.
    """
    names = [name for name, _ in headers]
    if REASON not in names:
        raise ValueError(f"not a dead letter: it has no header {REASON}")
    ours = len(names) - 1 - names[::-1].index(REASON)  # the original may have been a dead letter, too
    told = dict(headers[ours:])
    try:
        null = (told.get(NULL) or b"").decode().split(",")
        truncated = TRUNCATED in told
        original = [(name, data) for name, data in headers[:ours] if data is not None]
        return DeadLetter(
            _text(told[REASON]),
            _text(told[DETAIL]),
            orjson.loads(told[SOURCE] or b""),
            None if "key" in null else key,
            None if truncated or "value" in null else value,
            int(_text(told[CREATED])),
            (*original, (TRUNCATED, b"1")) if truncated else tuple(original),
        )
    except (KeyError, ValueError) as error:
        raise ValueError(f"not a dead letter: {error!r}") from error


def _wire(
    letter: DeadLetter,
    key: bytes | None,
    value: bytes | None,
    headers: tuple[tuple[str, bytes], ...],
    more: tuple[tuple[str, bytes], ...] = (),
) -> Wire:
    null = ",".join(name for name, data in (("key", letter.key), ("value", letter.value)) if data is None)
    ours = (
        (REASON, letter.reason.encode()),
        (DETAIL, letter.detail.encode("utf-8", "backslashreplace")[:_MOST_DETAIL]),
        (SOURCE, orjson.dumps(letter.source)),
        (CREATED, b"%d" % letter.created),
        *(((NULL, null.encode()),) if null else ()),
        *more,
    )
    if key is None and value is None:
        value = b""  # a record without both cannot be sent
    return Wire(key, value, (*headers, *ours))


def _text(data: bytes | None) -> str:
    if data is None:
        raise ValueError("a header without value")
    return data.decode("utf-8", "replace")
