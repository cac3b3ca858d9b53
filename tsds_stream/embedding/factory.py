"""From settings to an embedder."""

from __future__ import annotations

from tsds_stream.embedding.base import Embedder
from tsds_stream.embedding.settings import (
    EmbedderSettings,
    HashingSettings,
    HttpSettings,
    PrecomputedSettings,
    StaticSettings,
    TransformerSettings,
)


def create(settings: EmbedderSettings) -> Embedder:
    """The embedder that `settings` describe, loaded and ready.

    Raises:
        EmbedderError: a package, model, key or file is missing; the message says how to get it.
    """
    # Only the chosen kind is imported: none pays for the tokenizers, sockets or torch of another.
    match settings:
        case StaticSettings():
            from tsds_stream.embedding.static import StaticEmbedder

            return StaticEmbedder(settings)
        case TransformerSettings():
            from tsds_stream.embedding.transformer import TransformerEmbedder

            return TransformerEmbedder(settings)
        case HttpSettings():
            from tsds_stream.embedding.http import HttpEmbedder

            return HttpEmbedder(settings)
        case PrecomputedSettings():
            from tsds_stream.embedding.precomputed import PrecomputedEmbedder

            return PrecomputedEmbedder(settings)
        case HashingSettings():
            from tsds_stream.embedding.hashing import HashingEmbedder

            return HashingEmbedder(settings)
