"""Features of texts that a selection of unlabelled texts teaches: latent semantic analysis."""

from __future__ import annotations

from typing import Final

import numpy as np

from tsds_stream.comparison.words import Words
from tsds_stream.selection.arithmetic import Float32, Float64

_ROUNDS: Final = 4  # of subspace iteration
_SPARE: Final = 16  # directions beyond those asked for


class Latent:
    """The leading directions of a term-document matrix (Deerwester et al., 1990).

    Entries are (1 + log count) · log(texts / texts with the word), rows of length 1.

    Args:
        texts: to learn from. directions: at most so many. words: the most frequent ones that are in two texts at least.
    """

    def __init__(self, texts: Words, directions: int = 64, words: int = 5000) -> None:
        counts = _counts(texts, np.arange(len(texts.lexicon)), len(texts.lexicon))
        self._columns = np.full(len(texts.lexicon), -1)
        holding = np.bincount(counts[1], minlength=len(self._columns))
        frequent = np.argsort(-holding, kind="stable")[:words]
        frequent = frequent[holding[frequent] >= 2]
        self._columns[frequent] = np.arange(len(frequent))
        self._rarity: Float64 = np.log(len(texts) / holding[frequent])
        matrix = self._matrix(texts)
        width = min(directions + _SPARE, *matrix.shape)
        basis = np.random.default_rng(0).standard_normal((matrix.shape[1], width)).astype(np.float32)
        for _ in range(_ROUNDS):
            basis = np.linalg.qr(matrix.T @ (matrix @ basis))[0]
        _, _, right = np.linalg.svd(matrix @ basis, full_matrices=False)
        self._directions: Float32 = (basis @ right[:directions].T).astype(np.float32)

    def features(self, texts: Words) -> Float32:
        """(n, directions) float32, rows of length 1, or 0 for a text of which no word is known."""
        return _of_length_one(self._matrix(texts) @ self._directions)

    def _matrix(self, texts: Words) -> Float32:
        columns = np.full(len(texts.lexicon), -1)  # words met since then are unknown
        columns[: len(self._columns)] = self._columns
        row, column, count = _counts(texts, columns, len(self._rarity))
        matrix = np.zeros((len(texts), len(self._rarity)), np.float32)
        matrix[row, column] = (1 + np.log(count)) * self._rarity[column]
        return _of_length_one(matrix)


def _counts(texts: Words, columns: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Row, column and count of every word of every text that has a column."""
    text = np.repeat(np.arange(len(texts)), texts.lengths)
    column = columns[texts.flat]
    pairs, count = np.unique(text[column >= 0] * width + column[column >= 0], return_counts=True)
    return pairs // width, pairs % width, count


def _of_length_one(rows: Float32) -> Float32:
    lengths = np.sqrt((rows * rows).sum(1, keepdims=True))
    scaled: Float32 = rows / np.where(lengths > 0, lengths, 1)
    return scaled
