"""What one field of a record may be, and the reason that is given where it is something else."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from hashlib import blake2b
from typing import Final, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds_stream.records import Json

Reason = Literal[
    "decode", "encoding", "not_an_object", "nesting", "id", "no_text", "no_embedding", "text", "embedding", "tokens",
    "timestamp", "meta", "weight", "group", "deleted", "too_large",
]  # fmt: skip

MAX_ID_BYTES: Final = 1024  # UTF-8; ids are keys of brokers and of the payload store
_LEAVES: Final = frozenset((str, int, float, bool, type(None)))
MAX_NESTING: Final = 100  # orjson writes at most 254 levels, and a selection record wraps `meta` in some
MAX_DIMENSION: Final = 2**14
MAX_TOKENS: Final = 2**40
TIMESTAMP_LIMIT: Final = 2**62  # of the absolute value, so that watermark - ttl stays in int64


class RecordError(Exception):
    """A record cannot be used; `reason` is a short stable code, `detail` a sentence for whoever wrote the record."""

    def __init__(self, reason: Reason, detail: str) -> None:
        super().__init__(detail)
        self.reason: Reason = reason
        self.detail = detail


def count_tokens(text: str) -> int:
    """The default token count of a text: its UTF-8 bytes divided by four, rounded up."""
    size = len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
    return (size + 3) // 4


def content_id(content: str | NDArray[np.float32]) -> str:
    """The id of a record that brings none: hex blake2b-128 of its UTF-8 text or of its float32 embedding."""
    data = content.encode() if isinstance(content, str) else np.ascontiguousarray(content, "<f4").tobytes()
    return blake2b(data, digest_size=16).hexdigest()


def record_id(identifier: object, key: bytes | str | None) -> str | None:
    """The id that a record states, or its key; None where it has neither."""
    if identifier is None:
        if not key:
            return None
        try:
            identifier = key.decode() if isinstance(key, bytes) else key
        except UnicodeDecodeError:
            raise RecordError("id", "the record has no id, and its key is not UTF-8") from None
    if type(identifier) is int:
        return str(identifier)
    if not isinstance(identifier, str):
        raise RecordError("id", f"id must be a string, not {shown(identifier)}")
    try:
        size = len(identifier.encode())
    except UnicodeEncodeError:
        raise RecordError("id", "id holds half of a surrogate pair") from None
    if not 1 <= size <= MAX_ID_BYTES:
        raise RecordError("id", f"id must have 1 to {MAX_ID_BYTES} bytes, not {size}")
    return identifier


def usable_text(text: object) -> str | None:
    """A usable text, or None where there is none."""
    if text is None:
        return None
    if not isinstance(text, str):
        raise RecordError("text", f"text must be a string, not {shown(text)}")
    return text if text and not text.isspace() else None


def milliseconds(stated: object) -> int:
    if type(stated) is int:
        return stated
    if isinstance(stated, str):
        try:
            moment = datetime.fromisoformat(stated.removesuffix("Z") + "+00:00" if stated.endswith("Z") else stated)
            moment = moment.replace(tzinfo=timezone.utc) if moment.tzinfo is None else moment
            return (moment - datetime(1970, 1, 1, tzinfo=timezone.utc)) // timedelta(milliseconds=1)
        except (ValueError, OverflowError):
            pass
    raise RecordError("timestamp", f"timestamp must be whole milliseconds or an ISO 8601 string, not {shown(stated)}")


def out_of_range(timestamp: int, latest: int) -> str:
    if latest < timestamp < TIMESTAMP_LIMIT:
        return f"the timestamp {timestamp} lies further ahead of the clock than source.max_future allows"
    return f"the timestamp {timestamp} is out of range"


def plain_meta(fields: Json) -> Json:
    """What a record says besides; checked to be writable as JSON, since that is how it is published."""
    meta = fields.pop("meta", None)
    if meta is not None:
        named = meta if isinstance(meta, dict) else {"meta": meta}
        fields = {**fields, **named} if fields else named
    if not _LEAVES.issuperset(map(type, fields.values())):
        _check_nesting(fields)
    try:
        orjson.dumps(fields)
    except TypeError as error:
        raise RecordError("meta", f"meta cannot be written as JSON: {error}") from None
    return fields


def _check_nesting(fields: Json) -> None:
    level: list[object] = [fields]
    for _ in range(MAX_NESTING):
        level = [
            child
            for item in level
            for child in (item.values() if isinstance(item, dict) else item if isinstance(item, list) else ())
            if child.__class__ is dict or child.__class__ is list
        ]
        if not level:
            return
    raise RecordError("nesting", f"meta is nested deeper than {MAX_NESTING} levels")


def unusable(vector: NDArray[np.float32]) -> RecordError:
    if not np.isfinite(vector).all():
        return RecordError("embedding", "the embedding has a number that is not finite")
    return RecordError("embedding", "the embedding is the zero vector")


def shown(value: object) -> str:
    """A value in an error message: its type, and the value where it is short."""
    shown = repr(value) if isinstance(value, (str, int, float, bool, type(None))) else ""
    return f"{type(value).__name__} {shown}" if 0 < len(shown) <= 40 else f"a {type(value).__name__}"
