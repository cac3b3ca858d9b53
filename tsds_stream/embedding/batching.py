"""Texts grouped into requests, bounded by count and by estimated tokens."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

BYTES_PER_TOKEN: Final = 4  # of UTF-8; a rule of thumb that holds for most tokenizers on English prose


def estimated_tokens(text: str) -> int:
    """UTF-8 bytes / 4, rounded up."""
    return -(-len(text.encode()) // BYTES_PER_TOKEN)


def batches(texts: Sequence[str], max_count: int, max_tokens: int) -> Iterator[range]:
    """Consecutive positions of `texts`, at most `max_count` and `max_tokens` at a time; a longer text stands alone."""
    start = tokens = 0
    for i, text in enumerate(texts):
        size = estimated_tokens(text)
        if i > start and (i - start == max_count or tokens + size > max_tokens):
            yield range(start, i)
            start, tokens = i, 0
        tokens += size
    if start < len(texts):
        yield range(start, len(texts))
