"""Ranks and workers together serve each document once, and every rank as many as each other."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loader.test_order import Documents
from tsds_stream.loader.reading import LoaderError
from tsds_stream.loader.sharding import Shard

sizes = {"length": st.integers(1, 300), "ranks": st.integers(1, 7)}


def expected(length: int, ranks: int, uneven: str) -> Counter[int]:
    """How often each position is served in an epoch."""
    times = Counter(range(length))
    rest = length % ranks
    if rest and uneven == "drop":
        times -= Counter(range(length - rest, length))
    elif rest:
        times += Counter(k % length for k in range(ranks - rest))
    return times


@given(**sizes, workers=st.integers(1, 5), uneven=st.sampled_from(["pad", "drop"]), start=st.integers(0, 20))
def test_workers_of_all_ranks_serve_every_position_once(
    length: int, ranks: int, workers: int, uneven: str, start: int
) -> None:
    served: Counter[int] = Counter()
    for rank in range(ranks):
        shard = Shard(rank, ranks, uneven)
        counts = [shard.worker_share(length, worker, workers) for worker in range(workers)]
        assert sum(counts) == shard.share(length) == Shard(0, ranks, uneven).share(length)
        assert max(counts) - min(counts) <= 1
        for worker, count in enumerate(counts):
            whole = shard.worker_positions(0, count, worker, workers)
            served.update((whole % length).tolist())
            part = shard.worker_positions(min(start, count), count - min(start, count), worker, workers)
            assert part.tolist() == whole[start:].tolist()
    assert served == expected(length, ranks, uneven)


@given(**sizes, batch=st.integers(1, 9), data=st.data())
def test_a_global_batch_holds_the_same_documents_for_any_number_of_ranks(
    length: int, ranks: int, batch: int, data: st.DataObject
) -> None:
    total = ranks * batch
    others = data.draw(st.sampled_from([r for r in range(1, total + 1) if total % r == 0]))
    first = data.draw(st.integers(0, 5)) * total

    def served(count: int) -> list[int]:
        each = [Shard(r, count).positions(first, total // count).tolist() for r in range(count)]
        return sorted(np.concatenate(each).tolist())

    assert served(ranks) == served(others) == list(range(first, first + total))


def test_what_cannot_be_served_is_said() -> None:
    eleven = Documents(np.ones(11))
    eleven.record["set"] = "code"
    Shard(1, 3, "pad").check(eleven, 3)
    with pytest.raises(LoaderError, match=r"Revision 3 of target set 'code' has 11 documents, fewer than the 12 of 3 "):
        Shard(1, 3, "pad").check(eleven, 4)
    with pytest.raises(LoaderError, match="which 3 ranks cannot share evenly"):
        Shard(1, 3, "error").check(eleven, 1)
    with pytest.raises(LoaderError, match="is empty"):
        Shard().check(Documents(np.ones(0)), 0)


@pytest.mark.parametrize(("rank", "size"), [(-1, 2), (2, 2), (0, 0)])
def test_a_rank_is_one_of_the_ranks(rank: int, size: int) -> None:
    with pytest.raises(ValueError, match="there is no rank"):
        Shard(rank, size)
    with pytest.raises(ValueError, match="uneven is one of pad, drop, error"):
        Shard(uneven="wrap")  # type: ignore[arg-type]
