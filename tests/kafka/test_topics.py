"""`topics --check` and `--create` on a real server, and the list that a run is refused with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    ResourcePatternType,
    ResourceType,
)

from tests.cli_cases import tsds
from tests.engine_fakes import ListLog
from tests.kafka.security import PASSWORD, USER, SecureBroker
from tests.kafka.topics import Topics
from tsds_stream.config import load_settings
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.streams.kafka.client import Admin
from tsds_stream.streams.kafka.connection import connection_of
from tsds_stream.streams.kafka.topics import check, look

pytestmark = pytest.mark.kafka
USES = ("documents", "targets", "selection", "revisions", "dead_letters")
RIGHT = {
    "documents": {"retention.ms": -1},
    "targets": {"cleanup.policy": "compact"},
    "selection": {"cleanup.policy": "compact"},
    "revisions": {"retention.ms": -1},
    "dead_letters": {},
}


def configuration(path: Path, servers: str, names: dict[str, str], more: str = "") -> Path:
    topics = "\n".join(f'{use} = "{name}"' for use, name in names.items())
    path.write_text(
        f"""
        {more}
        [source]
        kind = "kafka"
        [sink]
        kind = "kafka"
        [[target_sets]]
        [kafka]
        bootstrap_servers = "{servers}"
        [kafka.topics]
        {topics}
        """
    )
    return path


@pytest.fixture
def names(fresh: Callable[[str], str]) -> dict[str, str]:
    return {use: fresh(use.replace("_", "-")) for use in USES}


def test_topics_that_are_created_are_as_they_must_be(broker: Topics, names: dict[str, str], tmp_path: Path):
    file = configuration(tmp_path / "tsds.toml", broker.bootstrap, names)
    before = tsds("topics", "--check", "--config", file)
    assert before.returncode == ExitStatus.INPUT, before.stderr
    for name in names.values():
        assert f"topic {name!r}" in before.stdout
    assert before.stdout.count("does not exist") == 5
    assert "tsds-stream topics --create" in before.stdout
    made = tsds("topics", "--create", "--config", file, "--partitions", "3", "--json")
    assert made.returncode == 0, made.stdout + made.stderr
    content = json.loads(made.stdout)
    assert content["problems"] == []
    told = {topic["use"]: topic for topic in content["topics"]}
    assert {use: topic["partitions"] for use, topic in told.items()} == {
        "documents": 3, "targets": 1, "selection": 3, "revisions": 1, "dead_letters": 1,
    }  # fmt: skip
    assert all(topic["made"] for topic in told.values())
    assert told["selection"]["config"]["cleanup.policy"] == "compact"
    assert told["revisions"]["config"]["retention.ms"] == "-1"
    again = tsds("topics", "--create", "--config", file, "--json")
    assert not any(topic["made"] for topic in json.loads(again.stdout)["topics"])
    shown = tsds("topics", "--check", "--config", file)
    assert shown.returncode == 0
    assert "for ever" in shown.stdout
    assert "0 errors, 0 warnings." in shown.stdout


def test_what_exists_is_never_changed(broker: Topics, names: dict[str, str], tmp_path: Path):
    broker.create_topic(names["selection"], 2)
    file = configuration(tmp_path / "tsds.toml", broker.bootstrap, names)
    done = tsds("topics", "--create", "--config", file, "--json")
    assert done.returncode == ExitStatus.INPUT
    content = json.loads(done.stdout)
    told = {topic["use"]: topic for topic in content["topics"]}
    assert (told["selection"]["made"], told["selection"]["config"]["cleanup.policy"]) == (False, "delete")
    assert [problem["topic"] for problem in content["problems"]] == [names["selection"]]


def test_everything_wrong_is_told_at_once_with_the_command_that_puts_it_right(
    broker: Topics, names: dict[str, str], tmp_path: Path
):
    wrong = {
        "documents": {"retention.ms": 86_400_000, "max.message.bytes": 5_000_000},
        "targets": {"cleanup.policy": "compact,delete"},
        "selection": {"max.message.bytes": 100_000},
        "revisions": {"retention.ms": 3_600_000},
        "dead_letters": {"cleanup.policy": "compact"},
    }
    for use, config in wrong.items():
        broker.create_topic(names[use], 1, config)
    file = configuration(tmp_path / "tsds.toml", broker.bootstrap, names)
    file.write_text(file.read_text().replace("[kafka]\n", '[kafka]\n        transaction_timeout = "2m"\n'))
    settings = load_settings(file)
    log = ListLog()
    with pytest.raises(CommandError) as caught:
        look(connection_of(settings.kafka), settings, log)
    said = str(caught.value)
    assert caught.value.status is ExitStatus.INPUT
    assert "6 things are wrong with the topics" in said
    for part in (
        f"topic {names['targets']!r} (targets) has cleanup.policy = compact,delete",
        f"topic {names['selection']!r} (selection) has cleanup.policy = delete",
        f"{names['selection']!r} (selection) takes records of 100,000 bytes, and 1,048,576 are needed",
        f"--entity-name {names['selection']} --add-config max.message.bytes=1048576",
        f"topic {names['revisions']!r} (revisions) is kept 1h, and revisions must be kept for ever",
        f"--entity-name {names['revisions']} --add-config cleanup.policy=delete,retention.ms=-1,retention.bytes=-1",
        f"topic {names['dead_letters']!r} (dead letters) is compacted",
        "the brokers allow transactions of 1m",
        f"kafka-configs.sh --bootstrap-server {broker.bootstrap} --alter",
    ):
        assert part in said, part
    admin = Admin(connection_of(settings.kafka))
    try:
        warnings = [problem for problem in check(admin, settings) if problem.severity == "warning"]
    finally:
        admin.close()
    assert ["is kept 1d" in one.sentence for one in warnings] == [True, False]
    assert "become dead letters" in warnings[1].sentence


def test_warnings_go_to_the_log_and_a_look_is_quick(broker: Topics, names: dict[str, str], tmp_path: Path):
    for use, config in RIGHT.items():
        broker.create_topic(names[use], 2, config if use != "documents" else {"retention.ms": 7_200_000})
    settings = load_settings(configuration(tmp_path / "tsds.toml", broker.bootstrap, names))
    assert settings.source.max_document_bytes + 64 * 1024 <= 1_048_588
    log = ListLog()
    look(connection_of(settings.kafka), settings, log)
    assert [(level, fields["topic"]) for level, _, fields in log.lines] == [("warning", names["documents"])]
    times = []
    for _ in range(5):
        began = time.monotonic()
        look(connection_of(settings.kafka), settings, ListLog())
        times.append(time.monotonic() - began)
    assert min(times) < 2.0, "a start must stay cheap; the machine may be slow and busy"


def test_brokers_that_do_not_answer_are_unavailable(names: dict[str, str], tmp_path: Path):
    file = configuration(tmp_path / "tsds.toml", "127.0.0.1:1", names)
    file.write_text(file.read_text().replace("[kafka]\n", '[kafka]\n        startup_timeout = "1s"\n'))
    done = tsds("topics", "--check", "--config", file)
    assert done.returncode == ExitStatus.UNAVAILABLE, done.stderr
    assert "127.0.0.1:1" in done.stderr


def test_without_a_file_the_topics_are_those_of_the_options(broker: Topics, names: dict[str, str]):
    flags = [word for use, name in names.items() for word in (f"--{use.replace('_', '-')}-topic", name)]
    done = tsds("topics", "--create", "--bootstrap-servers", broker.bootstrap, *flags, "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    assert {topic["name"] for topic in json.loads(done.stdout)["topics"]} == set(names.values())


def test_what_the_credentials_may_not_do_is_told_at_once(
    secure_broker: SecureBroker, names: dict[str, str], tmp_path: Path
):
    for use, config in RIGHT.items():
        secure_broker.create_topic(names[use], 1, config)
    # A topic with a rule denies whatever no rule allows.
    allow(secure_broker, names["selection"], AclOperation.READ)
    secure_broker.forbid(names["revisions"], operation=AclOperation.DESCRIBE)
    file = configuration(tmp_path / "tsds.toml", secure_broker.addresses["SASL_PLAINTEXT"], names)
    login = f'security_protocol = "SASL_PLAINTEXT"\nsasl_mechanism = "PLAIN"\nsasl_username = "{USER}"\n'
    file.write_text(file.read_text().replace("[kafka]\n", f"[kafka]\n{login}"))
    done = tsds("topics", "--check", "--config", file, "--json", TSDS_STREAM_KAFKA__SASL_PASSWORD=PASSWORD)
    assert done.returncode == ExitStatus.INPUT, done.stderr
    problems = json.loads(done.stdout)["problems"]
    told = {(problem["topic"], problem["severity"]): problem for problem in problems}
    assert "the credentials may not WRITE" in told[names["selection"], "error"]["sentence"]
    assert "--operation Write --topic" in told[names["selection"], "error"]["fix"]
    assert "--command-config" in told[names["selection"], "error"]["fix"]
    assert "settings may not be looked at" in told[names["selection"], "warning"]["sentence"]
    assert "--operation DescribeConfigs" in told[names["selection"], "warning"]["fix"]
    assert "cannot be looked at: TopicAuthorizationFailedError" in told[names["revisions"], "error"]["sentence"]
    assert {name for name, _ in told} == {names["selection"], names["revisions"]}


def allow(broker: SecureBroker, topic: str, operation: AclOperation) -> None:
    """Allow an operation, and with that nothing else."""
    kind, pattern, permission = ResourceType.TOPIC, ResourcePatternType.LITERAL, AclPermissionType.ALLOW
    rule = AclBinding(kind, topic, pattern, f"User:{USER}", "*", operation, permission)
    admin = broker.admin()
    for future in admin.create_acls([rule]).values():
        future.result()
