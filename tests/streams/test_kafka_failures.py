"""What the client library raises becomes a failure that says what to do."""

from __future__ import annotations

import gc
import logging
import socket
import threading
import warnings
from collections.abc import Callable, Iterator

import pytest
from kafka import errors as library
from kafka.structs import OffsetAndMetadata, TopicPartition

from tsds_stream.streams.kafka.client import Admin, Consumer, Producer, explained
from tsds_stream.streams.kafka.client.producer import keep_requests
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import (
    FencedOff,
    KafkaFailure,
    OutOfRange,
    Partition,
    Refused,
    TooLarge,
    Unreachable,
)

PLACE = Connection("broker.example:9092", security={"sasl_plain_password": "hunter2"})


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (library.ProducerFencedError(), FencedOff),
        (library.InvalidProducerEpochError(), FencedOff),
        (library.KafkaError("Cannot execute transactional method: … ProducerFencedError"), FencedOff),
        (library.TopicAuthorizationFailedError("selection"), Refused),
        (library.KafkaError("TxnOffsetCommitResponse: [Error 30] GroupAuthorizationFailedError"), Refused),
        (library.KafkaError("… [Error 50] InvalidTransactionTimeoutError"), Refused),
        (library.SaslAuthenticationFailedError(), Refused),
        (library.MessageSizeTooLargeError("too long"), TooLarge),
        (library.KafkaTimeoutError("no answer"), Unreachable),
        (library.NotEnoughReplicasError(), Unreachable),
        (ConnectionRefusedError("refused"), Unreachable),
    ],
)  # fmt: skip
def test_a_failure_says_what_was_tried_where_and_why(raised: Exception, becomes: type[KafkaFailure]):
    with pytest.raises(becomes) as told, explained("commit a transaction", PLACE):
        raise raised
    assert "Could not commit a transaction" in str(told.value)
    assert becomes is TooLarge or "broker.example:9092" in str(told.value)
    assert "hunter2" not in str(told.value) + repr(PLACE)


def test_a_request_is_kept_while_its_coordinator_is_not_ready():
    class Client:
        def await_ready(self, node_id: str, timeout_ms: int = 30000) -> bool:
            if node_id == "away":
                raise library.KafkaConnectionError("Node away not ready")
            return True

    client = Client()
    keep_requests(client)
    assert client.await_ready("here", timeout_ms=5) is True
    assert client.await_ready("away", timeout_ms=5) is False


def test_an_error_that_names_itself_is_named_once():
    with pytest.raises(Unreachable) as told, explained("connect to the brokers", PLACE):
        raise library.KafkaTimeoutError("Unable to bootstrap")
    assert str(told.value).count("KafkaTimeoutError") == 1


def test_positions_that_a_log_does_not_hold_are_named():
    with pytest.raises(OutOfRange) as told, explained("read"):
        raise library.OffsetOutOfRangeError({TopicPartition("documents", 3): 17})
    assert told.value.positions == {Partition("documents", 3): 17}
    with pytest.raises(OutOfRange) as told, explained("read"):
        raise library.LogTruncationError({TopicPartition("documents", 1): OffsetAndMetadata(5, "", 2)})
    assert set(told.value.positions) == {Partition("documents", 1)}


def test_a_login_that_the_library_only_logs_about_becomes_the_reason():
    def connect() -> None:
        logging.getLogger("kafka.net.connection").error("SASL: authentication failed: invalid credentials")
        raise library.KafkaTimeoutError("Unable to bootstrap")

    with pytest.raises(Refused, match="invalid credentials"), explained("connect to the brokers", PLACE):
        connect()


def test_what_was_heard_before_does_not_explain_what_comes_later():
    logging.getLogger("kafka.net.connection").error("SASL: authentication failed: invalid credentials")
    with pytest.raises(Unreachable), explained("connect to the brokers", PLACE):
        raise library.KafkaTimeoutError("Unable to bootstrap")


@pytest.mark.parametrize(
    "said",
    [
        "Exchanging credentials in the clear during Sasl Authentication",
        "Connection lost: [SSL: UNEXPECTED_EOF_WHILE_READING] EOF occurred in violation of protocol",
    ],
)
def test_what_is_also_said_while_a_broker_is_away_is_no_refusal(said: str):
    """A supervisor does not start again after a refusal."""

    def connect() -> None:
        logging.getLogger("kafka.net.connection").error(said)
        raise library.KafkaTimeoutError("Unable to bootstrap")

    with pytest.raises(Unreachable), explained("connect to the brokers", PLACE):
        connect()


def test_a_refusal_goes_before_the_end_of_its_connection():
    def connect() -> None:
        logging.getLogger("kafka.net.manager").error("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")
        logging.getLogger("kafka.net.connection").error("Connection lost: SSL: EOF occurred in violation of protocol")
        raise library.KafkaTimeoutError("Unable to bootstrap")

    with pytest.raises(Refused, match="verify failed"), explained("connect to the brokers", PLACE):
        connect()


@pytest.fixture
def sockets_left_to_the_collector() -> Iterator[None]:
    """The library does not close sockets that were refused; it must not be this test's log that keeps them."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


@pytest.mark.usefixtures("sockets_left_to_the_collector")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("client", [Admin, Consumer, Producer])
def test_a_client_that_finds_no_broker_leaves_nothing_behind(client: Callable[[Connection], object]):
    """The library's own constructors leave a thread that tries to connect for ever."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and nobody listens
        nowhere = Connection(f"127.0.0.1:{taken.getsockname()[1]}", request_timeout=0.3, startup_timeout=0.3)
        before = {thread.ident for thread in threading.enumerate()}
        try:
            client(nowhere)
        except Unreachable as error:
            failure = str(error)
    assert "connect to the brokers" in failure
    left = [thread.name for thread in threading.enumerate() if thread.ident not in before]
    assert left == []


def test_a_question_is_asked_again_while_one_of_several_brokers_is_away(monkeypatch: pytest.MonkeyPatch):
    answers: list[Exception | list[dict[str, object]]] = [
        library.KafkaConnectionError("node 2"),
        library.KafkaConnectionError("node 3"),
        library.NodeNotReadyError(),
        [],
    ]

    class Library:
        def __init__(self, **options: object) -> None: ...

        def describe_topics(self, names: list[str]) -> list[dict[str, object]]:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

    monkeypatch.setattr("tsds_stream.streams.kafka.client.admin.KafkaAdminClient", Library)
    monkeypatch.setattr("tsds_stream.streams.kafka.client.admin._PAUSE", 0.001)
    with pytest.raises(Unreachable, match="node 2"):
        Admin(PLACE).topics(["documents"], patience=0.0)
    assert Admin(PLACE).topics(["documents"])["documents"].missing
    assert answers == []


def test_a_partition_that_is_too_new_to_be_known_is_asked_for_again(monkeypatch: pytest.MonkeyPatch):
    answers: list[dict[TopicPartition, int] | None] = [None, {TopicPartition("documents", 4): 7}]

    class Library:
        def __init__(self, **options: object) -> None: ...

        def end_offsets(self, partitions: list[TopicPartition]) -> dict[TopicPartition, int]:
            answer = answers.pop(0)
            if answer is None:
                raise KeyError(partitions[0])
            return answer

    monkeypatch.setattr("tsds_stream.streams.kafka.client.consumer.KafkaConsumer", Library)
    monkeypatch.setattr("tsds_stream.streams.kafka.client.consumer._PAUSE", 0.001)
    assert Consumer(PLACE).ends([Partition("documents", 4)]) == {Partition("documents", 4): 7}
