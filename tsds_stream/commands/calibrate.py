"""`tsds-stream calibrate`: measure `sigma = "auto"` anew on the present state and freeze it."""

from __future__ import annotations

import argparse
from pathlib import Path

from tsds_stream.exit_status import CommandError, ExitStatus

USAGE = "[--state DIR | --config FILE] [--set NAME] [--dry-run] [--json]"
DESCRIPTION = (
    'Measure sigma = "auto" anew (0.65 x the median distance of a target to its nearest document) on the newest '
    "checkpoint of a run and freeze it there. The run must be stopped; when it starts again, it publishes with the new "
    "value."
)
EXAMPLES = """\
examples:
  tsds-stream calibrate --dry-run
  tsds-stream calibrate --state state/ --set default
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options

    parser.add_argument("--set", metavar="NAME", help="target set; needed only where there are several")
    parser.add_argument("--config", metavar="FILE", type=Path, help="the configuration of the run")
    add_options(parser, SECTIONS["state"], "state", names={"directory": "--state"}, only=("directory",))
    parser.add_argument("--dry-run", action="store_true", help="only say what the value would be")
    parser.add_argument("--json", action="store_true", help="for scripts")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Measure, and store unless it is a dry run."""
    import orjson

    from tsds_stream.config import load_without_targets
    from tsds_stream.stored_state import open_state

    state = open_state(Path(load_without_targets(arguments.config, arguments.overrides).state.directory))
    name = state.choose(arguments.set)
    selector = state.selector(name)
    if selector.config.sigma != "auto":
        raise CommandError(
            f"target set {name!r} has sigma = {selector.config.sigma}, which is not measured; change it in the "
            "configuration",
            ExitStatus.USAGE,
        )
    before = selector.sigma
    after = selector.calibrate()
    if not arguments.dry_run:
        state.replace({name: selector})
    if arguments.json:
        print(orjson.dumps({"set": name, "before": before, "sigma": after, "stored": not arguments.dry_run}).decode())
    else:
        verb = "would be" if arguments.dry_run else "is now"
        print(f"sigma of {name} {verb} {after:.6g} (it was {'unknown' if before is None else f'{before:.6g}'}).")
    return ExitStatus.OK
