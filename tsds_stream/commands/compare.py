"""`tsds-stream compare`: which way of selecting is best on the user's own data."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.comparison.compare import Comparison, Plan
    from tsds_stream.comparison.reading import Material
    from tsds_stream.config import Settings
    from tsds_stream.logs import Log

USAGE = "--documents PATH [PATH ...] --targets FILE {--budget N | --token-budget N} [--output DIR] [OPTIONS]"
DESCRIPTION = (
    "Find out on your own data which way of selecting is worth it. A share of the targets is held out, every method "
    "selects for the others under the same budget of tokens, and its selection is measured on those held out: the "
    "perplexity of a small language model trained on it, distances, near-copies. The differences between methods come "
    "with 95% intervals over several splits, and with a sentence that says what they mean. No GPU; minutes."
)
EXAMPLES = """\
examples:
  tsds-stream compare --documents corpus/ --targets targets.jsonl --budget 1000
  tsds-stream compare --documents corpus/ --targets targets.jsonl --token-budget 500000 --output comparison/
  tsds-stream compare --documents corpus/ --targets t.jsonl --budget 1000 --methods turns,dedup+round_robin,random
  tsds-stream compare --documents corpus/ --targets t.jsonl --budget 1000 --sigma 0.4 --seeds 10 --json | jq .sentence

The seconds are those of the selection alone. One of twenty intervals misses the truth, so do not read too much into the
best of many methods.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes: files, the split, the methods, and every option of a selection."""
    from tsds_stream.comparison.methods import COMPARED, METHODS
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options

    parser.add_argument(
        "--documents", metavar="PATH", nargs="+", required=True, help="files, directories of files, or - (stdin)"
    )
    parser.add_argument(
        "--methods", metavar="NAMES",
        help=f"separated by commas, of {', '.join(METHODS)}; dedup+ in front of any removes near-copies first "
        f"(default: {','.join(COMPARED)})",
    )  # fmt: skip
    parser.add_argument(
        "--held-out", metavar="SHARE", type=float, default=0.3,
        help="of the targets, that no method sees (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--seeds", metavar="N", type=int, default=5, help="splits of the targets (default: %(default)s)"
    )
    parser.add_argument(
        "--near-copy", metavar="D", type=float,
        help="distance below which documents are copies of each other or of a target (default: --min-distance, or the "
        "automatic sigma)",
    )  # fmt: skip
    parser.add_argument(
        "--keep-copies", action="store_true",
        help="leave copies of targets held out in the pool: methods may then win by finding them",
    )  # fmt: skip
    parser.add_argument(
        "--output", metavar="DIR", type=Path, help="a folder for the report, its data, a plot and the selections"
    )
    parser.add_argument("--json", action="store_true", help="the results as JSON on stdout")
    parser.add_argument("--quiet", action="store_true", help="no progress")
    parser.epilog = f"methods:\n{_about()}\n\n{parser.epilog}"
    streams = ("ttl", "refill")  # what becomes of documents with time
    add_options(parser, SECTIONS["target_sets"], "selection", names={"name": "--set"}, without=streams)
    add_options(parser, SECTIONS["source"], "reading", only=("max_document_bytes", "max_future"), kind="files")
    add_options(parser, SECTIONS["embedder"], "embedder", "embedder-", {"kind": "--embedder"})


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Read, compare, and say what came out."""
    if arguments.documents.count("-") > 1:
        raise CommandError("--documents: standard input can be read only once", ExitStatus.USAGE)
    settings = _settings(arguments)
    plan = _plan(arguments, settings)
    from tsds_stream.comparison import folder

    if arguments.output is not None:
        folder.check(arguments.output)
    material = _read(settings, arguments)
    comparison = _compare(material, plan, arguments)
    if arguments.output is not None:
        folder.write(arguments.output, comparison, list(material.pool.ids))
    _report(comparison, material, arguments)
    return ExitStatus.OK


def _settings(arguments: argparse.Namespace) -> Settings:
    from tsds_stream.config import load_settings
    from tsds_stream.configuration.layers import Override

    given = {override.option for override in arguments.overrides}
    if {"budget", "token_budget"} <= given:
        raise CommandError(
            "give --budget N or --token-budget N, not both: all methods get one budget", ExitStatus.USAGE
        )
    if not {"budget", "token_budget"} & given:
        raise CommandError("give --budget N (documents) or --token-budget N", ExitStatus.USAGE)
    other = "token_budget" if "budget" in given else "budget"
    ends = [Override("source", "kind", "files", "compare"), Override("sink", "kind", "directory", "compare")]
    one = Override("target_sets", other, "none", f"--{other}".replace("_", "-"))
    return load_settings(None, [*ends, *arguments.overrides, one], names={("target_sets", "targets"): "--targets"})


def _plan(arguments: argparse.Namespace, settings: Settings) -> Plan:
    from tsds_stream.comparison.compare import Plan

    target_set = settings.target_sets[0]
    if target_set.ttl is not None:
        raise CommandError("ttl: documents do not expire in a comparison", ExitStatus.USAGE)
    names = None
    if arguments.methods is not None:
        names = [name.strip() for name in arguments.methods.split(",") if name.strip()]
        if not names:
            raise CommandError("--methods names no method", ExitStatus.USAGE)
    try:
        return Plan(
            target_set.selector_config(),
            names,
            arguments.held_out,
            arguments.seeds,
            arguments.near_copy,
            arguments.keep_copies,
            target_set.name,
        )
    except ValueError as error:
        raise CommandError(str(error), ExitStatus.USAGE) from error


def _read(settings: Settings, arguments: argparse.Namespace) -> Material:
    from tsds_stream.comparison.reading import read_material
    from tsds_stream.streams.chained import total_bytes
    from tsds_stream.terminal import count, progress

    log = _log(arguments)
    with progress("Reading", total_bytes(arguments.documents)) as bar:

        def show(size: int, documents: int) -> None:
            if not arguments.quiet:
                bar.update(size, f"{documents:,} documents")

        material = read_material(settings, arguments.documents, log, show)
    log.info("read", documents=len(material.pool), targets=len(material.targets))
    if material.unusable:
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in material.unusable.items())
        records = count(material.unusable.total(), "record")
        log.warning("records that cannot be used", records=records, reasons=reasons, first=material.first)
    return material


def _compare(material: Material, plan: Plan, arguments: argparse.Namespace) -> Comparison:
    from tsds_stream.comparison.compare import compare, methods_of, tokens_wanted
    from tsds_stream.terminal import progress

    log, steps = _log(arguments), plan.seeds * len(methods_of(plan, material.pool, material.targets))
    try:
        tokens_wanted(material.pool, plan.config)
    except ValueError as error:
        raise CommandError(str(error), ExitStatus.USAGE) from error
    with progress("Comparing", steps, f"of {steps} selections") as bar:

        def show(done: int, note: str) -> None:
            if not arguments.quiet:
                bar.update(done, note)
            log.info("comparing", done=done, of=steps, next=note)

        try:
            return compare(material.pool, material.targets, plan, show)
        except ValueError as error:
            raise CommandError(str(error), ExitStatus.INPUT) from error


def _log(arguments: argparse.Namespace) -> Log:
    """Lines where there is no bar."""
    from tsds_stream.logs import LineLog

    return LineLog("warning" if arguments.quiet or sys.stderr.isatty() else "info")


def _report(comparison: Comparison, material: Material, arguments: argparse.Namespace) -> None:
    import orjson

    from tsds_stream.comparison import plot
    from tsds_stream.comparison.report import show
    from tsds_stream.comparison.results import as_json
    from tsds_stream.terminal import Page

    undrawn = arguments.output is not None and not plot.can_draw()
    how = f"Not drawn: matplotlib is not installed. For a plot: {plot.HOW}, then compare again."
    if arguments.json:
        if undrawn:
            print(how, file=sys.stderr)
        content = {**as_json(comparison), "embedder": material.embedder, "unusable": dict(material.unusable)}
        print(orjson.dumps(content, option=orjson.OPT_INDENT_2).decode())
        return
    page = Page()
    show(comparison, page)
    if arguments.output is not None:
        page.heading(f"Written to {arguments.output}")
        if undrawn:
            page.line(f"  {how}")


def _about() -> str:
    from tsds_stream.comparison.methods import METHODS

    return "\n".join(f"  {name:<12} {method.about}" for name, method in METHODS.items())
