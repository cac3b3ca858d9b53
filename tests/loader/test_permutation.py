"""A shuffled order is a permutation, a function of its key, and looks like chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from tsds_stream.loader.permutation import Permutation


@given(length=st.integers(0, 3000), seed=st.integers(-5, 1 << 70), epoch=st.integers(0, 9))
def test_every_position_has_a_place_of_its_own(length: int, seed: int, epoch: int) -> None:
    order = Permutation(length, seed, epoch)(np.arange(length))
    assert sorted(order.tolist()) == list(range(length))


@given(length=st.integers(1, 10**12), seed=st.integers(0, 99), data=st.data())
def test_a_part_of_the_order_is_that_part_of_the_whole(length: int, seed: int, data: st.DataObject) -> None:
    positions = data.draw(st.lists(st.integers(0, length - 1), max_size=20))
    permutation = Permutation(length, "revision", seed)
    together = permutation(np.array(positions, np.int64)).tolist()
    assert together == [int(permutation(np.array([one]))[0]) for one in positions]
    assert all(0 <= place < length for place in together)


def test_another_key_gives_another_order() -> None:
    positions = np.arange(1000)
    orders = [Permutation(1000, *key)(positions) for key in ((0,), (1,), (0, 0), (0, 1), ("0",), (0, "", 0))]
    for k, one in enumerate(orders):
        for other in orders[:k]:
            assert (one == other).sum() < 12  # of 1000, 1 is expected by chance


def test_positions_outside_are_refused() -> None:
    for position in (-1, 10):
        with pytest.raises(IndexError, match="from 0 to 9"):
            Permutation(10, 0)(np.array([position]))
    with pytest.raises(ValueError, match="at least 0"):
        Permutation(-1)


@pytest.mark.parametrize("length", [5, 100, 1000, 65_537])
def test_orders_look_like_chance(length: int) -> None:
    """Where the first position leads, which of two neighbours comes first, and how far apart they end up."""
    starts = np.array([Permutation(length, seed)(np.array([0, 1])) for seed in range(4000)])
    cells = min(length, 20)
    assert (
        chisquare(np.bincount(starts[:, 0] * cells // length, minlength=cells), f_exp=_shares(length, cells)).pvalue
        > 1e-4
    )
    assert abs((starts[:, 0] < starts[:, 1]).mean() - 0.5) < 0.03
    apart = np.abs(starts[:, 0] - starts[:, 1]).mean() / ((length + 1) / 3)
    assert apart == pytest.approx(1.0, abs=0.05)


def _shares(length: int, cells: int) -> np.ndarray:
    counts = np.bincount(np.arange(length) * cells // length, minlength=cells)
    return 4000 * counts / length
