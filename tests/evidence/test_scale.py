"""Large pools and long streams are what they say, and what they are checked by finds a wrong answer."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evidence import approximate_index, ten_million
from benchmarks.evidence.approximate_index import DEFAULT_EF, EXACT, MORE, NONE, compared, ef_name
from benchmarks.evidence.corpora import Corpus
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.scale.brute_force import NearestRows, equal_densities, rows_of, squared_to
from benchmarks.evidence.scale.derived import FARTHEST, NEAREST, DerivedStream
from benchmarks.evidence.scale.large_pools import CLUSTERS, CROWDS, NO_COPIES, LargePool, large_pool
from benchmarks.evidence.ten_million import row_name
from tsds_stream import Selector, SelectorConfig
from tsds_stream.selection.arithmetic import Float32, canonical

MIX = {"fish": 0.5, "music": 0.5}
STOPS = (1_000_000, 1_600_000)  # a hundredth of them in a smoke test: from there on sigma is frozen


@pytest.fixture(scope="module")
def real() -> Float32:
    return np.random.default_rng(0).normal(size=(90, 16)).astype(np.float32)


@pytest.mark.parametrize("kind", [NO_COPIES, CLUSTERS, CROWDS])
def test_a_large_pool_has_the_documents_that_were_asked_for_and_no_target(small_corpus: Corpus, kind: str):
    pool = large_pool(small_corpus, MIX, 3, 400, 20, kind)
    assert pool.targets.shape == (20, 256)
    assert pool.documents.shape == (400, 256)
    assert not {row.tobytes() for row in pool.targets} & {row.tobytes() for row in pool.documents}
    assert (large_pool(small_corpus, MIX, 3, 400, 20, kind).documents == pool.documents).all()


def test_every_real_vector_comes_once_and_the_others_lie_between(real: Float32):
    stream = DerivedStream(real, 1000, 100, 5)
    every = np.concatenate([stream.vectors(number) for number in range(stream.blocks)])
    unit = real / np.linalg.norm(real, axis=1, keepdims=True)
    distance = np.linalg.norm(every[:, None] - unit, axis=2)
    same = distance < 1e-6
    assert (same.sum(0) == 1).all()
    derived = ~same.any(1)
    assert derived.sum() == 910
    nearest = np.sort(distance[derived], axis=1)
    assert (nearest[:, 0] <= FARTHEST + 1e-5).all()
    within = (distance[derived] >= NEAREST - 1e-5) & (distance[derived] <= FARTHEST + 1e-5)
    assert within.any(1).all()
    assert (stream.vectors(7) == stream.vectors(7)).all()


def selected(real: Float32) -> tuple[Selector, Float32]:
    stream = DerivedStream(real, 1000, 100, 5)
    selector = Selector(real[:8], SelectorConfig(budget=20, sigma=0.7, max_k=30))
    for number in range(stream.blocks):
        selector.add(stream.names(number), stream.vectors(number))
    selector.add(["copy"], stream.vectors(0)[:1])
    selector.refresh()
    return selector, np.concatenate([stream.vectors(number) for number in (*range(stream.blocks), 0)])


def test_brute_force_in_any_order_finds_the_shortlists_of_the_selector_and_no_others(real: Float32):
    selector, vectors = selected(real)
    queries = selector.queries[1]
    rows = NearestRows(len(queries), selector.max_k)
    for part in reversed(np.array_split(vectors, 7)):
        points = canonical(part)
        rows.show(points, squared_to(queries, points))
    squared, words = rows_of(selector)
    assert (rows.squared == squared).all()
    assert (rows.words == words).all()
    fewer = NearestRows(len(queries), selector.max_k)
    points = canonical(vectors[:-300])
    fewer.show(points, squared_to(queries, points))
    assert not (fewer.squared == squared).all()


def test_densities_are_compared_to_the_bit(real: Float32, monkeypatch: pytest.MonkeyPatch):
    selector, _ = selected(real)
    names = selector.probabilities()[0]
    assert equal_densities(selector, names) == 1.0
    right = selector.densities(names)
    monkeypatch.setattr(selector, "densities", lambda names: np.nextafter(right, 0.0))
    assert equal_densities(selector, names) == 0.0


def test_a_short_stream_is_the_same_in_all_comparisons(small_corpus: Corpus, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ten_million, "text_corpus", lambda: small_corpus)
    monkeypatch.setattr(ten_million.mixes, "TRIED", MIX)
    for name, value in {"TARGETS": 20, "BLOCK": 200_000, "COURSE": STOPS, "COMPARED": STOPS}.items():
        monkeypatch.setattr(ten_million, name, value)
    results = Results({0: ten_million.run(0, quick=True)}, {0: 1.0})
    assert ten_million.notes(results)[0] == "8 of 8 comparisons are equal to the bit in full."
    assert results.mean(ten_million.CONDITION, row_name(STOPS[1]), "documents per second").mean > 0


@pytest.fixture(scope="module")
def crowded() -> LargePool:
    """A crowd of 1,200 near the first target, and a thousand others."""
    random = np.random.default_rng(1)
    targets = random.normal(size=(5, 16)).astype(np.float32)
    crowd = targets[0] + 0.3 * random.normal(size=16) + 0.03 * random.normal(size=(1200, 16))
    others = random.normal(size=(1000, 16))
    return LargePool(targets, np.concatenate([crowd, others]).astype(np.float32))


@pytest.fixture(scope="module")
def found(crowded: LargePool) -> dict[str, dict[str, float]]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(approximate_index, "EFS", (DEFAULT_EF,))
        return dict(compared(crowded, 0, 100, 50))


def test_what_the_graph_finds_is_what_a_selector_with_an_approximate_index_finds(crowded: LargePool, found):
    selected = {}
    for index in ("exact", "hnsw"):
        config = SelectorConfig(
            budget=50, mode="coordinated", scope="corpus", capacity=5000, max_k=approximate_index.MAX_K, index=index
        )
        selector = Selector(crowded.targets, config)
        selector.add([str(k) for k in range(2200)], crowded.documents)
        selector.calibrate()
        selected[index] = set(selector.refresh().ids)
    assert found[ef_name(DEFAULT_EF)]["overlap"] == len(selected["exact"] & selected["hnsw"]) / 50
    assert found[ef_name(DEFAULT_EF)]["exact"] == 0.0
    assert found[EXACT]["exact"] == found[EXACT]["overlap"] == 1.0


def test_a_crowd_beyond_kde_k_is_seen_as_saturated_and_missed(found):
    cut, whole = found[ef_name(DEFAULT_EF)], found[ef_name(DEFAULT_EF, MORE)]
    assert cut["saturated"] > 0 == whole["saturated"]
    assert cut["recall"] < 0.9 < whole["recall"]
    assert cut["worst"] > 0.01
    assert found[NONE]["total variation"] > 0


def test_the_page_says_from_which_breadth_on_nobody_would_notice_and_what_is_missed():
    def finding(method: str, variation: float) -> Finding:
        names = ("recall, plan", "overlap", "worst", "saturated", "making", "asking")
        return Finding(NO_COPIES, method, dict.fromkeys(names, 0.5) | {"total variation": variation})

    def note(variations: list[float]) -> str:
        breadths = [finding(ef_name(ef), one) for ef, one in zip(approximate_index.EFS, variations, strict=True)]
        others = [finding(name, 0.0) for name in (EXACT, ef_name(DEFAULT_EF, MORE))]
        return approximate_index.notes(Results({0: [*others, *breadths]}, {0: 1.0}))[0]

    assert "at most 1% from ef 64 on" in note([0.02, 0.01, 0.0, 0.0, 0.0])
    assert "at most 1% not at every ef" in note([0.0, 0.01, 0.02, 0.0, 0.02])
    assert "miss up to 50.00% of their pairs" in note([0.0] * 5)
