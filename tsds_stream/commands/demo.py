"""`tsds-stream demo`: see it work."""

from __future__ import annotations

import argparse
from pathlib import Path

from tsds_stream.exit_status import CommandError, ExitStatus

USAGE = "[--directory DIR] [--documents N] [--budget N] [--seed N]"
DESCRIPTION = (
    "See it work, offline and in under a minute, on real text: the documentation of the Python standard library and of "
    "the installed packages is streamed in, with reposts, new versions and retractions on the way, and the selection "
    "for one topic is published revision by revision. It explains sample documents, proves itself against a batch "
    "computation, draws two plots, and leaves a directory to explore. The same seed gives the same result."
)
EXAMPLES = """\
examples:
  tsds-stream demo
  tsds-stream demo --directory /tmp/demo --documents 3000 --budget 100
"""
BUDGET = 200
DOCUMENTS = 12_000


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options

    parser.add_argument(
        "--directory", metavar="DIR", type=Path, default=Path("tsds-demo"),
        help="what is left behind; an earlier demo in it is replaced, anything else is refused (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--documents", metavar="N", type=int, default=DOCUMENTS, help="at most so many (default: %(default)s)"
    )
    selection = ("budget", "seed")
    add_options(parser, SECTIONS["target_sets"], f"selection (demo: budget {BUDGET})", only=selection, defaults=False)


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Show it."""
    from tsds_stream.config import load_settings
    from tsds_stream.configuration.layers import Override
    from tsds_stream.demo.corpus import installed_roots
    from tsds_stream.demo.place import Place
    from tsds_stream.demo.show import FEWEST, demonstrate
    from tsds_stream.terminal import Page

    if arguments.documents < FEWEST:
        raise CommandError(f'--documents: "{arguments.documents}" is not accepted; at least {FEWEST}', ExitStatus.USAGE)
    given = [
        Override("target_sets", "targets", "targets.jsonl", "--targets"),
        Override("target_sets", "budget", str(BUDGET), "--budget"),
    ]
    settings = load_settings(None, [*given, *arguments.overrides], environment={})
    config = settings.target_sets[0].selector_config()
    return demonstrate(Place(arguments.directory), config, arguments.documents, installed_roots(), Page())
