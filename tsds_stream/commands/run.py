"""`tsds-stream run`: the continuous selection."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.config import Settings
    from tsds_stream.engine import Statistics

USAGE = "[--config FILE] [--documents PATH] [--targets FILE] [--budget N] [--output DIR] [--follow] [OPTIONS]"
DESCRIPTION = (
    "Select continuously: read documents as they arrive and publish a numbered revision whenever the selection "
    "changes. A restart goes on where the last run stopped. Ctrl-C or SIGTERM finishes, publishes and leaves; a second "
    "one leaves at once and loses nothing. Every option can also stand in a TOML file, or in the environment "
    "(TSDS_STREAM_SOURCE__PATH=...); tsds-stream config --reference lists them all. Documents may come from Kafka and "
    "revisions go there: --source-kind kafka --sink-kind kafka."
)
EXAMPLES = """\
examples:
  tsds-stream run --documents corpus/ --targets targets.jsonl --budget 1000 --output selection/ --follow
  tsds-stream run --config tsds.toml
  tsds-stream run --config tsds.toml --once --logging-format json
  tsds-stream run --source-kind kafka --sink-kind kafka --bootstrap-servers broker:9092 --targets targets.jsonl
  producer | tsds-stream run --documents - --targets targets.jsonl --budget 500 --output selection/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: a file, and every option of the settings tree."""
    from tsds_stream.commands.kafka_options import add_kafka_options
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options

    parser.add_argument("--config", metavar="FILE", type=Path, help="a TOML file (see: tsds-stream config)")
    documents = {
        "path": "--documents",
        "max_document_bytes": "--max-document-bytes",
        "follow": "--follow/--once",
        "accept_gap": "--accept-gap",
    }
    add_options(parser, SECTIONS["source"], "documents", "source-", documents)
    add_options(parser, SECTIONS["target_sets"], "selection", names={"name": "--set"})
    add_options(parser, SECTIONS["embedder"], "embedder", "embedder-", {"kind": "--embedder"})
    add_options(parser, SECTIONS["sink"], "output", "sink-", {"path": "--output", "jsonl": "--jsonl"})
    add_kafka_options(parser)
    for name in ("publish", "state", "logging"):
        add_options(parser, SECTIONS[name], name, f"{name}-", {"directory": "--state"})
    add_options(parser, SECTIONS["monitoring"], "monitoring", "monitoring-", {"listen": "--listen"})
    add_options(parser, SECTIONS["monitoring.drift"], "drift", "drift-")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run until everything is read, or for ever."""
    from tsds_stream.config import load_settings

    names = {("target_sets", "targets"): "--targets"}
    settings = load_settings(arguments.config, arguments.overrides, names=names)
    for path in (settings.sink.directory, settings.state.directory):
        if path is not None and Path(path).is_file():
            raise CommandError(f"{path} is a file, and a directory is needed here", ExitStatus.USAGE)
    _refuse_to_read_own_files(settings)
    from tsds_stream.engine import Engine
    from tsds_stream.logs import LineLog, forwarded
    from tsds_stream.monitoring.live import LiveView
    from tsds_stream.monitoring.monitor import Monitor
    from tsds_stream.streams.chained import total_bytes

    source = settings.source
    total = total_bytes([source.path]) if source.kind == "files" and not source.follow else None
    view = LiveView(total)
    # A person at a terminal sees the view, and of the log what needs attention; anything else reads the log.
    level = "warning" if view.watched and "level" not in settings.logging.model_fields_set else settings.logging.level
    log = LineLog(level, settings.logging.format)
    with view, forwarded(log), Monitor(settings, log, watchers=[view.shown]) as monitor:
        if view.watched and monitor.url is not None:
            print(f"Status page: {monitor.url}", file=sys.stderr)
        engine = Engine.from_settings(settings, log=log, observer=monitor, progress=view.progress)
        status = engine.run()
    if view.watched:
        print(_note(engine.statistics), file=sys.stderr)
        if settings.sink.directory is not None:
            print(f"To look into it: tsds-stream inspect {shlex.quote(settings.sink.directory)}", file=sys.stderr)
    return status


def _refuse_to_read_own_files(settings: Settings) -> None:
    if settings.source.kind != "files" or settings.source.path == "-" or not Path(settings.source.path).is_dir():
        return
    documents = settings.source.path
    output = "--output" if settings.sink.kind == "directory" else "--sink-directory"
    own = {"selection": (settings.sink.directory, output), "state": (settings.state.directory, "--state")}
    for what, (path, option) in own.items():
        if path is not None and Path(path).resolve().is_relative_to(Path(documents).resolve()):
            raise CommandError(
                f"the {what} directory {path} lies inside the documents ({documents}) and would be read as documents: "
                f"give {option} a place outside, or --documents a directory of its own",
                ExitStatus.USAGE,
            )


def _note(statistics: Statistics) -> str:
    """Where the run stands, on one line."""
    from tsds_stream.terminal import count

    sets = (
        f"{name}: revision {one.revision}, {count(one.size, 'document')}"
        + ("" if one.exact or not one.revision else f" (not exact: {', '.join(one.reasons)})")
        for name, one in statistics.sets.items()
    )
    return "; ".join([f"{statistics.documents_applied:,} read", *sets])
