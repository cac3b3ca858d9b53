"""`tsds-stream select`: the selection of a corpus, once."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.config import Settings
    from tsds_stream.once import Outcome
    from tsds_stream.terminal import Page

USAGE = "--documents PATH [PATH ...] --targets FILE --budget N [--output selection.jsonl] [OPTIONS]"
DESCRIPTION = (
    "Select the best documents of a corpus for a task, once: one document per line, best first, and a summary on one "
    "screen. Documents and targets are JSONL (plain, .gz, .zst), Parquet or plain text files, or directories of them."
)
EXAMPLES = """\
examples:
  tsds-stream select --documents corpus/ --targets targets.jsonl --budget 1000 --output selection.jsonl
  tsds-stream select --documents a.jsonl b.jsonl.zst --targets t.jsonl --token-budget 1000000 --output - | head
  tsds-stream select --documents vectors.parquet --targets targets.parquet --embedder precomputed --budget 500 --json
"""
SHOWN = 5  # best documents, worst targets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: files, and every option of a selection."""
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options

    parser.add_argument(
        "--documents", metavar="PATH", nargs="+", required=True, help="files, directories of files, or - (stdin)"
    )
    parser.add_argument("--output", metavar="FILE", default="selection.jsonl", help="-: stdout (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="the summary as JSON on stdout")
    parser.add_argument("--quiet", action="store_true", help="no summary and no progress bar")
    add_options(parser, SECTIONS["target_sets"], "selection", names={"name": "--set"})
    add_options(parser, SECTIONS["source"], "reading", only=("max_document_bytes", "max_future"), kind="files")
    add_options(parser, SECTIONS["embedder"], "embedder", "embedder-", {"kind": "--embedder"})


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Read everything, select, write, and say what came out."""
    if arguments.output == "-" and arguments.json:
        raise CommandError("--json and --output - would both write to stdout; give --output a file", ExitStatus.USAGE)
    if arguments.documents.count("-") > 1:
        raise CommandError("--documents: standard input can be read only once", ExitStatus.USAGE)
    if arguments.output != "-" and not Path(arguments.output).parent.is_dir():
        raise CommandError(f"--output: {Path(arguments.output).parent} is not a directory", ExitStatus.USAGE)
    settings = _settings(arguments)
    from tsds_stream.once import select_once

    with TemporaryDirectory(prefix="tsds-stream-") as scratch:
        outcome = select_once(settings, arguments.documents, Path(scratch), show_progress=not arguments.quiet)
    _write(outcome, arguments.output)
    if not arguments.quiet:
        _report(outcome, settings, arguments)
    return ExitStatus.OK


def _settings(arguments: argparse.Namespace) -> Settings:
    from tsds_stream.config import load_settings
    from tsds_stream.configuration.layers import Override

    given = {override.option for override in arguments.overrides}
    # It reads the files that it is given and writes one, whatever an environment says about a daemon beside it.
    ends = [Override("source", "kind", "files", "select"), Override("sink", "kind", "directory", "select")]
    overrides = [*ends, *arguments.overrides]
    if "token_budget" in given and "budget" not in given:
        overrides.append(Override("target_sets", "budget", "none", "--budget"))  # tokens alone decide
    elif "budget" not in given:
        raise CommandError("give --budget N (documents) or --token-budget N", ExitStatus.USAGE)
    return load_settings(None, overrides, names={("target_sets", "targets"): "--targets"})


def _write(outcome: Outcome, output: str) -> None:
    import orjson

    from tsds_stream.streams.selection_file import write_selection

    if output != "-":
        write_selection(Path(output), outcome.records)
        return
    for record in outcome.records:
        sys.stdout.buffer.write(orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE))
    sys.stdout.flush()


def _report(outcome: Outcome, settings: Settings, arguments: argparse.Namespace) -> None:
    import orjson

    from tsds_stream.summary import facts, show_summary
    from tsds_stream.terminal import Page

    worst = [(name, distance, outcome.target_texts.get(name)) for name, distance in outcome.served[:SHOWN]]
    if arguments.json:
        content = {
            **facts(outcome.revision),
            "output": arguments.output,
            "dead_letters": outcome.reasons_of_dead_letters(),
            "targets_served_worst": [[name, distance] for name, distance, _ in worst],
        }
        print(orjson.dumps(content, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode())
        return
    page = Page(sys.stderr if arguments.output == "-" else None)
    config = settings.target_sets[0]
    show_summary(
        page,
        outcome.revision,
        outcome.records[:SHOWN],
        worst,
        sigma_is_automatic=config.sigma == "auto",
        alpha_is_automatic=config.alpha == "auto",
    )
    _report_dead_letters(outcome, page)
    if arguments.output != "-":
        page.heading(f"Written to {arguments.output}")


def _report_dead_letters(outcome: Outcome, page: Page) -> None:
    from tsds_stream.terminal import count

    if outcome.dead_letters:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in outcome.reasons_of_dead_letters().items())
        first = outcome.dead_letters[0]
        place = ":".join(str(first.source[key]) for key in ("path", "line") if key in first.source)
        page.warning(
            f"{count(len(outcome.dead_letters), 'record')} could not be used ({reasons}); "
            f"the first is {place}: {first.detail}"
        )
