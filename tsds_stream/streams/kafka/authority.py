"""Which positions hold at a start: the committed offsets of the group, or the mark beside the selection."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import NamedTuple

from tsds_stream.streams.base import Positions, SinkError
from tsds_stream.streams.kafka.errors import Partition
from tsds_stream.streams.kafka.marks import OffsetNote, PublisherMark, decode_note
from tsds_stream.streams.kafka.positions import KafkaPositions, is_kafka

log = logging.getLogger(__name__)


class Beginning(NamedTuple):
    """What the topic itself says: used for what nobody has noted."""

    topic_id: str
    offsets: Mapping[int, int]  # first offset of every partition


def check_source(mark: PublisherMark | None, documents: str | None, selection: str) -> None:
    """Refuse to go on with a selection of another stream. Raises `SinkError`."""
    if mark is None or mark.positions is None:
        return
    there = f"the Kafka topic {mark.positions['topic']!r}" if is_kafka(mark.positions) else "files"
    here = f"the Kafka topic {documents!r}" if documents is not None else "files"
    if there != here:
        raise SinkError(
            f"The topic {selection!r} holds a selection from {there}, but the configured documents come from {here}. "
            f"Give this stream topics of its own, or delete the topics of the selection to begin anew."
        )


def settle_positions(
    group_id: str,
    documents: str,
    committed: Mapping[Partition, tuple[int, str]],
    mark: PublisherMark | None,
    beginning: Callable[[], Beginning],
) -> Positions | None:
    """Where the stream stands. Committed offsets go first: who moved them meant it.

    Args:
        committed: offset and metadata by partition of the documents topic, for the group.
        beginning: asked only where neither mark nor metadata say enough.
    """
    positions = None if mark is None else mark.positions
    offsets = {partition.partition: offset for partition, (offset, _) in committed.items()}
    if not offsets:
        if positions is not None:
            log.warning(
                "the group %r has no committed offsets in %r (another group_id, or they expired): going on at the "
                "positions that were published with the selection",
                group_id,
                documents,
            )
        return positions
    found = {partition.partition: decode_note(metadata) for partition, (_, metadata) in committed.items()}
    notes = {partition: note for partition, note in found.items() if note is not None}
    ids = {note.topic_id for note in notes.values()}
    marked = None if positions is None else KafkaPositions.of(positions)
    if marked is not None and ids <= {marked.topic_id}:
        if all(marked.documents.get(partition) == offset for partition, offset in offsets.items()):
            return positions
        _tell_moves(group_id, documents, offsets, marked.documents)
    elif marked is not None:
        log.warning(
            "the offsets of the group %r belong to another topic %r than the positions that were published with the "
            "selection: going on at the offsets",
            group_id,
            documents,
        )
        marked = None
    else:
        log.warning(
            "no publication of this transactional id was found, but the group %r has committed offsets in %r: the "
            "selection will be that of the documents up to them",
            group_id,
            documents,
        )
    return _from_offsets(documents, offsets, notes, marked, beginning)


def _from_offsets(
    documents: str,
    offsets: Mapping[int, int],
    notes: Mapping[int, OffsetNote],
    marked: KafkaPositions | None,
    beginning: Callable[[], Beginning],
) -> Positions:
    at = dict(marked.documents) if marked is not None else {}
    began = dict(marked.began) if marked is not None else {}
    began |= {partition: note.began for partition, note in notes.items()}
    topic_id = next((note.topic_id for note in notes.values()), marked.topic_id if marked is not None else None)
    at |= offsets
    if topic_id is None or not began.keys() >= at.keys():
        first = beginning()
        topic_id = first.topic_id if topic_id is None else topic_id
        for partition, offset in first.offsets.items():
            began.setdefault(partition, offset)
        if marked is None:
            at = {**first.offsets, **at}
    gaps = marked.gaps if marked is not None else ()
    return KafkaPositions(
        documents, topic_id, at, {partition: began.get(partition, 0) for partition in at}, gaps
    ).as_positions()


def _tell_moves(group_id: str, documents: str, offsets: Mapping[int, int], before: Mapping[int, int]) -> None:
    moves = [
        f"{partition} from {before.get(partition, 'nothing')} to {offset}"
        for partition, offset in sorted(offsets.items())
        if before.get(partition) != offset
    ]
    log.warning(
        "the offsets of the group %r in %r were moved since the last publication (partition %s): the selection becomes "
        "that of the documents up to them",
        group_id,
        documents,
        ", ".join(moves),
    )
