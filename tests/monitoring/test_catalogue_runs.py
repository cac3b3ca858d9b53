"""No metric is declared that nothing ever sets: real runs, on files and beside a real Kafka, set them all."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest

from tests.kafka.daemon_cases import await_line, forker, kill, stop, with_documents, world
from tests.kafka.world import World
from tests.monitoring.prometheus import linted, stored
from tests.monitoring.runs import watched_run
from tsds_stream.monitoring.catalogue import METRICS, Json
from tsds_stream.monitoring.exposition import render

__all__ = ["forker", "world"]  # fixtures

# They are there, as 0, and grow when something fails that these runs do not make fail.
WHEN_SOMETHING_FAILS = {
    *("embedder_outages_total", "embedder_out", "missing_payloads_total", "oversized_records_total"),
    *("commit_failures_total", "checkpoint_failures_total"),
}
LAG_OF_KAFKA = {"lag_records", "lag_seconds", "partition_lag_records"}
AFTER_A_RESTART = {"documents_replayed_total", "documents_backfilled_total"}

# What the status document has and Prometheus is not given, and why.
LEFT_OUT = {
    "format": "of the document itself",
    "process/pid": "Prometheus tells instances apart by their address",
    "process/exit": "words",
    "embedder/error": "words",
    "checkpoints/error": "words",
    "configuration/follow": "whether a run ends by itself is seen when it has ended",
    "configuration/monitoring": "in the configuration",
    "flow/documents_per_second": "the rate of a counter",
    "stages/*/count": "the sum of its buckets",
    "latency/count": "the sum of its buckets",
    "latency/recent": "quantiles of a histogram are computed by who asks for them",
    "embedder/since": "when embedder_out became 1",
    "publishing/seconds": "the histogram of the stage publish has it",
    "sets/*/last_added": "the increase of a counter",
    "sets/*/last_removed": "the increase of a counter",
    "sets/*/documents_seen": "documents_applied_total and documents_replayed_total count them",
    "sets/*/calibrated": "the reason provisional says so",
    "sets/*/watch/named_groups": "how groups came by their names is no measurement",
    "sets/*/watch/coverage_frozen": "how coverage_distance came about is no measurement",
    "sets/*/watch/selection_drift/windows": "selection_drift_ready says whether they are enough",
    "sets/*/watch/selection_drift/needed": "selection_drift_ready says whether it is 0",
    "sets/*/watch/selection_drift/over": "how many windows the score is of; the score is exported",
    "sets/*/watch/selection_drift/live_documents": "an estimate that only the drift needs",
    "drift/needed": "of the configuration, less what was looked at",
    "drift/baseline/began": "no alarm or chart needs it",
    "drift/baseline/ended": "no alarm or chart needs it",
    "drift/false_alarm_rate": "in the configuration",
    "history": "Prometheus keeps its own",
    "events": "words",
}


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """All status documents of a run on files."""
    return watched_run(tmp_path_factory.mktemp("run"))


def unset(documents: Iterable[Json]) -> set[str]:
    """Metrics that none of the documents has a sample of, other than 0."""
    documents = list(documents)
    assert documents
    return {
        metric.name
        for metric in METRICS
        if not any(value != 0 for status in documents for value in metric.samples(status).values())
    }


def missing(documents: Iterable[Json]) -> set[str]:
    """Metrics that none of the documents has any sample of."""
    documents = list(documents)
    return {metric.name for metric in METRICS if not any(metric.samples(status) for status in documents)}


def test_a_run_on_files_sets_every_metric_that_files_can_set(seen: list[Json]):
    assert missing(seen) == LAG_OF_KAFKA
    assert unset(seen) == LAG_OF_KAFKA | WHEN_SOMETHING_FAILS | AFTER_A_RESTART | {"assigned_partitions"}


def test_prometheus_takes_a_real_run_in_both_formats(seen: list[Json], tmp_path: Path):
    for status in (seen[0], seen[-1]):
        assert linted(render(status)[0]) == ""
        assert stored(render(status, "application/openmetrics-text; version=1.0.0")[0], tmp_path) == ""


def test_every_number_of_the_status_document_is_exported_or_left_out_for_a_reason(seen: list[Json]):
    plain = render(seen[-1])[0]
    hidden = set()
    for path in numbers(seen[-1]):
        status = deepcopy(seen[-1])
        below: Any = status
        for name in path[:-1]:
            below = below[name]
        below[path[-1]] = not below[path[-1]] if isinstance(below[path[-1]], bool) else (below[path[-1]] or 0) + 7
        if render(status)[0] == plain:
            hidden.add(pattern(path))
    unexplained = {path for path in hidden if not any(f"{path}/".startswith(f"{known}/") for known in LEFT_OUT)}
    assert unexplained == set()


def numbers(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Where the document has numbers, apart from those in lists."""
    if isinstance(value, dict):
        for name, below in value.items():
            yield from numbers(below, (*path, name))
    elif isinstance(value, (int, float)) or value is None:
        yield path


def pattern(path: tuple[str, ...]) -> str:
    """The path with a star where a name is one of many."""
    names = list(path)
    if names[0] in ("sets", "stages"):
        names[1] = "*"
    return "/".join(names)


def test_no_label_of_a_real_run_holds_an_id(seen: list[Json]):
    for status in (seen[0], seen[-1]):
        body = render(status)[0].decode()
        assert not re.search(r'="(d\d+|(databases|astronomy|cooking)-\d)"', body)
        assert 'group="astronomy"' in body or status is seen[0]


@pytest.mark.kafka
def test_a_daemon_beside_kafka_sets_those_of_kafka_too(world: World) -> None:
    world.settings["state"]["checkpoint_interval"] = 600.0  # so that there is something to replay
    first = with_documents(world, 200)
    await_line(first, "checkpoint written")
    world.feeder.send_some(400)
    world.feeder.poison(0)
    world.feeder.flush()
    world.await_caught_up(world.feeder.ledger)
    kill(first)
    again = world.start()
    world.await_publication()
    world.feeder.set_target("late", "stone moon")
    world.feeder.flush()
    await_line(again, "re-reading finished", "colours")
    world.await_caught_up(world.feeder.ledger)
    stop(again)
    status = orjson.loads((Path(world.settings["state"]["directory"]) / "status.json").read_bytes())
    assert "lag_bytes" in missing([status])
    assert not missing([status]) & LAG_OF_KAFKA
    assert not unset([status]) & (AFTER_A_RESTART | {"assigned_partitions", "latency_seconds", "commits_total"})
    assert linted(render(status)[0]) == ""
