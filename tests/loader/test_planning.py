"""Whatever the ranks, the ends, the order and the revisions: nothing is lost, nothing comes twice, and any batch may be
the last one before a restart."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loader.test_order import Documents
from tests.loader.test_sharding import expected
from tsds_stream.loader.following import Following
from tsds_stream.loader.order import Ordering
from tsds_stream.loader.planning import Course, Plan, Planned
from tsds_stream.loader.reading import LoaderError
from tsds_stream.loader.sharding import Shard
from tsds_stream.loader.state import Cursor

Sizes = dict[int, int]  # revision -> documents


def never(step: int) -> int:
    raise AssertionError("nobody is to be asked")


def planned(
    course: Course, sizes: Sizes, cursor: Cursor, decisions: dict[int, int], ask: Callable[[int], int] = never
) -> Plan:
    def open_revision(number: int) -> Documents:
        return Documents(np.arange(sizes[number]) % 5, number, {"digest": f"r{number}"})

    return Plan(course, cursor, decisions, open=open_revision, ask=ask, check=lambda: None)


def served(plan: Plan, count: int) -> list[Planned]:
    out = [one for _, one in zip(range(count), plan, strict=False)]
    assert plan.error is None
    return out


def content(batches: list[Planned]) -> list[tuple[int, int, list[int]]]:
    return [(one.documents.number, one.epoch, one.places.tolist()) for one in batches]


orderings = st.builds(
    Ordering, seed=st.integers(0, 9), shuffle=st.booleans(), sampling=st.sampled_from(["uniform", "weight"])
)
courses = st.builds(
    Course,
    ordering=orderings,
    shard=st.builds(Shard, rank=st.just(0), world_size=st.integers(1, 4), uneven=st.sampled_from(["pad", "drop"])),
    following=st.sampled_from(["pin", "epoch", "step:1", "step:3", "step:4"]).map(Following.parse),
    batch_size=st.integers(1, 6),
    repeat=st.just(True),
)


def of_rank(course: Course, rank: int) -> Course:
    return replace(course, shard=replace(course.shard, rank=rank))


@given(course=courses, length=st.integers(4, 60), drop_last=st.booleans())
def test_an_epoch_holds_every_document_once_in_as_many_batches_on_every_rank(
    course: Course, length: int, drop_last: bool
) -> None:
    ranks, uneven = course.shard.world_size, course.shard.uneven
    course = replace(course, repeat=False, following=Following(), drop_last=drop_last)
    if drop_last and length < course.global_batch:
        plan = planned(course, {1: length}, Cursor(1), {})
        assert list(plan) == []
        assert isinstance(plan.error, LoaderError)
        assert "fill no batch" in str(plan.error)
        return
    every = [served(planned(of_rank(course, rank), {1: length}, Cursor(1), {}), 99) for rank in range(ranks)]
    assert {len(batches) for batches in every} == {planned(course, {1: length}, Cursor(1), {}).batches()}
    assert len({tuple(len(one.places) for one in batches) for batches in every}) == 1
    times = Counter(place for batches in every for one in batches for place in one.places.tolist())
    order = course.ordering.of(every[0][0].documents, 0)(np.arange(length)).tolist()
    positions = Counter(range(length - length % course.global_batch)) if drop_last else expected(length, ranks, uneven)
    assert times == Counter({order[position]: count for position, count in positions.items()})


@given(
    course=courses,
    sizes=st.dictionaries(st.integers(1, 6), st.integers(4, 30), min_size=6, max_size=6),
    newest=st.lists(st.integers(1, 6), min_size=80, max_size=80).map(sorted),
    cuts=st.lists(st.tuples(st.integers(1, 15), st.integers(0, 6)), min_size=1, max_size=3),
)
@settings(max_examples=200)
def test_a_run_that_is_resumed_again_and_again_serves_what_an_uninterrupted_one_serves(
    course: Course, sizes: Sizes, newest: list[int], cuts: list[tuple[int, int]]
) -> None:
    """Cuts are made after some batches were served and some more were planned, whose decisions the state carries.

    What a run learns of newer revisions depends on when it asks. The uninterrupted run is told what the interrupted one
    found out.
    """
    found: dict[int, int] = {}

    def ask(step: int, ahead: int = 0) -> int:
        found.setdefault(step, newest[max(step - ahead, 0)])
        return found[step]

    cursor, decisions, batches = Cursor(1), {}, []
    for count, ahead in [*cuts, (10, 0)]:
        plan = planned(course, sizes, cursor, decisions, lambda step, ahead=ahead: ask(step, ahead))
        both = served(plan, count + ahead)
        batches += both[:count]
        cursor = batches[-1].after
        decisions = {step: number for step, number in decisions.items() if step >= cursor.step}
    uninterrupted = served(planned(course, sizes, Cursor(1), {}, ask), len(batches))
    assert content(batches) == content(uninterrupted)
    assert [one.after.step for one in batches] == list(range(1, len(batches) + 1))


@given(course=courses, length=st.integers(4, 60), cut=st.integers(0, 20), data=st.data())
def test_another_number_of_ranks_goes_on_with_the_same_global_batches(
    course: Course, length: int, cut: int, data: st.DataObject
) -> None:
    """Without padding, which repeats as many documents as the ranks need."""
    total = course.global_batch
    ranks = data.draw(st.sampled_from([r for r in range(1, min(total, length) + 1) if total % r == 0]))
    course = replace(course, following=Following(), drop_last=True)
    if length < total:
        return
    other = replace(course, batch_size=total // ranks, shard=Shard(0, ranks, course.shard.uneven))
    before = [
        served(planned(of_rank(course, r), {1: length}, Cursor(1), {}), 25) for r in range(course.shard.world_size)
    ]
    cursor = before[0][cut - 1].after if cut else Cursor(1)
    after = [served(planned(of_rank(other, r), {1: length}, cursor, {}), 25 - cut) for r in range(ranks)]
    for k in range(cut, 25):
        once = sorted(place for batches in before for place in batches[k].places.tolist())
        again = sorted(place for batches in after for place in batches[k - cut].places.tolist())
        assert once == again


@pytest.mark.parametrize("uneven", ["pad", "drop"])
def test_an_epoch_that_ended_for_other_ranks_has_ended_or_goes_on_with_what_they_left_out(uneven: str) -> None:
    """11 documents, in global batches of 6 that are 3 × 2, then 1 × 6, then 2 × 3."""
    three = Course(Ordering(shuffle=False), Shard(0, 3, uneven), Following(), 2)
    (_, last) = served(planned(three, {1: 11}, Cursor(1), {}), 9)
    one = replace(three, batch_size=6, shard=Shard(0, 1, uneven))
    left = served(planned(one, {1: 11}, last.after, {}), 9)
    assert content(left) == ([] if uneven == "pad" else [(1, 0, [9, 10])])


def test_a_change_over_begins_the_next_epoch_with_the_new_revision() -> None:
    course = Course(Ordering(shuffle=False), Shard(), Following.parse("step:2"), 3, repeat=True)
    plan = planned(course, {1: 9, 2: 4}, Cursor(1), {}, lambda step: 2 if step >= 4 else 1)
    assert content(served(plan, 8)) == [
        (1, 0, [0, 1, 2]),
        (1, 0, [3, 4, 5]),  # asked before the next one: nothing new
        (1, 0, [6, 7, 8]),
        (1, 1, [0, 1, 2]),
        (2, 2, [0, 1, 2]),
        (2, 2, [3]),
        (2, 3, [0, 1, 2]),
        (2, 3, [3]),
    ]


def test_an_older_revision_than_the_one_that_is_served_is_not_taken_up() -> None:
    course = Course(Ordering(shuffle=False), Shard(), Following.parse("step:1"), 2, repeat=True)
    plan = planned(course, {1: 2, 2: 2}, Cursor(2), {}, lambda step: 1)
    assert [one.documents.number for one in served(plan, 5)] == [2] * 5


@pytest.mark.parametrize(
    ("sizes", "says"), [({1: 8, 2: 0}, "Revision 2 .* is empty"), ({1: 8, 2: 1}, "has 1 documents, fewer than the 2")]
)
def test_a_change_to_a_revision_that_cannot_be_served_is_an_error_after_what_was_planned(
    sizes: Sizes, says: str
) -> None:
    course = Course(Ordering(), Shard(0, 2), Following.parse("step:2"), 1, repeat=True)
    plan = planned(course, sizes, Cursor(1), {}, lambda step: 2)
    assert len(list(plan)) == 2
    with pytest.raises(LoaderError, match=says):
        raise plan.error
    assert list(plan) == []
