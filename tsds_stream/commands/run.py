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
    "(TSDS_STREAM_SOURCE__PATH=...); tsds-stream config --reference lists them all."
)
EXAMPLES = """\
examples:
  tsds-stream run --documents corpus/ --targets targets.jsonl --budget 1000 --output selection/ --follow
  tsds-stream run --config tsds.toml
  tsds-stream run --config tsds.toml --once --logging-format json
  producer | tsds-stream run --documents - --targets targets.jsonl --budget 500 --output selection/
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: a file, and every option of the settings tree."""
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options

    parser.add_argument("--config", metavar="FILE", type=Path, help="a TOML file (see: tsds-stream config)")
    documents = {"path": "--documents", "max_document_bytes": "--max-document-bytes", "follow": "--follow/--once"}
    add_options(parser, SECTIONS["source"], "documents", "source-", documents, without=("kind",))
    add_options(parser, SECTIONS["target_sets"], "selection", names={"name": "--set"})
    add_options(parser, SECTIONS["embedder"], "embedder", "embedder-", {"kind": "--embedder"})
    add_options(
        parser, SECTIONS["sink"], "output", "sink-", {"path": "--output", "jsonl": "--jsonl"}, without=("kind",)
    )
    for name in ("publish", "state", "logging"):
        add_options(parser, SECTIONS[name], name, f"{name}-", {"directory": "--state"})


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Run until everything is read, or for ever."""
    from tsds_stream.config import load_settings

    names = {("target_sets", "targets"): "--targets"}
    settings = load_settings(arguments.config, arguments.overrides, names=names)
    for path in (settings.sink.path, settings.state.directory):
        if Path(path).is_file():
            raise CommandError(f"{path} is a file, and a directory is needed here", ExitStatus.USAGE)
    _refuse_to_read_own_files(settings)
    from tsds_stream.engine import Engine
    from tsds_stream.logs import LineLog, forwarded
    from tsds_stream.streams.chained import total_bytes
    from tsds_stream.terminal import progress

    # A person at a terminal sees a bar, and of the log what needs attention; anything else reads the log.
    watched = sys.stderr.isatty()
    level = "warning" if watched and "level" not in settings.logging.model_fields_set else settings.logging.level
    total = None if settings.source.follow else total_bytes([settings.source.path])
    log = LineLog(level, settings.logging.format)
    with progress("Selecting", total) as bar, forwarded(log):
        engine = Engine.from_settings(
            settings,
            log=log,
            progress=lambda statistics: bar.update(statistics.bytes_read, _note(statistics)),
        )
        status = engine.run()
    if watched:
        print(_note(engine.statistics), file=sys.stderr)
        print(f"To look into it: tsds-stream inspect {shlex.quote(settings.sink.path)}", file=sys.stderr)
    return status


def _refuse_to_read_own_files(settings: Settings) -> None:
    documents = settings.source.path
    if documents == "-" or not Path(documents).is_dir():
        return
    own = {"selection": (settings.sink.path, "--output"), "state": (settings.state.directory, "--state")}
    for what, (path, option) in own.items():
        if Path(path).resolve().is_relative_to(Path(documents).resolve()):
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
