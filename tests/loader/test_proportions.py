"""Every share is met at every moment, but for less than one sample."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tsds_stream.loader.proportions import Proportions

SHARES = st.lists(st.floats(0.01, 1.0), min_size=1, max_size=7)


def errors(shares: list[float], served: list[int]) -> list[float]:
    return [share / sum(shares) * sum(served) - amount for share, amount in zip(shares, served, strict=True)]


@given(SHARES, st.integers(0, 2**32))
def test_shares_of_documents_are_met_within_one_document_at_every_prefix(shares: list[float], seed: int) -> None:
    proportions = Proportions([str(k) for k in range(len(shares))], shares, seed)
    for _ in range(150):
        source = proportions.next()
        assert source is not None
        proportions.add(source, 1)
        assert max(map(abs, errors(shares, proportions.served))) < 1


@given(SHARES, st.integers(0, 2**32), st.lists(st.integers(0, 5000), min_size=1, max_size=200))
def test_shares_of_tokens_are_met_within_the_longest_document_at_every_prefix(
    shares: list[float], seed: int, lengths: list[int]
) -> None:
    """While the longest one grows, a source may wait for it by its own share more."""
    proportions = Proportions([str(k) for k in range(len(shares))], shares, seed)
    longest = 0
    for length in lengths:
        source = proportions.next()
        assert source is not None
        proportions.add(source, length)
        longest = max(longest, length)
        most = max(shares) / sum(shares)
        assert all(-longest <= error <= longest * (1 + most) for error in errors(shares, proportions.served))


@given(SHARES, st.lists(st.integers(1, 100), min_size=1, max_size=200))
def test_with_the_longest_document_known_no_debt_reaches_it(shares: list[float], lengths: list[int]) -> None:
    proportions = Proportions([str(k) for k in range(len(shares))], shares, 0)
    proportions.restore([0] * len(shares), 100, [False] * len(shares))
    for length in lengths:
        source = proportions.next()
        assert source is not None
        proportions.add(source, length)
        assert max(map(abs, errors(shares, proportions.served))) < 100


def test_those_that_are_left_share_as_before() -> None:
    proportions = Proportions(["a", "b", "c"], [0.5, 0.3, 0.2], 0)
    proportions.leave_out(0)
    for _ in range(100):
        proportions.add(proportions.next() or 0, 1)
    assert proportions.served == [0, 60, 40]
    proportions.leave_out(1)
    assert proportions.next() == 2
    proportions.leave_out(2)
    assert proportions.next() is None


def test_the_seed_decides_who_begins() -> None:
    assert {Proportions(["a", "b"], [1, 1], seed).next() for seed in range(20)} == {0, 1}
