"""Is it keeping up: what comes in, how far behind it is, where the time goes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tsds_stream.monitoring.catalogue.labels import PARTITION, REASON, STAGE, TOPIC
from tsds_stream.monitoring.catalogue.metric import Group, Json, Labels, Metric, Reading
from tsds_stream.monitoring.catalogue.reading import at, counted, moment, value

DURATIONS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)


def _partitions(status: Json) -> Mapping[Labels, Reading]:
    lag: Json = at(status, "flow", "partition_lag") or {}
    places = {place: place.rpartition("/") for place in lag}
    return {(topic, number): lag[place] for place, (topic, _, number) in places.items()}


FLOW: Final = Group(
    "Flow",
    "Whether it keeps up: what comes in, how far behind it is, where the time goes.",
    (
        Metric("documents_read_total", "counter", "records", "Records read from the source, whatever becomes of them.",
               value("flow", "documents_read")),
        Metric("read_bytes_total", "counter", "bytes", "Bytes read from the source.", value("flow", "bytes_read")),
        Metric("documents_applied_total", "counter", "documents",
               "Documents and retractions that have reached the selectors.", value("flow", "documents_applied")),
        Metric("documents_embedded_total", "counter", "documents", "Texts that the embedder was asked for.",
               value("flow", "embedded")),
        Metric("documents_replayed_total", "counter", "documents",
               "Documents read again at the start to come back to what is published.", value("flow", "replayed")),
        Metric("documents_backfilled_total", "counter", "documents",
               "Documents of the past read again for targets that came late.", value("flow", "backfilled")),
        Metric("retractions_total", "counter", "documents", "Documents that were taken back.",
               value("flow", "retractions")),
        Metric("unknown_retractions_total", "counter", "documents",
               "Documents that were taken back and are not held: never seen, not among the candidates, or gone.",
               value("flow", "unknown_retractions")),
        Metric("duplicate_documents_total", "counter", "documents",
               "Documents whose embedding is that of another document that is held.", value("flow", "duplicates")),
        Metric("dead_letters_total", "counter", "records", "Records that could not be used.",
               counted(REASON.values, "flow", "dead_letters"), (REASON,)),
        Metric("missing_payloads_total", "counter", "documents",
               "Selected documents that were published without their text, which was no longer held.",
               value("flow", "missing_payloads")),
        Metric("queued_documents", "gauge", "documents", "Documents read that wait for the selectors.",
               value("flow", "queued_documents")),
        Metric("lag_records", "gauge", "records",
               "Records that the source holds and that are not read yet; Kafka tells it, files do not.",
               value("flow", "lag", "records")),
        Metric("lag_bytes", "gauge", "bytes",
               "Bytes that the source holds and that are not read yet; files tell it, Kafka does not.",
               value("flow", "lag", "bytes")),
        Metric("lag_seconds", "gauge", "seconds",
               "Age of the newest record that is read while more wait, by its timestamp; Kafka tells it, files do not.",
               value("flow", "lag", "seconds")),
        Metric("partition_lag_records", "gauge", "records", "Records of one partition that are not read yet.",
               _partitions, (TOPIC, PARTITION)),
        Metric("assigned_partitions", "gauge", "partitions",
               "Partitions that are read: all of the topic. There is no group membership, hence no rebalances.",
               lambda status: {(): len(_partitions(status))}),
        Metric("last_read_timestamp_seconds", "gauge", "seconds", "When a record was read last; 0: never.",
               moment("flow", "last_read")),
        Metric("stage_duration_seconds", "histogram", "seconds",
               "Time that a step of the loop took, per batch, revision or checkpoint; `embed`: the embedder's latency.",
               lambda status: {(stage,): at(status, "stages", stage) for stage in STAGE.values}, (STAGE,), DURATIONS),
        Metric("latency_seconds", "histogram", "seconds",
               "From the timestamp of a record to the publication that reflects it first.", value("latency"), (),
               DURATIONS),
    ),
)  # fmt: skip
