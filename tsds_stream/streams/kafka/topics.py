"""What is wrong with the topics, all of it at once, and the commands that put it right."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal

from tsds_stream.config import Settings
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.logs import Log
from tsds_stream.records import Json
from tsds_stream.streams.kafka.client import Admin, Topic
from tsds_stream.streams.kafka.connection import Connection
from tsds_stream.streams.kafka.errors import KafkaFailure, Refused
from tsds_stream.streams.kafka.settings import KafkaSettings
from tsds_stream.streams.kafka.topic_plan import ROOM, Planned, planned
from tsds_stream.units import format_duration, format_size

_SLACK: Final = 1024  # bytes that two limits may differ by without being told
_NAMES: Final = {"dead_letters": "dead letters"}


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that is not as it should be.

    Attributes:
        severity: with an error, a run cannot begin.
        topic: its name; "" where it is about the brokers.
        fix: a command, or a sentence where there is none.
    """

    severity: Literal["error", "warning"]
    topic: str
    sentence: str
    fix: str

    def as_json(self) -> Json:
        """For scripts."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Standing:
    """A topic as it is; `config` is empty where it could not be asked."""

    plan: Planned
    topic: Topic
    config: Mapping[str, str]

    @property
    def policy(self) -> frozenset[str]:
        """Of cleaning up."""
        return frozenset(part.strip() for part in self.config.get("cleanup.policy", "").split(",") if part.strip())

    @property
    def kept(self) -> str:
        """For how long and how much, for people."""
        if not self.config:
            return "unknown"
        if "delete" not in self.policy:
            return "the last of each key"
        bounds = []
        if self.number("retention.ms") >= 0:
            bounds.append(format_duration(self.number("retention.ms") / 1000))
        if self.number("retention.bytes") >= 0:
            bounds.append(f"{format_size(self.number('retention.bytes'))} per partition")
        return " or ".join(bounds) or "for ever"

    def number(self, name: str) -> int:
        """A setting; -1 where it is not told."""
        return int(self.config.get(name, "-1"))


def look(connection: Connection, settings: Settings, log: Log) -> None:
    """Check the topics before a run. Warnings go to the log.

    Raises:
        CommandError: something is wrong (all of it is told), or the brokers do not answer.
    """
    try:
        admin = Admin(connection)
        try:
            problems = check(admin, settings)
        finally:
            admin.close()
    except KafkaFailure as error:
        status = ExitStatus.INPUT if isinstance(error, Refused) else ExitStatus.UNAVAILABLE
        raise CommandError(str(error), status) from error
    errors = [problem for problem in problems if problem.severity == "error"]
    if errors:
        fixes = dict.fromkeys(one.fix for one in errors)  # several may have one in common
        listed = "\n".join(
            "".join(f"  {one.sentence}\n" for one in errors if one.fix == fix) + f"    {fix}" for fix in fixes
        )
        count = f"{len(errors)} things are" if len(errors) > 1 else "One thing is"
        raise CommandError(f"{count} wrong with the topics:\n{listed}", ExitStatus.INPUT)
    for one in problems:
        log.warning("topics", topic=one.topic, advice=one.sentence, fix=one.fix)


def check(admin: Admin, settings: Settings) -> list[Problem]:
    """Everything that is wrong, errors first. Raises `KafkaFailure` when the brokers do not answer."""
    return judge(standings(admin, settings), admin, settings)


def standings(admin: Admin, settings: Settings) -> list[Standing]:
    """The topics that the settings use, as they are."""
    plans = planned(settings)
    found = admin.topics([plan.name for plan in plans])
    return [Standing(plan, found[plan.name], _config(admin, found[plan.name])) for plan in plans]


def judge(topics: list[Standing], admin: Admin, settings: Settings) -> list[Problem]:
    """What is wrong with topics, and with the brokers where they are written to."""
    fixes = _Fixes(settings.kafka)
    problems = [problem for standing in topics for problem in _of_topic(standing, settings, fixes)]
    if settings.sink.kind == "kafka":
        problems += _of_transactions(admin, settings.kafka)
    if any(standing.topic.replicas == 1 or standing.number("min.insync.replicas") == 1 for standing in topics):
        problems += _of_copies(topics, admin, fixes)
    return sorted(problems, key=lambda problem: problem.severity)


def create(admin: Admin, plan: Planned, *, partitions: int, replication: int) -> None:
    """Make a missing topic. Raises `KafkaFailure`.

    Args:
        partitions: of a topic that has many records.
        replication: copies; -1: as the brokers will.
    """
    config = plan.settings | ({"min.insync.replicas": "2"} if replication > 2 else {})
    number = 1 if plan.one_partition else partitions
    admin.create(plan.name, partitions=number, replicas=replication, config=config)


class _Fixes:
    """Commands that change a topic."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._servers = kafka.bootstrap_servers
        self._login = "" if kafka.security_protocol == "PLAINTEXT" else " --command-config client.properties"

    def set(self, topic: str, **config: str) -> str:
        pairs = ",".join(f"{name.replace('_', '.')}={self._quoted(value)}" for name, value in config.items())
        return (
            f"kafka-configs.sh --bootstrap-server {self._servers}{self._login} --alter --entity-type topics "
            f"--entity-name {topic} --add-config {pairs}"
        )

    def allow(self, standing: Standing, operations: list[str]) -> str:
        words = " ".join(f"--operation {_word(operation)}" for operation in operations)
        return (
            f"kafka-acls.sh --bootstrap-server {self._servers}{self._login} --add --allow-principal User:<this user> "
            f"{words} --topic {standing.plan.name}"
        )

    @staticmethod
    def _quoted(value: str) -> str:
        return f"[{value}]" if "," in value else value


def _word(operation: str) -> str:
    """DESCRIBE_CONFIGS -> DescribeConfigs, as the command has it."""
    return "".join(part.title() for part in operation.split("_"))


def _config(admin: Admin, topic: Topic) -> Mapping[str, str]:
    """Of a topic; none where it must not be asked for."""
    if topic.problem:
        return {}
    try:
        return admin.topic_config(topic.name)
    except Refused:
        return {}


def _of_topic(standing: Standing, settings: Settings, fixes: _Fixes) -> Iterator[Problem]:
    plan, topic = standing.plan, standing.topic
    what = f"topic {plan.name!r} ({_NAMES.get(plan.use, plan.use)})"
    lacking = [one for one in plan.operations if topic.allowed is not None and one not in topic.allowed]
    if topic.missing:
        yield Problem("error", plan.name, f"{what} does not exist", "tsds-stream topics --create --config <this file>")
        return
    if topic.problem:
        fix = fixes.allow(standing, list(plan.operations))
        yield Problem("error", plan.name, f"{what} cannot be looked at: {topic.problem}", fix)
        return
    if lacking:
        sentence = f"{what}: the credentials may not {' or '.join(lacking)}"
        yield Problem("error", plan.name, sentence, fixes.allow(standing, lacking))
    if not standing.config:
        sentence = f"{what}: its settings may not be looked at, so that nobody knows whether they are right"
        yield Problem("warning", plan.name, sentence, fixes.allow(standing, ["DESCRIBE_CONFIGS"]))
        return
    yield from _of_cleaning(standing, what, fixes)
    yield from _of_size(standing, what, settings, fixes)


def _of_cleaning(standing: Standing, what: str, fixes: _Fixes) -> Iterator[Problem]:
    name, use = standing.plan.name, standing.plan.use
    policy = ",".join(sorted(standing.policy))
    if use in ("selection", "targets") and policy != "compact":
        loss = "is forgotten after a while" if "delete" in standing.policy else "grows without end"
        sentence = f"{what} has cleanup.policy = {policy}, so that what stays as it is {loss}; it must be compact"
        yield Problem("error", name, sentence, fixes.set(name, cleanup_policy="compact"))
    elif use == "revisions" and (policy != "delete" or standing.kept != "for ever"):
        kept = f"is kept {standing.kept}" if policy == "delete" else f"has cleanup.policy = {policy}"
        fix = fixes.set(name, cleanup_policy="delete", retention_ms="-1", retention_bytes="-1")
        yield Problem("error", name, f"{what} {kept}, and revisions must be kept for ever", fix)
    elif use == "dead_letters" and "compact" in standing.policy:
        sentence = f"{what} is compacted: it refuses records without a key, and keeps only the last of a key"
        yield Problem("error", name, sentence, fixes.set(name, cleanup_policy="delete"))
    elif use == "documents" and "delete" in standing.policy and standing.kept != "for ever":
        sentence = (
            f"{what} is kept {standing.kept}: without a checkpoint, older documents cannot be selected from any more, "
            "nor for late targets, and verify cannot prove what they led to"
        )
        yield Problem("warning", name, sentence, fixes.set(name, retention_ms="-1", retention_bytes="-1"))


def _of_size(standing: Standing, what: str, settings: Settings, fixes: _Fixes) -> Iterator[Problem]:
    name, limit = standing.plan.name, standing.number("max.message.bytes")
    needed, longest = standing.plan.bytes_needed, settings.source.max_document_bytes
    if limit < 0:
        return
    if needed is not None and limit < needed:
        sentence = (
            f"{what} takes records of {limit:,} bytes, and {needed:,} are needed (source.max_document_bytes and 64 KiB "
            "more)"
        )
        fix = f"{fixes.set(name, max_message_bytes=str(needed))}   (or a smaller source.max_document_bytes)"
        yield Problem("error", name, sentence, fix)
    elif standing.plan.use == "documents" and limit > longest + ROOM + _SLACK:
        sentence = (
            f"{what} takes records of {limit:,} bytes, and those with more than {longest:,} become dead letters "
            "(source.max_document_bytes)"
        )
        yield Problem("warning", name, sentence, f"set source.max_document_bytes = {limit - ROOM}, or leave it so")


def _of_transactions(admin: Admin, kafka: KafkaSettings) -> Iterator[Problem]:
    try:
        longest = int(admin.broker_config().get("transaction.max.timeout.ms", "-1"))
    except Refused:
        return  # the producer is told at its start
    wanted = int(kafka.transaction_timeout * 1000)
    if 0 <= longest < wanted:
        sentence = (
            f"the brokers allow transactions of {format_duration(longest / 1000)} (transaction.max.timeout.ms), and "
            f"kafka.transaction_timeout is {format_duration(wanted / 1000)}"
        )
        yield Problem("error", "", sentence, f'set kafka.transaction_timeout = "{longest // 1000}s", or the brokers')


def _of_copies(topics: list[Standing], admin: Admin, fixes: _Fixes) -> Iterator[Problem]:
    """Where there are several brokers, one of them must be able to go."""
    if admin.brokers() < 2:
        return
    for standing in topics:
        name = standing.plan.name
        if standing.topic.replicas == 1:
            sentence = f"topic {name!r} has no second copy: it is gone while one broker is, and lost with its disk"
            yield Problem("warning", name, sentence, f"kafka-reassign-partitions.sh (replicas of {name})")
        elif standing.topic.replicas > 1 and standing.number("min.insync.replicas") == 1:
            sentence = f"topic {name!r} has min.insync.replicas = 1: what was acknowledged may be on one broker only"
            yield Problem("warning", name, sentence, fixes.set(name, min_insync_replicas="2"))
