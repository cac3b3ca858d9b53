"""The newest revision that topics tell of: a copy of them that was made earlier may not have it yet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tsds_stream.loader.errors import RevisionError
from tsds_stream.loader.following import arrives
from tsds_stream.loader.revisions import Revisions
from tsds_stream.streams.kafka.encoding import decode_revision
from tsds_stream.streams.kafka.errors import KafkaFailure
from tsds_stream.streams.kafka.following import Reader, read_tail

if TYPE_CHECKING:
    from tsds_stream.streams.kafka.client import Record


def catch_up_with(reader: Reader, topic: str, revisions: Revisions, timeout: float) -> None:
    """Wait until a copy has what is the newest revision of its target set in the topic of revisions now.

    Raises:
        RevisionError: it does not in that time, or no broker answers.
    """
    newest = 0

    def note(record: Record) -> None:
        nonlocal newest
        try:
            told = decode_revision(record.key, record.value)
        except ValueError:
            return  # of somebody else
        if told["set"] == revisions.target_set:
            newest = int(told["revision"])

    try:
        read_tail(reader, topic, note, lambda: newest > 0)
    except KafkaFailure as error:
        raise RevisionError(f"Could not ask {revisions.name} for its newest revision: {error}") from error
    finally:
        reader.close()
    if not arrives(revisions, newest, timeout):
        raise RevisionError(
            f"The copy of {revisions.name} has revision {revisions.newest()}, and the topic {newest}; it has not "
            f"caught up within {timeout:.0f} s. Start again: it goes on from where it is."
        )
