"""Ids are held at their points, whether they arrive together or one by one."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tsds_stream.selection.arithmetic import canonical, key_words, keys_of, squared_norms
from tsds_stream.selection.arrivals import Arriving, settle
from tsds_stream.selection.points import PointStore

VECTORS = canonical(np.random.default_rng(0).normal(size=(8, 3)))


def arriving(records: list[tuple[str, int]]) -> Arriving:
    points = VECTORS[[number for _, number in records]]
    keys = keys_of(points)
    return Arriving([name for name, _ in records], keys, points, squared_norms(points), key_words(keys))


def state(store: PointStore) -> tuple:
    held = {name: store.keys(np.array([slot]))[0] for name, slot in store.items()}
    counts = {
        store.keys(np.array([slot]))[0]: int(store.multiplicity[slot]) for slot in np.flatnonzero(store.held).tolist()
    }
    return held, counts, store.unnamed


@given(
    batches=st.lists(
        st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(0, 7)), max_size=8, unique_by=lambda r: r[0]),
        max_size=5,
    ),
    limit=st.sampled_from([2, 5, 100]),
)
def test_a_batch_leaves_what_its_records_leave_one_by_one(batches, limit):
    together, apart = (PointStore(3, np.uint64(0), limit) for _ in range(2))
    for batch in batches:
        if not batch:
            continue
        fresh, slots, known = settle(arriving(batch), together)
        assert len(fresh) == len(slots)
        assert known <= len(batch)
        # Versions leave their old points before any id is attached, as they do in a batch.
        for name, number in batch:
            before, key = apart.slot_of_id(name), keys_of(VECTORS[[number]])[0]
            if before is not None and before != apart.slot_of_key(key):
                apart.detach(name)
        for record in batch:
            settle(arriving([record]), apart)
    assert state(together) == state(apart)
