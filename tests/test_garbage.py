"""The search for unreachable cycles is rare during a run, and afterwards as it was."""

from __future__ import annotations

import gc

from tsds_stream.engine.garbage import rare_collections


def test_searches_are_rare_inside_and_as_before_outside():
    before = gc.get_threshold()
    with rare_collections():
        assert gc.get_threshold()[0] > 10 * before[0]
        assert gc.get_freeze_count() > 0
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def test_of_two_runs_that_overlap_the_last_one_restores():
    before = gc.get_threshold()
    first, second = rare_collections(), rare_collections()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert gc.get_threshold() != before
    second.__exit__(None, None, None)
    assert gc.get_threshold() == before
