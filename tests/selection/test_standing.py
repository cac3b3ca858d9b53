"""What a selector says of its state besides the selection, against the plain way to find it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.selection.selector_cases import DOCUMENTS, IDS, TARGETS
from tsds_stream import Selector, SelectorConfig
from tsds_stream.selection.arithmetic import key_words, squared_distances
from tsds_stream.selection.standing import Standing


def fed(**settings: object) -> Selector:
    selector = Selector(TARGETS, SelectorConfig(**{"budget": 30, "calibration": 100, **settings}))
    selector.add(IDS, DOCUMENTS)
    return selector


def test_the_mass_is_every_probability_by_key():
    selector = fed()
    words, p = selector.mass()
    names, probabilities = selector.probabilities()
    keys = dict(selector.held())
    expected = dict(zip(key_words([keys[name] for name in names])[:, 0].tolist(), probabilities.tolist(), strict=True))
    assert dict(zip(words.tolist(), p.tolist(), strict=True)) == expected
    assert (np.diff(words.astype(object)) > 0).all()


def test_there_is_no_mass_where_everything_was_retracted():
    selector = fed()
    selector.remove(IDS)
    words, p = selector.mass()
    assert len(words) == len(p) == 0
    distances, named = selector.nearest_selected(3)
    assert np.isnan(distances).all()
    assert named == {}


@pytest.mark.parametrize("budget", [2, 30])  # 2: most shortlists have nothing that is selected
@pytest.mark.parametrize("max_k", [8, 256])
def test_the_nearest_selected_document_is_that_of_brute_force(budget, max_k):
    selector = fed(budget=budget, max_k=max_k, slack=4)
    revision = selector.refresh()
    assert revision is not None
    queries, vectors = selector.queries
    squared = squared_distances(vectors, selector.vectors(revision.ids))
    distances, named = selector.nearest_selected(4)
    assert distances.tolist() == np.sqrt(squared.min(1)).tolist()
    farthest = np.argsort(-squared.min(1), kind="stable")[:4].tolist()
    assert list(named) == farthest
    for row, name in named.items():
        assert name is not None
        assert squared[row, revision.ids.index(name)] == squared[row].min()
    assert [query.id for query in queries] == selector.target_ids


def test_where_too_many_targets_would_have_to_be_looked_at_the_end_of_the_shortlist_stands_in(monkeypatch):
    monkeypatch.setattr("tsds_stream.selection.standing._MOST_PAIRS", 0)
    selector = fed(budget=2, max_k=8, slack=0)
    revision = selector.refresh()
    assert revision is not None
    true = np.sqrt(squared_distances(selector.queries[1], selector.vectors(revision.ids)).min(1))
    distances, named = selector.nearest_selected(len(TARGETS))
    assert (distances <= true).all()
    known = [name is not None for _, name in sorted(named.items())]
    assert not all(known)
    assert (distances[known] == true[known]).all()


def test_a_selector_that_has_computed_nothing_stands_at_zero():
    assert Selector(TARGETS, SelectorConfig(budget=3)).standing() == Standing()


def test_the_standing_counts_what_the_index_and_the_plan_hold():
    selector = fed()
    revision = selector.refresh()
    assert revision is not None
    standing = selector.standing()
    assert standing.kind == "exact"
    assert standing.indexed == standing.candidates <= len(list(selector.held()))  # there is a reserve
    assert 0 < standing.settled <= standing.indexed
    assert standing.rounds >= 1
    assert standing.mean_reach > 0
    assert standing.shortlist_deficit == standing.saturated == standing.tombstones == 0
    assert standing.weight_spread == pytest.approx(float(np.std(revision.weights)))


def test_the_standing_names_the_graph_and_a_regularizer_without_density():
    graph = fed(index="hnsw", kde_k=8, sigma=1.2)
    graph.refresh()
    assert graph.standing().kind == "hnsw"
    assert graph.standing().saturated > 0
    graph.remove(IDS[:50])
    graph.refresh()
    assert graph.standing().tombstones > 0
    uniform = fed(regularizer="uniform")
    uniform.refresh()
    assert uniform.standing().kind == "none"


def test_the_deficit_is_what_short_rows_lack():
    selector = fed(max_k=60, slack=0)
    selector.refresh()
    nearest = [name for name, near in zip(IDS, selector_near(selector), strict=True) if near]
    selector.remove(nearest)
    selector.refresh()
    lists = selector._core.pool.lists
    assert selector.standing().shortlist_deficit == int((60 - lists.counts).sum()) > 0


def selector_near(selector: Selector) -> list[bool]:
    """Which documents are among the five nearest of some target."""
    held = selector.holds(IDS)
    squared = np.full((len(TARGETS), len(IDS)), np.inf)
    squared[:, held] = squared_distances(
        selector.queries[1], selector.vectors([name for name, is_held in zip(IDS, held, strict=True) if is_held])
    )
    near = np.zeros(len(IDS), bool)
    near[np.argsort(squared, 1)[:, :5].ravel()] = True
    return near.tolist()
