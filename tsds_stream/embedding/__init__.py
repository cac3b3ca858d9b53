"""Embedders: texts in, vectors out, behind one protocol."""

from tsds_stream.embedding.base import (
    Embedder,
    EmbedderError,
    EmbedderUnavailable,
    EmbeddingFailed,
    EmbedResult,
    Failure,
    FingerprintMismatch,
    check_fingerprint,
)
from tsds_stream.embedding.factory import create
from tsds_stream.embedding.settings import EmbedderSettings

__all__ = [
    "EmbedResult",
    "Embedder",
    "EmbedderError",
    "EmbedderSettings",
    "EmbedderUnavailable",
    "EmbeddingFailed",
    "Failure",
    "FingerprintMismatch",
    "check_fingerprint",
    "create",
]
