"""What is selected when nobody asks for anything else: targets take turns, and sigma keeps copies apart."""

from __future__ import annotations

import numpy as np
import pytest

from tests.selection.selection_oracle import Live, batch
from tests.selection.selector_cases import DOCUMENTS, IDS, TARGETS, cloud
from tests.selection.world import World
from tsds_stream import Selector, SelectorConfig, select
from tsds_stream.selection.arithmetic import canonical, squared_distances

RNG = np.random.default_rng(11)
COPIES = (np.repeat(DOCUMENTS[:30], 20, 0) + 0.02 * RNG.normal(size=(600, 16))).astype(np.float32)
CORPUS = np.concatenate([DOCUMENTS, COPIES])
NAMES = [f"d{k:04}" for k in range(len(CORPUS))]


def distances_within(vectors: np.ndarray) -> np.ndarray:
    """Of all pairs."""
    points = canonical(vectors)
    return np.sqrt(squared_distances(points, points))[np.triu_indices(len(points), 1)]


def test_the_default_is_turns_and_no_two_documents_nearer_than_sigma():
    assert SelectorConfig().mode == "turns"
    revision = select(CORPUS, TARGETS, budget=40, ids=NAMES)
    assert len(revision) == 40
    assert revision.exact
    chosen = CORPUS[[NAMES.index(name) for name in revision.ids]]
    assert distances_within(chosen).min() >= revision.sigma > 0
    assert (revision.weights == 1).all()
    assert revision.tau is None
    crowded = select(CORPUS, TARGETS, budget=40, ids=NAMES, min_distance=None)
    chosen = CORPUS[[NAMES.index(name) for name in crowded.ids]]
    assert distances_within(chosen).min() < revision.sigma


def test_the_default_is_the_oracles_selection():
    live = {name: Live(vector) for name, vector in zip(NAMES[:200], CORPUS[500:700], strict=True)}
    selector = Selector(TARGETS, SelectorConfig(budget=25, calibration=200))
    selector.add(NAMES[:200], CORPUS[500:700])
    revision = selector.refresh()
    targets = {str(k): (vector, 1.0) for k, vector in enumerate(TARGETS)}
    truth = batch(live, targets, selector.config, selector.sigma, selector.max_k)
    assert revision.exact
    assert (revision.ids, revision.digest) == (truth.ids, truth.digest)


@pytest.mark.parametrize(
    ("settings", "sigma", "expected"),
    [
        ({}, 0.3, 0.3),
        ({"min_distance": "sigma"}, 0.3, 0.3),
        ({"min_distance": None}, 0.3, None),
        ({"min_distance": 0.2}, 0.3, 0.2),
        ({}, 0.0, None),
        ({}, None, None),
        ({"mode": "coordinated"}, 0.3, None),
        ({"mode": "top"}, 0.3, None),
        ({"mode": "coordinated", "min_distance": "sigma"}, 0.3, 0.3),
        ({"mode": "coordinated", "min_distance": 0.2}, 0.3, 0.2),
    ],
)
def test_auto_keeps_turns_sigma_apart_and_leaves_the_other_modes_alone(settings, sigma, expected):
    assert SelectorConfig(**settings).spacing(sigma) == expected


def test_inclusion_probabilities_stay_exact_unless_a_distance_is_asked_for():
    def notices(**settings: object) -> set[str]:
        revision = select(CORPUS, TARGETS, budget=20, mode="coordinated", **settings)
        return {notice.code for notice in revision.warnings}

    assert "approximate_inclusion" not in notices()
    assert "approximate_inclusion" in notices(min_distance="sigma")


def test_only_what_depends_on_sigma_waits_for_it():
    def reasons(**settings: object) -> tuple[str, ...]:
        selector = Selector(TARGETS, SelectorConfig(budget=5, **settings))
        selector.add(IDS, DOCUMENTS)
        return selector.refresh().reasons

    assert reasons(regularizer="uniform") == ("provisional",)
    assert reasons(regularizer="uniform", min_distance=None) == ()
    assert reasons(regularizer="uniform", mode="coordinated") == ()
    assert reasons(regularizer="uniform", mode="coordinated", min_distance="sigma") == ("provisional",)


# -- explanations ---------------------------------------------------------------------------------------------------


def test_explanations_name_the_selected_document_that_stands_in_the_way():
    selector = Selector(TARGETS, SelectorConfig(budget=40, sigma=0.3))
    selector.add(NAMES, CORPUS)
    revision = selector.refresh()
    chosen = set(revision.ids)
    for name in [name for name, _ in selector.held() if name not in chosen][:40]:
        told = selector.explain(name)
        squared = squared_distances(
            canonical(CORPUS[NAMES.index(name)][None]), canonical(CORPUS[[NAMES.index(one) for one in revision.ids]])
        )[0]
        if squared.min() < 0.3 * 0.3:
            assert told.crowded_by == (revision.ids[int(squared.argmin())], float(np.sqrt(squared.min())))
            assert "of documents nearer to each other than min_distance only one is taken" in told.sentences()[-1]
        else:
            assert told.crowded_by is None
            if told.state != "far":
                assert "before a target came to it" in told.sentences()[-1]
        assert not any("u/p" in line or "plan does not reach" in line for line in told.sentences())
    assert any(selector.explain(name).crowded_by for name in NAMES[600:700])
    copy = selector.explain_embedding(CORPUS[NAMES.index(revision.ids[0])] + 0.001)
    assert copy.crowded_by[0] == revision.ids[0]


def test_a_document_longer_than_the_token_budget_is_told_so():
    selector = Selector(TARGETS, SelectorConfig(budget=None, token_budget=50, sigma=0.3, max_k=300))
    selector.add(["long", "short"], DOCUMENTS[:2], tokens=np.array([51, 10]))
    assert selector.refresh().ids == ["short"]
    assert selector.explain("long").sentences()[-1] == "It has more tokens than the whole token budget."


# -- the automatic kernel width -------------------------------------------------------------------------------------


def sigma_of(documents: np.ndarray, targets: np.ndarray = TARGETS, **settings: object) -> float:
    selector = Selector(targets, SelectorConfig(budget=20, **settings))
    selector.add([f"x{k}" for k in range(len(documents))], documents)
    return selector.calibrate()


def rule(documents: np.ndarray, targets: np.ndarray = TARGETS) -> float:
    """0.65 x the median of each target's least distance above 0."""
    points = np.unique(canonical(documents), axis=0)
    least = [min(d for d in row if d > 0) for row in np.sqrt(squared_distances(canonical(targets), points))]
    return 0.65 * float(np.median(least))


@pytest.mark.parametrize("repeats", [1, 7])
@pytest.mark.parametrize("present", [0, 3, 5, 8])
def test_targets_among_the_documents_do_not_narrow_sigma(present, repeats):
    documents = np.concatenate([np.repeat(TARGETS[:present], repeats, 0), DOCUMENTS])
    assert sigma_of(documents) == pytest.approx(rule(DOCUMENTS), rel=1e-12) == rule(documents)
    shuffled = documents[np.random.default_rng(present).permutation(len(documents))]
    assert sigma_of(shuffled) == sigma_of(documents)


def test_a_target_that_lists_nothing_but_itself_has_no_say():
    targets = np.eye(3, 16, dtype=np.float32)
    near = targets[2] + 0.5 * np.eye(1, 16, 9, dtype=np.float32)[0]
    documents = np.concatenate([targets[:2], near[None]])
    expected = 0.65 * float(np.sqrt(squared_distances(canonical(targets[2:]), canonical(near[None])))[0, 0])
    assert sigma_of(documents, targets, max_k=1, slack=0) == pytest.approx(expected, rel=1e-12)


def test_with_no_other_document_sigma_is_the_smallest_and_says_so():
    assert sigma_of(TARGETS[:1], TARGETS[:1]) == 2.0**-20
    revision = select(TARGETS[:1], TARGETS[:1], budget=1)
    assert "targets_among_documents" in {notice.code for notice in revision.warnings}


def test_a_target_in_the_corpus_brings_its_copies_but_once():
    reposts = np.repeat(TARGETS[:4], 25, 0) + 0.01 * RNG.normal(size=(100, 16))
    documents = np.concatenate([TARGETS, reposts, DOCUMENTS]).astype(np.float32)
    revision = select(documents, TARGETS, budget=30)
    chosen = documents[[int(name) for name in revision.ids]]
    assert distances_within(chosen).min() >= revision.sigma > 0.1


# -- what a draw remembers for the next one -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(6))
def test_what_is_remembered_of_the_last_draw_changes_nothing(seed, monkeypatch):
    """Points come, go and come back in other slots; budgets, distances and tokens change."""
    monkeypatch.setattr("tsds_stream.selection.core._FIRST_SWEEP", 64)
    rng = np.random.default_rng(seed)
    selector = Selector(cloud(20, seed=30 + seed), SelectorConfig(budget=60, sigma=0.35, token_budget=900))
    recalled = 0
    for step in range(12):
        names = [f"n{rng.integers(900)}" for _ in range(150)]
        rows = CORPUS[rng.integers(0, len(CORPUS), 150)] + np.float32(rng.choice([0, 0.02, 0.3])) * rng.normal(
            size=(150, 16)
        )
        selector.add(names, rows.astype(np.float32), tokens=rng.integers(1, 40, 150))
        selector.remove([f"n{k}" for k in rng.integers(0, 900, 60)])
        if step % 4 == 3:
            changes = {"budget": int(rng.integers(20, 90)), "min_distance": rng.choice([0.2, 0.5]).item()}
            selector.reconfigure(SelectorConfig(**{**selector.config.model_dump(), **changes}))
        revision = selector.refresh()
        recalled += selector._core.remembered is not None
        selector._core.remembered = None
        assert selector.preview().digest == selector.preview(budget=selector.config.budget).digest
        kept, selector._core.changed = selector._core, True
        assert selector.refresh() is revision  # drawn without a memory: the same
        assert kept.remembered is not None
    assert recalled == 12


def test_streams_with_the_default_equal_the_oracle_after_every_step():
    for seed in range(8):
        world = World(np.random.default_rng(seed), SelectorConfig(budget=6, calibration=10, max_k=12), 4, 3)
        for _ in range(6):
            world.add(9)
            world.check()
            world.remove(2)
            world.check()
            world.reload()
            world.check()
