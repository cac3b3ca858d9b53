"""What embedding servers are asked, and how their answers are read."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, Literal

import numpy as np
import orjson

from tsds_stream.embedding.base import EmbedderError, Float32

PATHS: Final = {"tei": "/embed", "openai": "/v1/embeddings"}


class BadAnswer(Exception):  # noqa: N818 -- named for what happened
    """The server said yes, but not in its protocol; another attempt may fare better."""


def question(api: Literal["tei", "openai"], model: str | None, texts: Sequence[str]) -> bytes:
    """The JSON body that asks for the vectors of `texts`."""
    if api == "tei":
        return orjson.dumps({"inputs": list(texts), "truncate": True, "normalize": True})
    return orjson.dumps({"model": model, "input": list(texts), "encoding_format": "float"})


def vectors_of(api: Literal["tei", "openai"], body: bytes, count: int, dimension: int | None) -> Float32:
    """The vectors in an answer, in the order of the texts.

    Args:
        count: texts that were sent.
        dimension: d if it is known.

    Returns:
        (count, d) float32; entries that are null, NaN or beyond float32 are not finite.

    Raises:
        BadAnswer: not JSON, not of the protocol, or not `count` vectors of one length.
        EmbedderError: all vectors have one length, and it is not `dimension`.
    """
    answer = _decoded(body)
    rows = answer if api == "tei" else _by_index(answer, count)
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise BadAnswer("the answer is not a list of vectors")
    if len(rows) != count:
        raise BadAnswer(f"{len(rows)} vectors for {count} texts")
    lengths = {len(row) for row in rows}
    if len(lengths) > 1 or 0 in lengths:
        raise BadAnswer(f"vectors of lengths {sorted(lengths)} in one answer")
    if dimension is not None and lengths != {dimension}:
        raise EmbedderError(
            f"The embedding server answers with {lengths.pop()} numbers per text where {dimension} are expected: it "
            "serves another model than before or than configured (embedder.url, embedder.model, embedder.dimension)."
        )
    try:
        with np.errstate(over="ignore"):
            vectors = np.array(rows, np.float64).astype(np.float32)  # null becomes NaN
    except (TypeError, ValueError, OverflowError) as error:
        raise BadAnswer("a vector holds something other than numbers") from error
    if vectors.ndim != 2:
        raise BadAnswer("the vectors hold lists instead of numbers")
    return vectors


def _decoded(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    try:
        return json.loads(body)  # Python's servers write NaN, which is no JSON
    except (ValueError, RecursionError) as error:
        raise BadAnswer("the answer is not JSON") from error


def _by_index(answer: object, count: int) -> list[object]:
    data = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(data, list) or not all(isinstance(item, dict) for item in data):
        raise BadAnswer("the answer has no list `data` of objects")
    rows = {item.get("index"): item.get("embedding") for item in data if isinstance(item.get("index"), int)}
    if len(data) != count or set(rows) != set(range(count)):
        raise BadAnswer(f"the indexes are not 0 to {count - 1}, each once")
    return [rows[i] for i in range(count)]
