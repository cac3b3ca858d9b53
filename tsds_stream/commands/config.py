"""`tsds-stream config`: the default configuration, the check of one, the reference page."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream.exit_status import ExitStatus

if TYPE_CHECKING:
    from tsds_stream.config import Settings

USAGE = "--print-default | --check FILE [--json] | --reference"
DESCRIPTION = "Print the default configuration, check a configuration file, or print the reference of all options."
EXAMPLES = """\
examples:
  tsds-stream config --print-default > tsds.toml
  tsds-stream config --check tsds.toml
  TSDS_STREAM_PUBLISH__INTERVAL=5s tsds-stream config --check tsds.toml --json
  tsds-stream config --reference > CONFIGURATION.md
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--print-default", action="store_true", help="a TOML file with every option and its meaning")
    what.add_argument("--check", metavar="FILE", type=Path, help="say whether file and environment make sense together")
    what.add_argument("--reference", action="store_true", help="every option in Markdown")
    parser.add_argument("--json", action="store_true", help="with --check: print the settings that would be used")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Do what was asked for."""
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.reference import default_file, reference

    if arguments.print_default:
        print(default_file(SECTIONS, {("target_sets", "targets"): "targets.jsonl"}), end="")
    elif arguments.reference:
        print(reference(SECTIONS), end="")
    else:
        _check(arguments.check, arguments.json)
    return ExitStatus.OK


def _check(file: Path, as_json: bool) -> None:
    from tsds_stream.config import load_settings

    settings = load_settings(file)
    if as_json:
        print(settings.model_dump_json(indent=2))
        return
    print(f"{file} is sound.")
    for what, where in _overview(settings).items():
        print(f"  {what:<12} {where}")
    for path in _files_needed(settings):
        if not os.path.exists(path):
            print(f"note: {path} does not exist here (relative paths start at the working directory)")


def _overview(settings: Settings) -> dict[str, str]:
    source, sink, kafka = settings.source, settings.sink, settings.kafka
    documents = f"topic {kafka.topics.documents}"
    if source.kind == "files":
        documents = f"{source.path}{', followed' if source.follow else ''}"
    selection = f"{sink.directory}" if sink.kind == "directory" else f"topic {kafka.topics.selection} ({sink.payload})"
    if sink.kind == "kafka" and sink.directory is not None:
        selection += f" and {sink.directory}"
    topic = f"topic {kafka.topics.targets}"
    sets = ", ".join(f"{one.name} (targets {one.targets or topic})" for one in settings.target_sets)
    overview = {"documents": documents, "target sets": sets, "embedder": settings.embedder.kind, "selection": selection}
    if settings.uses_kafka:
        overview["brokers"] = f"{kafka.bootstrap_servers} ({kafka.security_protocol})"
    return overview | {"state": settings.state.directory}


def _files_needed(settings: Settings) -> list[str]:
    files = [settings.source.path] if settings.source.kind == "files" and settings.source.path != "-" else []
    files += [one.targets for one in settings.target_sets if one.targets is not None]
    return files + (settings.kafka.files() if settings.uses_kafka else [])
