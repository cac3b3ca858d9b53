"""When a newer revision is asked for, how old a selection may be, and what of a state is compared."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.loader.selections import Selection, Stored, ids
from tsds_stream.loader.following import Following, Staleness, check_agreement, opened
from tsds_stream.loader.order import Ordering
from tsds_stream.loader.reading import LoaderError
from tsds_stream.loader.state import Cursor, LoaderState, check_digest, check_ordering, digest_of_order
from tsds_stream.streams.layout import Layout
from tsds_stream.streams.revisions import NoSuchRevisionError


def test_newer_revisions_are_asked_for_when_the_policy_says() -> None:
    def asked(policy: str, epoch_steps: int = 5) -> list[int]:
        following = Following.parse(policy)
        return [step for step in range(13) if following.asks(step, step % epoch_steps)]

    assert asked("pin") == []
    assert asked("epoch") == [5, 10]
    assert asked("step:4") == [4, 8, 12]


@pytest.mark.parametrize("text", ["", "step", "step:", "step:0", "step:-1", "step:x", "epoch:2", "Pin"])
def test_another_policy_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="'pin', 'epoch' or 'step:N'"):
        Following.parse(text)


def test_a_publisher_that_is_silent_for_too_long_is_an_error_and_a_quiet_one_is_not(tmp_path: Path) -> None:
    now = 1_000_000
    archive = Stored(tmp_path, beat=now)
    guard = Staleness(archive, 60, lambda: now)
    guard.check()
    for _ in range(20):  # ten minutes without a revision
        now += 30_000
        archive.beat = now - 5_000
        guard.check()
    now += 54_000
    guard.check()
    now += 6_000
    with pytest.raises(LoaderError, match=r"last heard of 65\.0 s ago, and max_staleness is 60 s\. See whether"):
        guard.check()


def test_without_a_heartbeat_nobody_can_tell_and_without_a_bound_nobody_looks(tmp_path: Path) -> None:
    with pytest.raises(LoaderError, match="has no heartbeat of its publisher"):
        Staleness(Stored(tmp_path, beat=None), 60, lambda: 5).check()
    Staleness(Stored(tmp_path, beat=None), None, lambda: 5).check()
    with pytest.raises(ValueError, match="above 0, not 0"):
        Staleness(Stored(tmp_path), 0, lambda: 5)


def test_a_revision_that_is_still_on_its_way_is_waited_for(tmp_path: Path) -> None:
    selection = Selection(tmp_path, ids(3))
    with pytest.raises(LoaderError, match=r"Revision 2, which rank 0 decided for, did not arrive here within 0\.3 s"):
        opened(Stored(tmp_path), 2, 0.3)
    later = threading.Timer(0.3, selection.publish, [ids(4)])
    later.start()
    assert opened(Stored(tmp_path), 2, 60).number == 2
    later.join()
    selection.close()


def test_a_revision_that_was_deleted_is_an_error_at_once(tmp_path: Path) -> None:
    Selection(tmp_path, ids(3), ids(4)).close()
    Layout(tmp_path).of("default").manifest(1).unlink()
    with pytest.raises(NoSuchRevisionError, match="does not hold revision 1"):
        opened(Stored(tmp_path), 1, 60)


def test_ranks_that_differ_are_named_with_what_differs() -> None:
    check_agreement([{"seed": 1}] * 3)
    with pytest.raises(LoaderError, match="seed: 1 on rank 0, 2 on rank 2"):
        check_agreement([{"seed": 1}, {"seed": 1}, {"seed": 2}])


def test_a_state_is_itself_again_after_json() -> None:
    state = LoaderState(Cursor(3, 1, 40, 25), Ordering(5, False, "weight"), 8, "abc", "run", {26: 3, 30: 4})
    assert LoaderState.of(state.as_json()) == state


@pytest.mark.parametrize(
    ("change", "says"),
    [({"format": 2}, "has format 2, and this version reads 1"), ({"step": None}, "not the state of a SelectedLoader")],
)
def test_what_is_not_a_state_is_refused(change: dict, says: str) -> None:
    state = LoaderState(Cursor(1), Ordering(), 8, "abc", "run").as_json()
    with pytest.raises(LoaderError, match=says):
        LoaderState.of(state | change)
    with pytest.raises(LoaderError, match="not the state of a SelectedLoader: KeyError: 'format'"):
        LoaderState.of({"epoch": 1})


def test_a_state_of_another_order_or_another_selection_is_refused(tmp_path: Path) -> None:
    for name, count in (("a", 3), ("b", 4)):
        Selection(tmp_path / name, ids(count)).close()
    a, b = Stored(tmp_path / "a").at(1), Stored(tmp_path / "b").at(1)
    digest = digest_of_order(a, Ordering())
    check_digest(digest, a, Ordering())
    with pytest.raises(LoaderError, match="is of another dataset: its revision 1 has the digest"):
        check_digest(digest, b, Ordering())
    with pytest.raises(LoaderError, match="seed=0 there, 1 here; sampling='uniform' there, 'weight' here"):
        check_ordering(Ordering(0), Ordering(1, sampling="weight"))
