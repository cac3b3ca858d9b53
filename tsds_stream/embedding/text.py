"""Texts made fit for tokenizers and servers."""

from __future__ import annotations


def valid_unicode(text: str) -> str:
    """`text` with every lone surrogate, which no UTF-8 can hold, replaced by U+FFFD."""
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
