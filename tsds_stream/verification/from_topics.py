"""What an auditor looks at, where documents, targets or revisions are in topics: the parts, opened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

from tsds_stream.codecs import Decoder
from tsds_stream.streams.base import Positions, SourceError, SourceUnavailable
from tsds_stream.streams.clocks import wall_clock
from tsds_stream.streams.kafka.client import Admin
from tsds_stream.streams.kafka.connection import connection_of
from tsds_stream.streams.kafka.documents import DocumentReader
from tsds_stream.streams.kafka.errors import KafkaFailure, OutOfRange
from tsds_stream.streams.kafka.settings import KafkaSettings
from tsds_stream.verification.evidence import DocumentLog, Published
from tsds_stream.verification.examples import ExampleReader
from tsds_stream.verification.reading import TopicReader
from tsds_stream.verification.topic_examples import SetExamples, TopicExamples
from tsds_stream.verification.topic_log import TopicLog
from tsds_stream.verification.topic_sink import SinkReader

_MARGIN = 15.0  # seconds that brokers may take to end a transaction that has timed out


def read_published(kafka: KafkaSettings, stack: ExitStack) -> Published:
    """What the topics of the sink hold. Raises `SourceError`."""
    with explained():
        topics = kafka.topics
        return SinkReader(
            _reader(kafka, topics.selection, stack),
            _reader(kafka, topics.revisions, stack),
            _reader(kafka, topics.dead_letters, stack),
            kafka.transactional_id,
        ).read()


def open_log(
    kafka: KafkaSettings, max_document_bytes: int, decoder: Decoder, newest: Positions | None, stack: ExitStack
) -> DocumentLog:
    """The documents topic. Raises `SourceError`."""
    with explained():
        name = kafka.topics.documents
        reader = _reader(kafka, name, stack)
        admin = Admin(connection_of(kafka))
        try:
            topic = admin.topics([name])[name]
            policy = "" if topic.problem else admin.topic_config(name).get("cleanup.policy", "")
        finally:
            admin.close()
        if topic.problem:
            raise SourceError(f"topic {name!r} cannot be read: {topic.problem}")
        documents = DocumentReader(name, decoder, max_document_bytes, wall_clock)
        thinned = (
            f"topic {name!r} is compacted: earlier records of its documents may be gone" if "compact" in policy else ""
        )
        return TopicLog(reader, topic.id, documents, newest, thinned, explained)


def open_examples(
    kafka: KafkaSettings, names: Sequence[str], decoder: Decoder, stack: ExitStack
) -> dict[str, ExampleReader]:
    """The examples of some sets in the targets topic. Raises `SourceError`."""
    assert kafka.topics.targets is not None  # the settings refuse a set without a file and without a topic
    with explained():
        examples = TopicExamples(_reader(kafka, kafka.topics.targets, stack), decoder)
        return {name: SetExamples(examples, name) for name in names}


@contextmanager
def explained() -> Iterator[None]:
    """Failures of brokers become a `SourceError`."""
    try:
        yield
    except OutOfRange as error:
        raise SourceError(f"records were deleted while they were to be read: {error}") from error
    except KafkaFailure as error:
        raise SourceUnavailable(str(error)) from error


def _reader(kafka: KafkaSettings, topic: str, stack: ExitStack) -> TopicReader:
    reader = TopicReader(connection_of(kafka), topic, stall=kafka.transaction_timeout + _MARGIN)
    stack.callback(reader.close)
    return reader
