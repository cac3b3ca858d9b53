"""Windows are the last documents, however these came."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.monitoring.stream_drift.streams import SMALL, documents, make, watching
from tsds_stream.monitoring.stream_drift.features import on_grid
from tsds_stream.monitoring.stream_drift.measures import euclidean
from tsds_stream.monitoring.stream_drift.rolling import RollingSums


@settings(max_examples=60)
@given(st.integers(0, 10**6), st.integers(1, 5), st.integers(0, 9), st.integers(1, 40))
def test_sums_are_those_of_the_last_chunks_without_residue(seed, short, more, count):
    chunks = on_grid(np.random.default_rng(seed).standard_normal((count, 3)))
    sums = RollingSums(3, 7, {"short": short, "long": short + more})
    for total in chunks:
        sums.add(total)
    for name, size in (("short", short), ("long", short + more)):
        assert sums.full(name) == (count >= size)
        assert sums.mean(name).tolist() == (chunks[-size:].sum(0) / (7 * min(count, size))).tolist()
    again = RollingSums(3, 7, {"short": short, "long": short + more})
    for total in sums.recent():
        again.add(total)
    assert again.mean("long").tolist() == sums.mean("long").tolist()


@settings(max_examples=30)
@given(st.lists(st.integers(0, 400), max_size=12))
def test_the_document_does_not_depend_on_how_the_stream_was_cut(cuts):
    vectors, lengths = documents(400, 3)
    whole, cut = watching(), watching()
    whole.add(vectors, lengths, 5)
    for start, stop in pairwise([0, *sorted(cuts), 400]):
        cut.add(vectors[start:stop], lengths[start:stop], 5)
    assert cut.document() == whole.document()
    assert all(entry["ready"] for entry in whole.document()["signals"])


def test_nor_does_the_baseline():
    vectors, lengths = documents(800, 3)
    whole, cut = make(), make()
    whole.add(vectors, lengths, 5)
    for start, stop in pairwise([0, 7, 7, 33, 400, 511, 531, 800]):
        cut.add(vectors[start:stop], lengths[start:stop], 5)
    assert cut.document() == whole.document()


def test_a_window_is_compared_as_if_computed_from_its_documents_alone():
    drift = watching()
    vectors, lengths = documents(333, 8)  # the last three documents wait for the rest of their chunk
    drift.add(vectors, lengths, 5)
    baseline = drift.baseline
    for name, size in (("short", 50), ("long", 200)):
        part = slice(330 - size, 330)
        distances, groups = drift.references["task"].nearest(vectors[part])
        entries = {e["signal"]: e for e in drift.document()["signals"] if e["window"] == name}
        old_distances, old_groups = drift.references["task"].nearest(baseline.vectors)
        ranks = np.searchsorted(np.sort(old_distances), distances) / len(old_distances)
        # one-sided shifts: the area between distributions is at least the shift of the mean rank
        assert entries["distance"]["statistic"] >= abs(ranks.mean() - 0.5) - 0.02
        shares = drift.document()["groups"]["task"]
        assert shares[name] == pytest.approx((np.bincount(groups, minlength=2) / size).tolist())
        assert shares["baseline"] == pytest.approx((np.bincount(old_groups, minlength=2) / len(old_groups)).tolist())
        mean = next(signal for signal in drift.signals if signal.name == "mean")
        fresh = euclidean(mean.windows.mean(name), mean.centre)
        assert entries["mean"]["statistic"] == pytest.approx(float(fresh))
        assert entries["length"]["documents"] == size


def test_windows_of_all_sizes_fill_and_are_then_ready():
    drift = watching()
    vectors, lengths = documents(SMALL.long_window, 8)
    for start in range(0, SMALL.long_window, 10):
        drift.add(vectors[start : start + 10], lengths[start : start + 10], 5)
        for entry in drift.document()["signals"]:
            needed = SMALL.short_window if entry["window"] == "short" else SMALL.long_window
            assert entry["documents"] == min(start + 10, needed)
            assert entry["ready"] == (start + 10 >= needed) == (entry["score"] is not None)
