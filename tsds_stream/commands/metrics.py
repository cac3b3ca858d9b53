"""`tsds-stream metrics`: the reference of everything that a run exports to Prometheus."""

from __future__ import annotations

import argparse

from tsds_stream.exit_status import ExitStatus

USAGE = "--reference"
DESCRIPTION = (
    "Print the reference of all metrics that a run exports on its port: [monitoring] listen, or run --listen. "
    "A running one shows its own at http://ADDRESS/metrics."
)
EXAMPLES = """\
examples:
  tsds-stream metrics --reference > METRICS.md
  curl -s http://127.0.0.1:9464/metrics
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("--reference", action="store_true", required=True, help="every metric in Markdown")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Do what was asked for."""
    from tsds_stream.monitoring.catalogue import GROUPS
    from tsds_stream.monitoring.catalogue.reference import reference

    print(reference(GROUPS), end="")
    return ExitStatus.OK
