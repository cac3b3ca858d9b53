"""A real Prometheus scrapes real runs: panels and rules give data, and alerts fire when they should."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.kafka.daemon_cases import forker, stop, world
from tests.kafka.world import World
from tests.monitoring.deploy.daemon import Daemon, address_in, another_subject, daemon, library, records
from tests.monitoring.deploy.files import Asked, Json, asked, rules
from tests.monitoring.deploy.server import Prometheus, eventually, prometheus, vanishes
from tests.monitoring.promql import OF_GRAFANA, filled_in, selectors
from tests.monitoring.samples import NOW, sample
from tsds_stream.monitoring.exposition import render

__all__ = ["forker", "world"]  # fixtures

DRIFT = {"rate": 1e6, "warmup": 100, "baseline": 1000, "short_window": 100, "long_window": 400,
         "false_alarm_rate": 0.001}  # fmt: skip
EXACT = {"name": "exact", "budget": 100, "calibration": 300}
GRAPH = {"name": "graph", "budget": 120, "token_budget": 40_000, "scope": "corpus", "capacity": 2500, "index": "hnsw",
         "max_k": 16, "slack": 0, "kde_k": 50, "mode": "coordinated"}  # fmt: skip

OF_KAFKA = {"tsds_stream_lag_records", "tsds_stream_lag_seconds", "tsds_stream_partition_lag_records"}
# What a run has to go on for before there is anything: five minutes, and a dozen windows in each of which the documents
# have grown by a twentieth.
OF_LONG_RUNS = {
    "tsds_stream_transport_cost_trend",
    "tsds_stream_selection_drift_score",
    "tsds_stream_selection_drift_statistic",
    "tsds_stream_selection_drift_threshold",
}
OF_TROUBLE = {"ALERTS"}


def empty(server: Prometheus, **variables: str) -> list[Asked]:
    """The expressions of dashboards that give no data, their variables filled in; all are executed."""
    filled = {**OF_GRAFANA, **variables}
    return [one for one in asked() if not server.query(filled_in(one.expression, filled))]


def missing(server: Prometheus, *, but: set[str]) -> set[str]:
    """Series that a rule asks for and that are not there; every rule's expression is executed, and those that record
    give data."""
    found = set()
    for rule in rules():
        wanted = selectors(rule["expr"])
        given = server.query(rule["expr"])
        if "record" in rule and not given and not {one.metric for one in wanted} & but:
            found.add(rule["record"])
        for one in wanted:
            matchers = ",".join(f'{label}{op}"{value}"' for label, op, value in one.matchers)
            if not server.query(f"{one.metric}{{{matchers}}}"):
                found.add(one.metric)
    return found


def without(found: list[Asked], metrics: set[str]) -> list[Asked]:
    """Those that would have data without these metrics."""
    return [one for one in found if not any(f"{metric}{{" in one.expression for metric in metrics)]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Prometheus]:
    with prometheus(tmp_path / "prometheus") as server:
        yield server


def test_every_panel_and_every_rule_gives_data_on_a_real_run(server: Prometheus, tmp_path: Path):
    with daemon(tmp_path / "run", EXACT, GRAPH, drift=DRIFT, program="tests.monitoring.deploy.hasty") as running:
        server.scrape(running.address)
        documents = records(library()[:2400])
        running.feed(documents[:1500])
        eventually(lambda: server.query("min(tsds_stream_revision) >= 1"))
        odd = [{"id": "a"}, {"id": "b", "text": " "}, *({"id": one["id"], "deleted": True} for one in documents[:50])]
        running.feed([*documents[1500:], *odd])
        chosen = {"job": "tsds-stream", "instance": running.address, "target_set": "(exact|graph)"}
        vanishes(lambda: without(empty(server, **chosen), OF_KAFKA | OF_LONG_RUNS | OF_TROUBLE))
        assert missing(server, but=OF_KAFKA | OF_LONG_RUNS) == (OF_KAFKA | OF_LONG_RUNS) & asked_by_rules()


def asked_by_rules() -> set[str]:
    return {one.metric for rule in rules() for one in selectors(rule["expr"])}


@pytest.mark.kafka
def test_what_only_kafka_can_tell_is_there_beside_a_real_kafka(server: Prometheus, world: World):
    world.feeder.send_some(200)
    world.feeder.flush()
    settings = {**world.settings, "monitoring": {"listen": "127.0.0.1:0"}}
    running = world.start(settings)
    server.scrape(address_in(running.said, lambda: running.status is None))
    world.await_caught_up(world.feeder.ledger)
    chosen = {"job": "tsds-stream", "instance": ".+", "target_set": ".*"}
    of_kafka = [one for one in asked() if any(metric in one.expression for metric in OF_KAFKA)]
    assert {one.panel for one in of_kafka} == {"Waiting to be read", "Waiting by partition"}
    vanishes(lambda: [one for one in empty(server, **chosen) if one in of_kafka])
    vanishes(lambda: OF_KAFKA & missing(server, but=OF_LONG_RUNS))
    assert server.query('count(tsds_stream_partition_lag_records{topic=~".+",partition=~".+"}) == 4')
    stop(running)


def test_what_takes_longer_than_a_test_is_shown_from_the_figures_of_a_long_run(server: Prometheus):
    with exported(sample()) as address:
        server.scrape(address)
        slow = [one for one in asked() if any(f"{metric}{{" in one.expression for metric in OF_LONG_RUNS)]
        assert {
            metric for metric in OF_LONG_RUNS if any(f"{metric}{{" in one.expression for one in slow)
        } == OF_LONG_RUNS
        assert not [one for one in empty(server, job=".+", instance=address, target_set="default") if one in slow]


@contextmanager
def exported(status: Json) -> Iterator[str]:
    """Somebody who exports this document for ever."""
    body, kind = render(status)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as exporter:
        thread = threading.Thread(target=exporter.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"127.0.0.1:{exporter.server_port}"
        finally:
            exporter.shutdown()
            thread.join()


# -- alerts -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Prometheus, Daemon]]:
    """A daemon that has taken its baseline, and a Prometheus that holds nothing for wrong."""
    root = tmp_path_factory.mktemp("watched")
    with prometheus(root / "prometheus") as server, daemon(root / "run", EXACT, drift=DRIFT) as running:
        server.scrape(running.address)
        documents = iter(records(library()))
        running.feed(islice(documents, 2000))
        eventually(lambda: server.query('tsds_stream_drift_state{state="watching"} == 1'))
        yield server, running


def firing(server: Prometheus, name: str) -> Callable[[], list[Json]]:
    return lambda: [labels for labels in server.firing() if labels["alertname"] == f"TsdsStream{name}"]


def test_a_change_of_topic_in_the_stream_raises_the_alarm(watched: tuple[Prometheus, Daemon]):
    server, running = watched
    eventually(lambda: server.query("min(tsds_stream_stream_drift_ready) == 1"))
    assert server.query("max(tsds_stream_stream_drift_score) < 1")
    assert firing(server, "StreamDrift")() == []
    running.feed(records(another_subject()))
    eventually(lambda: {"embedding", "mean"} <= {labels["signal"] for labels in firing(server, "StreamDrift")()})
    alarm = firing(server, "StreamDrift")()[0]
    assert (alarm["severity"], alarm["owner"], alarm["instance"]) == ("warning", "data-lead", running.address)
    assert firing(server, "Stalled")() == []
    shown = next(one.expression for one in asked() if one.panel == "Alerts that are firing")
    assert server.query(filled_in(shown, {"job": alarm["job"], "instance": alarm["instance"]}))


def test_a_daemon_that_is_suspended_is_reported_as_stalled_although_its_figures_are_still_served(
    watched: tuple[Prometheus, Daemon],
):
    server, running = watched
    vanishes(firing(server, "Stalled"))
    running.signal(signal.SIGSTOP)
    (alarm,) = eventually(firing(server, "Stalled"))
    assert (alarm["cause"], alarm["severity"], alarm["owner"]) == ("loop", "critical", "on-call")
    assert server.query(f'up{{instance="{running.address}"}} == 1')
    running.signal(signal.SIGCONT)
    vanishes(firing(server, "Stalled"))


def test_nobody_who_is_watched_is_an_alarm_of_its_own(server: Prometheus):
    (alarm,) = eventually(firing(server, "Stalled"))
    assert alarm["cause"] == "absent"
    with exported({**sample(), "created": NOW}) as address:
        server.scrape(address)
        vanishes(lambda: [one for one in firing(server, "Stalled")() if one["cause"] == "absent"])
