"""Texts made fit for tokenizers and servers."""

from __future__ import annotations

from typing import Final

from tsds_stream.embedding.base import Failure

EMPTY: Final = Failure("empty", "The text is empty or blank.")


def is_blank(text: str) -> bool:
    """Nothing but white space; such a text says nothing, so it gets no vector."""
    return not text or text.isspace()


def valid_unicode(text: str) -> str:
    """`text` with every lone surrogate, which no UTF-8 can hold, replaced by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def first_bytes(text: str, limit: int) -> str:
    """The longest beginning of `text` (valid Unicode) that takes at most `limit` UTF-8 bytes."""
    if len(text) * 4 <= limit:
        return text
    return text[:limit].encode()[:limit].decode(errors="ignore")
