"""Averaged token vectors: the 256-dimensional model inside the installed package `wordllama`.

The package itself is not imported (it reconfigures logging and brings a web client); its weights and its tokenizer are
read from its folder, so nothing is ever downloaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy as np
from safetensors.numpy import load as load_tensors

from tsds_stream.embedding.base import Embedder, EmbedderError, EmbedResult
from tsds_stream.embedding.settings import StaticSettings
from tsds_stream.embedding.text import EMPTY, is_blank, valid_unicode
from tsds_stream.embedding.words import WordTokenizer

WEIGHTS: Final = "weights/l2_supercat_256.safetensors"
TOKENIZER: Final = "tokenizers/l2_supercat_tokenizer_config.json"
CHARACTERS_PER_TOKEN: Final = 8  # English prose has about four
MAX_TOKENS: Final = 2**25  # the limit of exact sums (below); no document comes near it
_BLOCK_CHARACTERS: Final = 2**19
_ROWS: Final = 2048  # token vectors gathered at a time: 4 MiB


class StaticEmbedder(Embedder):
    """The mean of a text's token vectors; (n, 256) float32, not normalised.

    A text gets the same bits in any batch: its token vectors are float16, so multiples of 2^-24 below 2^4, and their
    sums in float64 are exact, whatever the order, for up to 2^25 tokens. Two roundings follow: the division by the
    number of tokens, and float32.

    Truncation: the first 8 · `max_tokens` characters of a text are tokenised, the first `max_tokens` tokens are used.

    Raises:
        EmbedderError: the package or one of its files is missing or of an unknown kind.
    """

    def __init__(self, settings: StaticSettings | None = None) -> None:
        self._max_tokens = (settings or StaticSettings()).max_tokens
        folder = _package_folder()
        try:
            weights = (folder / WEIGHTS).read_bytes()
            definition = (folder / TOKENIZER).read_bytes()
        except OSError as error:
            raise EmbedderError(
                f"The package wordllama has no {error.filename}: install wordllama>=0.4,<0.5 again."
            ) from error
        table = load_tensors(weights)["embedding.weight"]
        if table.dtype != np.float16 or not np.isfinite(table).all() or np.abs(table).max() >= 2**4:
            raise EmbedderError("The weights of the package wordllama are of an unknown kind: install wordllama 0.4.")
        try:
            self._tokenize = WordTokenizer(definition)
        except ValueError as error:
            raise EmbedderError(f"The tokenizer of the package wordllama cannot be used: {error}.") from error
        self._table = table.astype(np.float64)
        options = f"max_tokens={self._max_tokens};characters_per_token={CHARACTERS_PER_TOKEN}".encode()
        parts = (blake2b(part, digest_size=32).digest() for part in (weights, definition, options))
        self._fingerprint = f"static:wordllama-{table.shape[1]}:{blake2b(b''.join(parts), digest_size=6).hexdigest()}"

    @property
    def dimension(self) -> int:
        return int(self._table.shape[1])

    @property
    def fingerprint(self) -> str:
        """`static:wordllama-256:` and a hash of weights, tokenizer and truncation."""
        return self._fingerprint

    @property
    def batch_independent(self) -> bool:
        return True

    def embed_all(self, texts: Sequence[str]) -> EmbedResult:
        result = EmbedResult(np.zeros((len(texts), self.dimension), np.float32))
        limit = self._max_tokens or MAX_TOKENS
        for start, block in _blocks(texts, limit * CHARACTERS_PER_TOKEN):
            ids, starts = self._tokenize(block)
            lengths = np.minimum(np.diff(starts), limit)
            for i, (first, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=False)):
                if is_blank(block[i]):
                    result.failures[start + i] = EMPTY
                else:
                    result.vectors[start + i] = self._sum(ids[first : first + length]) / length
        return result

    def _sum(self, ids: np.ndarray[tuple[int], np.dtype[np.int32]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        total = np.zeros(self.dimension)
        for start in range(0, len(ids), _ROWS):
            rows = self._table.take(ids[start : start + _ROWS], axis=0)
            total += np.dot(_ONES[: len(rows)], rows)  # twice as fast as sum(axis=0), and as exact
        return total

    def close(self) -> None:
        """Nothing is held but memory."""


_ONES: Final = np.ones(_ROWS)


def _package_folder() -> Path:
    spec = find_spec("wordllama")  # finds it without importing it
    if spec is None or not spec.submodule_search_locations:
        raise EmbedderError('embedder.kind = "static" needs the package wordllama: pip install "wordllama>=0.4,<0.5".')
    return Path(spec.submodule_search_locations[0])


def _blocks(texts: Sequence[str], limit: int) -> Iterator[tuple[int, list[str]]]:
    """Consecutive texts, each cut to `limit` characters, in blocks that bound the working memory."""
    block: list[str] = []
    start = size = 0
    for i, text in enumerate(texts):
        block.append(valid_unicode(text[:limit]))
        size += len(block[-1])
        if size >= _BLOCK_CHARACTERS:
            yield start, block
            block, start, size = [], i + 1, 0
    if block:
        yield start, block
