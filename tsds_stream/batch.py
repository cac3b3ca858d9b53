"""Selection in one call, for arrays or lists of texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from tsds_stream.selection.arithmetic import Float32
from tsds_stream.selection.revision import Revision
from tsds_stream.selection.selector import Selector
from tsds_stream.selection.settings import SelectorConfig

if TYPE_CHECKING:
    from tsds_stream.embedding.base import Embedder

_BLOCK = 65_536  # documents handed to the selector at a time: a memory map is read block by block


def select(
    documents: ArrayLike | Sequence[str],
    targets: ArrayLike | Sequence[str],
    *,
    budget: int | None = 1000,
    embedder: Embedder | None = None,
    ids: Sequence[str] | None = None,
    target_ids: Sequence[str] | None = None,
    tokens: ArrayLike | None = None,
    name: str = "default",
    **settings: Any,
) -> Revision:
    """Select the best documents for a set of targets.

    Args:
        documents: (N, d) float32, or N texts.
        targets: (M, d) float32, or M texts.
        budget: documents to select; None with `token_budget`.
        embedder: for texts; default the packaged static model.
        ids: N distinct ids; default "0", "1", …. A repeated id names a new version of the same document.
        target_ids: M distinct ids; default "0", "1", …. Sums run over targets by id, so that to the last bit a
            selection is that of a stream only under the ids that its targets have there.
        tokens: (N,) integers, required with `token_budget`; counted by bytes / 4 for texts.
        settings: further fields of `SelectorConfig`.

    Returns:
        The revision; `ids` name the selected documents.

    Raises:
        ValueError: shapes that do not fit, impossible settings, targets that cannot be used, or a document that cannot
            (the message names the first).
    """
    if _are_texts(documents) or _are_texts(targets):
        from tsds_stream.codecs import count_tokens
        from tsds_stream.embedding.factory import create
        from tsds_stream.embedding.settings import StaticSettings

        embedder = embedder or create(StaticSettings())
        if _are_texts(documents):
            texts: Sequence[str] = documents  # type: ignore[assignment]
            if tokens is None and settings.get("token_budget") is not None:
                tokens = np.array([count_tokens(text) for text in texts], np.int64)
            documents = embedder.embed(texts)
        if _are_texts(targets):
            targets = embedder.embed(targets)  # type: ignore[arg-type]
    vectors: Float32 = np.asarray(documents)
    for what, values in (("documents", vectors), ("targets", np.asarray(targets))):
        if values.ndim == 0:  # one text, or an iterator
            raise ValueError(f"{what} must be a list of texts or a two-dimensional array of numbers")
    names = [str(k) for k in range(len(vectors))] if ids is None else list(ids)
    selector = Selector(targets, SelectorConfig(budget=budget, **settings), target_ids, name=name)
    counts = None if tokens is None else np.asarray(tokens)
    for start in range(0, len(names), _BLOCK):
        part = slice(start, start + _BLOCK)
        report = selector.add(names[part], vectors[part], None if counts is None else counts[part])
        if report.rejected:
            position, reason = report.rejected[0]
            raise ValueError(f"document {names[start + position]!r} cannot be used: {reason.replace('_', '-')}")
    if not selector.calibrated and len(names):
        selector.calibrate()
    revision = selector.refresh()
    if revision is None:
        raise ValueError("there is nothing to select from: no documents or no targets")
    return revision


def _are_texts(values: object) -> bool:
    return isinstance(values, list | tuple) and bool(values) and isinstance(values[0], str)
