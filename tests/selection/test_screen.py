"""The screen loses no document that lies at or below a frontier, however documents are scaled and shared out."""

from __future__ import annotations

import numpy as np
import pytest

from tsds_stream.selection import screen as module
from tsds_stream.selection.arithmetic import canonical, squared_distances
from tsds_stream.selection.screen import Screen


def pairs(screen: Screen, documents, frontiers) -> set[tuple[int, int]]:
    found = screen.pass_(documents, frontiers)
    return set(zip(found.rows[found.pair_rows].tolist(), found.pair_queries.tolist(), strict=True))


@pytest.mark.parametrize("dimension", [1, 3, 100, 384])
@pytest.mark.parametrize("scale", [1e-30, 1e-15, 1e-9, 1.0, 1000.0, 1e14, 1e30])
def test_a_document_exactly_at_a_frontier_passes(dimension, scale):
    rng = np.random.default_rng(dimension)
    queries = canonical(rng.normal(size=(7, dimension)))
    documents = (rng.normal(size=(300, dimension)) * scale).astype(np.float32)
    exact = squared_distances(canonical(documents), queries)
    for k in range(0, 300, 50):
        assert {(k, q) for q in range(7)} <= pairs(Screen(queries), documents, exact[k])


def test_far_documents_are_dropped():
    rng = np.random.default_rng(0)
    queries = canonical(rng.normal(size=(20, 64)))
    documents = (3.0 * rng.normal(size=(5000, 64))).astype(np.float32)
    exact = squared_distances(canonical(documents), queries)
    frontiers = np.quantile(exact, 0.01, axis=0)
    assert len(pairs(Screen(queries), documents, frontiers)) < 1.01 * (exact <= frontiers).sum() + 20


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_threads_do_not_change_what_passes(threads, monkeypatch):
    rng = np.random.default_rng(1)
    queries = canonical(rng.normal(size=(150, 16)))
    documents = rng.normal(size=(6000, 16)).astype(np.float32)
    frontiers = np.full(150, 0.9)
    alone = Screen(queries).pass_(documents[:0], frontiers)
    assert len(alone.rows) == 0
    expected = pairs(Screen(queries), documents, frontiers)
    monkeypatch.setattr(module, "blas_threads", lambda: threads)
    found = Screen(queries).pass_(documents, frontiers)
    assert set(zip(found.rows[found.pair_rows].tolist(), found.pair_queries.tolist(), strict=True)) == expected
    assert (np.diff(found.rows) > 0).all()
    assert (np.diff(found.pair_rows) >= 0).all()


def test_without_queries_nothing_passes():
    screen = Screen(np.empty((0, 4), np.float32))
    assert len(screen.pass_(np.ones((10, 4), np.float32), np.empty(0)).rows) == 0
