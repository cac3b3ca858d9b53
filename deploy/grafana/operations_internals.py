"""The insides of a process: for whoever is on call and has found out where to look."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as boards

from deploy.grafana.panels import (
    age,
    fold,
    of,
    rate,
    rows_of,
    series,
)
from deploy.grafana.runbook import see
from tsds_stream.monitoring import thresholds


def internals() -> list[boards.Row]:
    """One row for each subject."""
    return [
        fold("Internals: where the time goes", _stages()),
        fold("Internals: process and memory", _process()),
        fold("Internals: publishing and checkpoints", _durable()),
        fold("Internals: what came in, what is held", _counts()),
    ]


def _stages() -> list:
    bucket = of("tsds_stream_stage_duration_seconds_bucket")
    return [
        series(
            "Share of time by stage",
            "Seconds per second that each stage takes. The highest is the one that limits the speed; reading and "
            "embedding go on beside the others." + see("FallingBehind"),
            (f"sum by (stage) ({rate('tsds_stream_stage_duration_seconds_sum')})", "{{stage}}"),
            unit="percentunit",
        ),
        series(
            "Duration of a stage, 99 of 100",
            "Per batch, revision or checkpoint. A disk or an embedder that becomes slow shows here first."
            + see("FallingBehind"),
            (f"histogram_quantile(0.99, sum by (stage, le) (rate({bucket}[$__rate_interval])))", "{{stage}}"),
            unit="s",
        ),
        series(
            "Duration of a stage, mean",
            "Per batch, revision or checkpoint.",
            (
                f"sum by (stage) ({rate('tsds_stream_stage_duration_seconds_sum')})"
                f" / sum by (stage) ({rate('tsds_stream_stage_duration_seconds_count')})",
                "{{stage}}",
            ),
            unit="s",
        ),
        series(
            "Waiting by partition",
            "Records of each partition that are not read yet (Kafka). One that stands out has a broker of its own "
            "to blame, or a producer." + see("FallingBehind"),
            (of("tsds_stream_partition_lag_records"), "{{topic}}/{{partition}}"),
            unit="short",
        ),
    ]


def _process() -> list:
    return [
        series(
            "Processor",
            "Cores in use. Near 1 for long: the one thread that selects is the limit." + see("FallingBehind"),
            (rate("tsds_stream_cpu_seconds_total"), "{{instance}}"),
            unit="none",
        ),
        series(
            "Resident memory",
            "And what may be used. It follows targets × max_k, not the length of the stream." + see("MemoryHigh"),
            (of("tsds_stream_resident_memory_bytes"), "used {{instance}}"),
            (of("tsds_stream_memory_limit_bytes"), "limit {{instance}}"),
            unit="bytes",
        ),
        series(
            "Queue",
            "Documents that are read and wait to be selected. Bounded; full for long: selecting is the limit.",
            (of("tsds_stream_queued_documents"), "{{instance}}"),
            unit="short",
        ),
        series(
            "Outages of the embedder",
            "How often it has stopped to answer, within five minutes." + see("EmbedderFailing"),
            (f"increase({of('tsds_stream_embedder_outages_total')}[5m])", "{{instance}}"),
            unit="none",
        ),
        series(
            "Age of these figures",
            "They are taken once per second. Older than some seconds: the process is suspended, or its machine is "
            "overloaded." + see("Stalled"),
            (f"time() - {of('tsds_stream_status_timestamp_seconds')}", "{{instance}}"),
            unit="s",
            line=thresholds.STATUS_SILENT,
        ),
        rows_of(
            "What is running",
            "Versions. They differ between processes during an upgrade only.",
            (of("tsds_stream_build_info"), ""),
        ),
        rows_of(
            "How it is configured",
            "Equal digests, equal settings.",
            (of("tsds_stream_configuration_info"), ""),
        ),
    ]


def _durable() -> list:
    return [
        series(
            "Records published",
            "Per second. Oversized ones are sent as a reference, without their text.",
            (rate("tsds_stream_published_records_total"), "sent {{instance}}"),
            (rate("tsds_stream_oversized_records_total"), "oversized {{instance}}"),
            (rate("tsds_stream_missing_payloads_total"), "without text {{instance}}"),
            unit="ops",
        ),
        series(
            "Time since the last publication",
            "Of anything: a revision, dead letters, positions. Unlike the heartbeat it grows in a quiet stream.",
            (age(of("tsds_stream_last_commit_timestamp_seconds")), "{{instance}}"),
            (of("tsds_stream_publish_interval_seconds"), "least, as configured {{instance}}"),
            unit="s",
        ),
        series(
            "Publications",
            "Per second; the configured interval bounds them. A failed one ends the process, which starts again and "
            "finds out whether it took effect." + see("RevisionStale"),
            (rate("tsds_stream_commits_total"), "done {{instance}}"),
            (rate("tsds_stream_commit_failures_total"), "failed {{instance}}"),
            unit="ops",
        ),
        series(
            "Checkpoints",
            "Written and failed within five minutes." + see("CheckpointStale"),
            (f"increase({of('tsds_stream_checkpoints_total')}[5m])", "written {{instance}}"),
            (f"increase({of('tsds_stream_checkpoint_failures_total')}[5m])", "failed {{instance}}"),
            unit="none",
        ),
        series(
            "Time for a checkpoint",
            "Written in the background.",
            (of("tsds_stream_checkpoint_duration_seconds"), "it took {{instance}}"),
            (of("tsds_stream_checkpoint_interval_seconds"), "between two, as configured {{instance}}"),
            unit="s",
        ),
        series(
            "Size of a checkpoint",
            "Two are kept; there must be room for three." + see("CheckpointStale"),
            (of("tsds_stream_checkpoint_bytes"), "{{instance}}"),
            unit="bytes",
        ),
    ]


def _counts() -> list:
    return [
        series(
            "Bytes read",
            "Per second.",
            (rate("tsds_stream_read_bytes_total"), "{{instance}}"),
            unit="Bps",
        ),
        series(
            "Time since the last record",
            "Grows while a stream is quiet, and while records wait and cannot be read." + see("SourceAbsent"),
            (age(of("tsds_stream_last_read_timestamp_seconds")), "{{instance}}"),
            unit="s",
        ),
        series(
            "Embedded",
            "Texts per second that the embedder was asked for; documents that bring vectors need none.",
            (rate("tsds_stream_documents_embedded_total"), "{{instance}}"),
            unit="ops",
        ),
        series(
            "Retractions, copies, backfill",
            "Per second. Retractions of documents that were never held are normal: most documents are not.",
            (rate("tsds_stream_retractions_total"), "retracted {{instance}}"),
            (rate("tsds_stream_unknown_retractions_total"), "retracted, not held {{instance}}"),
            (rate("tsds_stream_duplicate_documents_total"), "copies {{instance}}"),
            (rate("tsds_stream_documents_backfilled_total"), "backfilled {{instance}}"),
            unit="ops",
        ),
        series(
            "Partitions",
            "Partitions that are read (Kafka): all of the topic. New ones are taken within a minute.",
            (of("tsds_stream_assigned_partitions"), "{{instance}}"),
            unit="none",
        ),
    ]
