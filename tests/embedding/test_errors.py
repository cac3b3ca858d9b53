"""Errors of embedders reach another process as they are."""

from __future__ import annotations

import pickle

from tsds_stream.embedding.base import EmbedderUnavailable, EmbeddingFailed, Failure


def test_an_outage_survives_pickling_with_its_delay() -> None:
    error = EmbedderUnavailable("the server does not answer", 2.5)
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 -- made here
    assert type(copy) is EmbedderUnavailable
    assert (str(copy), copy.retry_after) == (str(error), 2.5)


def test_failed_texts_survive_pickling_with_their_reasons() -> None:
    error = EmbeddingFailed({3: Failure("refused", "9 tokens"), 1: Failure("empty", "no words")})
    copy = pickle.loads(pickle.dumps(error))  # noqa: S301 -- made here
    assert type(copy) is EmbeddingFailed
    assert (str(copy), copy.failures) == (str(error), error.failures)
