"""An order is a permutation, a function of its key alone, and by weight it draws as it says."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from tsds_stream.loader.order import Ordering, logarithms

FROZEN = {"uniform": [3, 0, 2, 4, 5, 1, 6, 7], "weight": [4, 6, 7, 0, 2, 3, 5, 1]}


@dataclass
class Documents:
    """As much of a revision as an order depends on."""

    weights: np.ndarray
    number: int = 3
    record: dict = field(default_factory=lambda: {"digest": "d"})

    def __len__(self) -> int:
        return len(self.weights)

    def __getitem__(self, i: int, /) -> dict:
        raise AssertionError("no document is read for an order")


def places(ordering: Ordering, documents: Documents, epoch: int = 0) -> list[int]:
    return ordering.of(documents, epoch)(np.arange(len(documents))).tolist()


orderings = st.builds(
    Ordering, seed=st.integers(-9, 1 << 65), shuffle=st.booleans(), sampling=st.sampled_from(["uniform", "weight"])
)
weights = st.lists(st.one_of(st.just(0.0), st.floats(1e-9, 1e9)), max_size=200).map(np.array)


@given(ordering=orderings, weights=weights, epoch=st.integers(0, 5), data=st.data())
def test_an_order_is_a_permutation_and_any_part_of_it_is_that_part_of_the_whole(
    ordering: Ordering, weights: np.ndarray, epoch: int, data: st.DataObject
) -> None:
    documents = Documents(weights)
    whole = places(ordering, documents, epoch)
    assert sorted(whole) == list(range(len(weights)))
    some = data.draw(st.lists(st.sampled_from(range(len(weights))), max_size=9)) if len(weights) else []
    assert ordering.of(documents, epoch)(np.array(some, np.int64)).tolist() == [whole[k] for k in some]


@pytest.mark.parametrize("sampling", ["uniform", "weight"])
def test_another_seed_epoch_revision_or_content_gives_another_order(sampling: str) -> None:
    w = np.full(500, 2.0)
    found = [
        places(Ordering(seed, True, sampling), Documents(w, number, {"digest": digest}), epoch)
        for seed, epoch, number, digest in [
            (0, 0, 1, "a"),
            (1, 0, 1, "a"),
            (0, 1, 1, "a"),
            (0, 0, 2, "a"),
            (0, 0, 1, "b"),
        ]
    ]
    for k, one in enumerate(found):
        for other in found[:k]:
            assert np.equal(one, other).sum() < 12


def test_orders_stay_what_they_are() -> None:
    """Checkpoints refer to them."""
    w = np.array([1.0, 0.0, 3.0, 0.5, 2.0, 0.0, 1.0, 1.0])
    assert places(Ordering(7), Documents(w), 2) == FROZEN["uniform"]
    assert places(Ordering(7, True, "weight"), Documents(w), 2) == FROZEN["weight"]


def test_without_shuffling_documents_come_by_id_or_the_heaviest_first() -> None:
    documents = Documents(np.array([1.0, 0.0, 3.0, 1.0, 2.0]))
    assert places(Ordering(0, False), documents) == [0, 1, 2, 3, 4]
    assert places(Ordering(0, False, "weight"), documents) == [2, 4, 0, 3, 1]


def test_each_next_document_is_drawn_in_proportion_to_the_weights_of_those_left() -> None:
    w = np.array([1.0, 2.0, 5.0, 0.0, 2.0])
    draws = np.array([places(Ordering(seed, True, "weight"), Documents(w)) for seed in range(6000)])
    assert (draws[:, 4] == 3).all()  # without weight: after all others
    heavy = [0, 1, 2, 4]
    assert chisquare(np.bincount(draws[:, 0], minlength=5)[heavy], 6000 * w[heavy] / 10).pvalue > 1e-4
    second = draws[draws[:, 0] == 2, 1]
    left = [0, 1, 4]
    assert chisquare(np.bincount(second, minlength=5)[left], len(second) * w[left] / 5).pvalue > 1e-4


@given(st.lists(st.floats(5e-324, 1.7e308), min_size=1, max_size=50))
def test_logarithms_are_right_to_the_last_places(values: list[float]) -> None:
    for found, value in zip(logarithms(np.array(values)).tolist(), values, strict=True):
        assert found == pytest.approx(math.log(value), rel=1e-14, abs=1e-15)


def test_an_unknown_sampling_is_refused() -> None:
    with pytest.raises(ValueError, match="uniform or weight, not 'size'"):
        Ordering(sampling="size")  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", ["0", 1.5, True, None, np.int64(3)])
def test_a_seed_that_a_state_could_not_bring_back_is_refused(seed: object) -> None:
    with pytest.raises(ValueError, match="seed is an integer"):
        Ordering(seed=seed)  # type: ignore[arg-type]
