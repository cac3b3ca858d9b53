"""The view of the selection on a real server, with compaction, aborted transactions and several partitions."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from tests.kafka.publishing import Publishing, rows, sliding
from tests.kafka.topics import Topics
from tests.patience import PATIENCE
from tests.streams.test_kafka_targets_fake import eventually
from tsds_stream.streams.kafka import SelectionView
from tsds_stream.streams.kafka.errors import KafkaFailure

pytestmark = pytest.mark.kafka


def view_of(topics: Publishing, name: str = "default", **options) -> SelectionView:
    return SelectionView(topics.connection, topics.selection, revisions=topics.revisions, set=name, **options)


def awaited(view: SelectionView, topics: Publishing, number: int, seconds: float = PATIENCE) -> list[int]:
    """Follow up to a revision; all that are shown on the way are exactly what was published."""
    shown: list[int] = []
    deadline = time.monotonic() + seconds
    while number not in shown:
        found = view.poll(0.1)
        if found is not None:
            shown.append(found.revision["revision"])
            assert rows(found.documents) == topics.truth[view.name, shown[-1]]
        assert time.monotonic() < deadline, shown
    return shown


def test_views_show_whole_revisions_while_compaction_and_aborted_transactions_go_on(
    broker: Topics, fresh, caplog: pytest.LogCaptureFixture
) -> None:
    errors: list[BaseException] = []
    done = threading.Event()

    def publish() -> None:
        try:
            for n in range(60):
                topics.publish({"default": sliding(n), **({"other": sliding(2 * n)} if n % 3 == 0 else {})})
                if n % 15 == 7:
                    topics.abort()
        except BaseException as error:  # noqa: BLE001 - told to the test
            errors.append(error)
        finally:
            done.set()

    thread = threading.Thread(target=publish)
    with (
        Publishing(broker, fresh) as topics,
        view_of(topics, every=True) as steady,
        view_of(topics, "other") as other,
    ):
        topics.publish({"default": sliding(99), "other": sliding(98)})
        assert awaited(steady, topics, 1) == [1]
        thread.start()
        shown: list[int] = []
        late: list[int] = []
        while not done.is_set():
            found = steady.poll(0.2)
            if found is not None:
                shown.append(found.revision["revision"])
                assert rows(found.documents) == topics.truth["default", shown[-1]]
            if len(shown) % 20 == 10:
                with view_of(topics) as newcomer:
                    first = newcomer.poll(PATIENCE)
                    assert first is not None
                    late.append(first.revision["revision"])
                    assert rows(first.documents) == topics.truth["default", late[-1]]
                shown += [shown[-1]]
        thread.join()
        assert not errors
        if shown[-1] != 61:
            shown += awaited(steady, topics, 61)
        assert shown == sorted(shown)
        assert late == sorted(late)
        # The brokers end a transaction in one partition after the other. Where compaction comes in between, nothing
        # helps but to read all of it again, up to a newer revision than the next.
        if not any("reading the whole selection again" in line for line in caplog.messages):
            assert len(set(shown)) + steady.skipped >= 61 - 1
        assert awaited(other, topics, 21)
        # The mark comes behind the records of its revision, and so perhaps with a later answer.
        eventually(lambda: steady.poll(0.05) is None and steady.heartbeat.sets["default"].revision == 61)


def test_a_view_takes_partitions_that_are_added(broker: Topics, fresh: Callable[[str], str]) -> None:
    with Publishing(broker, fresh, partitions=1) as topics, view_of(topics) as view:
        topics.publish({"default": sliding(0)})
        awaited(view, topics, 1)
        broker.add_partitions(topics.selection, 3)
        topics.sink.close()
        topics.open()  # a producer learns of new partitions within seconds; a new one at once
        topics.publish({"default": {**sliding(0), **{f"new{i}": (0.1, 1.0, 1) for i in range(20)}}})
        awaited(view, topics, 2)


def test_a_view_of_topics_that_are_not_there_says_so(broker: Topics, fresh: Callable[[str], str]) -> None:
    with (
        SelectionView(broker.bootstrap, fresh("nothing")) as view,
        pytest.raises(KafkaFailure, match="There is no topic 'nothing-"),
    ):
        view.poll()
