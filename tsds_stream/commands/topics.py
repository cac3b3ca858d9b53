"""`tsds-stream topics`: are the topics as they must be, and make those that are missing."""

from __future__ import annotations

import argparse
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.config import Settings
    from tsds_stream.streams.kafka.client import Admin
    from tsds_stream.streams.kafka.topics import Problem, Standing

_SPREADING = 15.0  # seconds until every broker of a cluster must know of a new topic
USAGE = "{--check | --create} [--config FILE] [--partitions N] [--replication N] [--json]"
DESCRIPTION = (
    "Hold the topics of Kafka against the configuration: existence, permissions, what is cleaned up when, sizes, "
    "copies. Everything that is wrong is told at once, with the command that puts it right. --create makes the topics "
    "that are missing, with the right settings, and changes none that exist."
)
EXAMPLES = """\
examples:
  tsds-stream topics --check --config tsds.toml
  tsds-stream topics --create --config tsds.toml --partitions 8 --replication 3
  tsds-stream topics --check --config tsds.toml --json | jq '.problems[].fix'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    from tsds_stream.commands.kafka_options import add_kafka_options

    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--check", action="store_true", help="tell what is wrong; the exit code is 3 if a run cannot be")
    what.add_argument("--create", action="store_true", help="make the missing ones, then check")
    parser.add_argument("--config", metavar="FILE", type=Path, help="a TOML file (see: tsds-stream config)")
    parser.add_argument(
        "--partitions", metavar="N", type=int, default=4,
        help="create: of the documents and the selection; the others have one (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--replication", metavar="N", type=int, default=-1, help="create: copies (default: the brokers')"
    )
    parser.add_argument("--json", action="store_true", help="for scripts")
    add_kafka_options(parser)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Check, or create and check."""
    if arguments.partitions < 1 or arguments.replication == 0 or arguments.replication < -1:
        raise CommandError("--partitions and --replication: at least 1", ExitStatus.USAGE)
    settings = _settings(arguments)
    try:
        from tsds_stream.streams.kafka.client import Admin
    except ModuleNotFoundError as error:
        sentence = f"Kafka needs the package {error.name}: pip install 'tsds-stream[kafka]'"
        raise CommandError(sentence, ExitStatus.USAGE) from error
    from tsds_stream.streams.kafka.connection import connection_of
    from tsds_stream.streams.kafka.errors import KafkaFailure, Refused
    from tsds_stream.streams.kafka.topics import judge

    try:
        with closing(Admin(connection_of(settings.kafka))) as admin:
            made = _create(admin, settings, arguments) if arguments.create else []
            found = _known(admin, settings, made)
            problems = judge(found, admin, settings)
    except KafkaFailure as error:
        status = ExitStatus.INPUT if isinstance(error, Refused) else ExitStatus.UNAVAILABLE
        raise CommandError(str(error), status) from error
    if arguments.json:
        _print_json(found, problems, made)
    else:
        _print(found, problems, made)
    wrong = any(problem.severity == "error" for problem in problems)
    return ExitStatus.INPUT if wrong else ExitStatus.OK


def _settings(arguments: argparse.Namespace) -> Settings:
    """Of the file; without one, those of a run that reads and writes topics."""
    from tsds_stream.config import load_settings
    from tsds_stream.configuration.layers import Override

    if arguments.config is not None:
        return load_settings(arguments.config, arguments.overrides)
    whole = [
        Override("source", "kind", "kafka", "--check"),
        Override("sink", "kind", "kafka", "--check"),
    ]
    given = {override.option for override in arguments.overrides if override.section == "kafka.topics"}
    if "targets" not in given:
        whole.append(Override("target_sets", "targets", "a file", "--targets"))
    return load_settings(None, [*whole, *arguments.overrides])


def _create(admin: Admin, settings: Settings, arguments: argparse.Namespace) -> list[str]:
    from tsds_stream.streams.kafka.topics import create, standings

    missing = [standing.plan for standing in standings(admin, settings) if standing.topic.missing]
    for plan in missing:
        create(admin, plan, partitions=arguments.partitions, replication=arguments.replication)
    return [plan.name for plan in missing]


def _known(admin: Admin, settings: Settings, made: list[str]) -> list[Standing]:
    """All topics as they are, when the brokers have told each other of those that were just made."""
    from tsds_stream.streams.kafka.topics import standings

    until = time.monotonic() + _SPREADING
    while True:
        found = standings(admin, settings)
        unknown = [one for one in found if one.topic.name in made and (one.topic.missing or one.topic.problem)]
        if not unknown or time.monotonic() > until:
            return found
        time.sleep(0.1)


def _print(found: list[Standing], problems: list[Problem], made: list[str]) -> None:
    from tsds_stream.terminal import Page, count
    from tsds_stream.units import format_size

    page = Page()
    rows = []
    for standing in found:
        topic, limit = standing.topic, standing.number("max.message.bytes")
        rows.append([
            topic.name, standing.plan.use.replace("_", " "),
            "made" if topic.name in made else topic.problem or "there",
            str(len(topic.partitions) or ""), str(topic.replicas or ""),
            ", ".join(sorted(standing.policy)), "" if topic.problem else standing.kept,
            "" if limit < 0 else format_size(limit),
        ])  # fmt: skip
    page.table(["topic", "for", "", "partitions", "copies", "cleanup", "kept", "largest record"], rows, right=(3, 4))
    for problem in problems:
        page.heading(f"{problem.severity}: {problem.sentence}")
        page.copyable(f"  {problem.fix}")
    errors = sum(problem.severity == "error" for problem in problems)
    page.heading(f"{count(errors, 'error')}, {count(len(problems) - errors, 'warning')}.")


def _print_json(found: list[Standing], problems: list[Problem], made: list[str]) -> None:
    import orjson

    topics = [
        {
            "name": standing.topic.name,
            "use": standing.plan.use,
            "exists": not standing.topic.missing,
            "made": standing.topic.name in made,
            "partitions": len(standing.topic.partitions),
            "replicas": standing.topic.replicas,
            "config": {name: standing.config.get(name) for name in standing.plan.settings},
        }
        for standing in found
    ]
    content = {"topics": topics, "problems": [problem.as_json() for problem in problems]}
    print(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())
