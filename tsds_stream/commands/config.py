"""`tsds-stream config`: the default configuration, the check of one, the reference page."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from tsds_stream.exit_status import ExitStatus

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
        print(default_file(SECTIONS, {"targets": "targets.jsonl"}), end="")
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
    sets = ", ".join(f"{target_set.name} (targets {target_set.targets})" for target_set in settings.target_sets)
    print(f"{file} is sound.")
    print(f"  documents    {settings.source.path}{', followed' if settings.source.follow else ''}")
    print(f"  target sets  {sets}")
    print(f"  embedder     {settings.embedder.kind}")
    print(f"  selection    {settings.sink.path}")
    print(f"  state        {settings.state.directory}")
    missing = [settings.source.path] if settings.source.path != "-" else []
    missing += [target_set.targets for target_set in settings.target_sets]
    for path in missing:
        if not os.path.exists(path):
            print(f"note: {path} does not exist here (relative paths start at the working directory)")
