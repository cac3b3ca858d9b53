"""For whoever is on call: is it alive, is it keeping up, is what it publishes right, what do I do?"""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as boards

from deploy.grafana.operations_internals import internals
from deploy.grafana.panels import (
    BLUE,
    GREEN,
    RED,
    YELLOW,
    YES_NO,
    age,
    board,
    number,
    numbered,
    of,
    of_sets,
    rate,
    rows_of,
    series,
    with_variables,
)
from deploy.grafana.runbook import see
from tsds_stream.monitoring import thresholds

PHASES = {
    "0": ("", "transparent"),
    "1": ("starting", YELLOW),
    "2": ("replaying", YELLOW),
    "3": ("live", GREEN),
    "4": ("stopping", YELLOW),
    "5": ("stopped", BLUE),
}


def operations() -> boards.Dashboard:
    """The dashboard of the on-call engineer."""
    made = board(
        "tsds-stream-operations",
        "tsds-stream: Operations",
        "For whoever is on call. Top row: is it alive, and what is the matter. Below: is it keeping up, is what it "
        "publishes right. Panels say what is normal, and where the runbook says what to do.",
        "6h",
        ["on-call"],
    )
    made = with_variables(made, sets=True).with_row(boards.Row("Is it alive, and what is the matter?"))
    for panel in _alive():
        made = made.with_panel(panel)
    made = made.with_row(boards.Row("Is it keeping up?"))
    for panel in _keeping_up():
        made = made.with_panel(panel)
    made = made.with_row(boards.Row("Is what it publishes right?"))
    for panel in _right():
        made = made.with_panel(panel)
    for row in internals():
        made = made.with_row(row)
    return made


def _alive() -> list:
    phase = numbered("tsds_stream_phase", "phase", [name for name, _ in PHASES.values()][1:])
    alerts = 'ALERTS{alertname=~"TsdsStream.*",alertstate="firing",job=~"$job|",instance=~"$instance|"}'
    return [
        number(
            "Answers",
            "Whether Prometheus reaches the process. Red: it is gone, or cannot be reached." + see("Stalled"),
            ('up{job=~"$job",instance=~"$instance"}', "{{instance}}"),
            steps=YES_NO,
            words={"0": ("gone", RED), "1": ("answers", GREEN)},
            none="not scraped",
        ),
        number(
            "Doing",
            "Live is normal. Starting takes seconds, replaying as long as it takes to read again what came since the "
            "newest checkpoint." + see("Stalled"),
            (phase, "{{instance}}"),
            words=PHASES,
        ),
        number(
            "Last step",
            "Time since the main loop turned. Normally under a second, a few while a checkpoint is written."
            + see("Stalled"),
            (f"time() - {of('tsds_stream_loop_timestamp_seconds')}", "{{instance}}"),
            unit="s",
            steps=((None, GREEN), (thresholds.STATUS_SILENT, YELLOW), (thresholds.LOOP_STALLED, RED)),
            decimals=0,
        ),
        number(
            "Up for",
            "Time since the process was started. Short again and again: a supervisor restarts it." + see("Stalled"),
            (f"time() - {of('tsds_stream_start_timestamp_seconds')}", "{{instance}}"),
            unit="s",
            decimals=0,
        ),
        number(
            "Starts",
            "How often the process was started anew within the time that is shown." + see("Stalled"),
            (f"changes({of('tsds_stream_start_timestamp_seconds')}[$__range])", "{{instance}}"),
            steps=((None, GREEN), (1, YELLOW), (3, RED)),
        ),
        number(
            "Embedder",
            "Out: no text can be embedded, everything waits and nothing is lost." + see("EmbedderFailing"),
            (of("tsds_stream_embedder_out"), "{{instance}}"),
            steps=((None, GREEN), (1, RED)),
            words={"0": ("answers", GREEN), "1": ("out", RED)},
        ),
        rows_of(
            "Alerts that are firing",
            "What Prometheus holds for wrong now; empty is good. Each alert has a section of its name in the runbook."
            + see("Start here"),
            (alerts, ""),
            span=24,
        ),
    ]


def _keeping_up() -> list:
    return [
        series(
            "Documents per second",
            "Read: taken from the source. Applied: have reached the selection. They should go together; 0 is normal "
            "for a stream that is quiet." + see("SourceAbsent", "FallingBehind"),
            (rate("tsds_stream_documents_read_total"), "read {{instance}}"),
            (rate("tsds_stream_documents_applied_total"), "applied {{instance}}"),
            (rate("tsds_stream_documents_replayed_total"), "replayed {{instance}}"),
            unit="ops",
        ),
        series(
            "Behind",
            "How far the stream is behind, in seconds: as the source says, or what waits at the present speed. High "
            "and falling is a run that catches up; high and rising is not." + see("FallingBehind"),
            (of("instance:tsds_stream_lag:behind_seconds"), "{{instance}}"),
            unit="s",
            line=thresholds.LAG_HIGH,
        ),
        series(
            "Waiting to be read",
            "Records (Kafka) or bytes (files) that the source holds and that are not read yet."
            + see("FallingBehind", "SourceAbsent"),
            (of("tsds_stream_lag_records"), "records {{instance}}"),
            (of("tsds_stream_lag_bytes"), "bytes {{instance}}"),
            unit="short",
        ),
        series(
            "From record to revision",
            "Time from a record's timestamp to the publication that reflects it first. Old records that are read late, "
            "as in a backlog, take as long as they are old." + see("FallingBehind"),
            (of("instance:tsds_stream_latency_seconds:p50_5m"), "half of them {{instance}}"),
            (of("instance:tsds_stream_latency_seconds:p99_5m"), "99 of 100 {{instance}}"),
            unit="s",
        ),
    ]


def _right() -> list:
    return [
        number(
            "Published",
            "Time since what was read was last known to be published. It stays at seconds in a quiet stream, too."
            + see("RevisionStale"),
            (age(of("tsds_stream_publication_heartbeat_timestamp_seconds")), "{{instance}}"),
            unit="s",
            steps=((None, GREEN), (thresholds.HEARTBEAT_STALE / 2, YELLOW), (thresholds.HEARTBEAT_STALE, RED)),
            none="not yet",
            height=8,
            decimals=0,
        ),
        number(
            "Exact",
            "Exact: bit for bit what a batch computation over all documents gives. If not, the table beside tells why."
            + see("PlanTruncated", "NotExact"),
            (of_sets("tsds_stream_selection_exact"), "{{target_set}}"),
            words={"0": ("no", YELLOW), "1": ("yes", GREEN)},
            height=8,
            named=True,
        ),
        number(
            "Selected",
            "Documents in the present selection of each set." + see("ShortOfBudget"),
            (of_sets("tsds_stream_selection_documents"), "{{target_set}}"),
            height=8,
            named=True,
        ),
        rows_of(
            "Why not exact",
            "The reasons of each set; empty is good. Provisional is over by itself." + see("PlanTruncated", "NotExact"),
            (f"{of_sets('tsds_stream_selection_inexact')} == 1", ""),
        ),
        series(
            "Dead letters",
            "Records per second that could not be used, by reason. None of them is lost." + see("DeadLetters"),
            (f"sum by (reason) ({rate('tsds_stream_dead_letters_total')}) > 0", "{{reason}}"),
            unit="ops",
            stacked=True,
        ),
        series(
            "Share of dead letters",
            "Of the records of the last 15 minutes. A few are normal where many write into the topic."
            + see("DeadLetters"),
            (of("instance:tsds_stream_dead_letters:share15m"), "{{instance}}"),
            unit="percentunit",
            line=thresholds.DEAD_LETTERS_SHARE,
        ),
        series(
            "Age of the newest checkpoint",
            "A restart reads again what came since. It grows in a quiet stream, which needs no new one."
            + see("CheckpointStale"),
            (age(of("tsds_stream_checkpoint_timestamp_seconds")), "{{instance}}"),
            unit="s",
            line=thresholds.CHECKPOINT_STALE,
        ),
        series(
            "Memory",
            "Of what the process may use: its configured limit, or what the container or the machine has."
            + see("MemoryHigh"),
            (of("instance:tsds_stream_memory:used_ratio"), "{{instance}}"),
            unit="percentunit",
            line=thresholds.MEMORY_HIGH,
            maximum=1,
        ),
    ]
