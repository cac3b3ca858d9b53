"""Is it alive: the process, how it is configured, its embedder, what it publishes, its checkpoints."""

from __future__ import annotations

from platform import python_version
from typing import Final

from tsds_stream.monitoring.catalogue.labels import PHASE
from tsds_stream.monitoring.catalogue.metric import Group, Label, Metric
from tsds_stream.monitoring.catalogue.reading import at, chosen, moment, value

_CONFIGURED: Final = ("source", "sink", "embedder", "digest")

PROCESS: Final = Group(
    "Process",
    "Whether it is alive, and what is running.",
    (
        Metric("phase", "gauge", "", "1 for what the process does at present, 0 for the others.",
               chosen(PHASE.values, "process", "phase"), (PHASE,)),
        Metric("loop_timestamp_seconds", "gauge", "seconds", "When the main loop has turned last: the heartbeat.",
               moment("process", "ticked")),
        Metric("start_timestamp_seconds", "gauge", "seconds", "When the process was started.",
               moment("process", "started")),
        Metric("status_timestamp_seconds", "gauge", "seconds",
               "When these figures were taken; it stands still when the process does.", moment("created")),
        Metric("resident_memory_bytes", "gauge", "bytes", "Memory of the process that is in use.",
               value("process", "resident_bytes")),
        Metric("memory_limit_bytes", "gauge", "bytes",
               "Memory that it may use: `monitoring.memory_limit`, or what the container or the machine has.",
               value("process", "memory_limit_bytes")),
        Metric("cpu_seconds_total", "counter", "seconds", "Processor time of all threads, user and system.",
               value("process", "cpu_seconds")),
        Metric("build_info", "info", "", "What is running.",
               lambda status: {(at(status, "version") or "", python_version()): 1},
               (Label("version", "of tsds-stream"), Label("python", "version of Python"))),
        Metric("configuration_info", "info", "", "How it is configured.",
               lambda status: {tuple(at(status, "configuration", name) or "" for name in _CONFIGURED): 1},
               (Label("source", "kind of the source", ("files", "kafka")),
                Label("sink", "kind of the sink", ("directory", "kafka")),
                Label("embedder", "fingerprint of the embedder"), Label("digest", "of all settings"))),
        Metric("publish_interval_seconds", "gauge", "seconds", "Configured: the least time between two revisions.",
               value("configuration", "publish_interval")),
        Metric("checkpoint_interval_seconds", "gauge", "seconds", "Configured: the time between two checkpoints.",
               value("configuration", "checkpoint_interval")),
        Metric("embedder_outages_total", "counter", "outages", "How often the embedder has stopped to answer.",
               value("embedder", "outages")),
        Metric("embedder_out", "gauge", "", "1 while the embedder does not answer and the stream waits for it.",
               value("embedder", "out")),
    ),
)  # fmt: skip

PUBLISHING: Final = Group(
    "Publishing and checkpoints",
    "Whether what is selected reaches its readers, and would survive a crash.",
    (
        Metric("commits_total", "counter", "commits",
               "Times that revisions, dead letters or positions were published; in Kafka, committed transactions.",
               value("publishing", "commits")),
        Metric("commit_failures_total", "counter", "commits",
               "Commits that failed; in Kafka, the transaction is aborted, and the process ends to be started again.",
               value("publishing", "failed")),
        Metric("last_commit_timestamp_seconds", "gauge", "seconds", "When something was published last; 0: never.",
               moment("publishing", "last_commit")),
        Metric("publication_heartbeat_timestamp_seconds", "gauge", "seconds",
               "When everything that had been read was last known to be in effect; it goes on in a quiet stream.",
               moment("publishing", "heartbeat")),
        Metric("published_records_total", "counter", "records",
               "Records sent: documents, withdrawals, revisions, dead letters.", value("publishing", "records")),
        Metric("oversized_records_total", "counter", "records",
               "Records sent without their body, which the sink would not take.", value("publishing", "oversized")),
        Metric("checkpoints_total", "counter", "checkpoints", "Checkpoints written.", value("checkpoints", "count")),
        Metric("checkpoint_failures_total", "counter", "checkpoints", "Checkpoints that could not be written.",
               value("checkpoints", "failures")),
        Metric("checkpoint_timestamp_seconds", "gauge", "seconds", "When the last checkpoint was written; 0: never.",
               moment("checkpoints", "last")),
        Metric("checkpoint_bytes", "gauge", "bytes", "Size of the last checkpoint.", value("checkpoints", "bytes")),
        Metric("checkpoint_duration_seconds", "gauge", "seconds", "Time that the last checkpoint took.",
               value("checkpoints", "seconds")),
    ),
)  # fmt: skip
