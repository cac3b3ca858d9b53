"""`tsds-stream verify`: the auditor."""

from __future__ import annotations

import argparse
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.config import Settings
    from tsds_stream.verification.report import Report
    from tsds_stream.verification.setting import Setting

USAGE = "--config FILE [--revisions last|all|N] [--json]"
DESCRIPTION = (
    "Prove what a run has published: read its documents again from where it began, compute the selection of each "
    "revision from scratch, and compare it with the published digests, with the selection as consumers hold it now, "
    "and with the dead letters. Nothing is written and nobody is disturbed: it may run beside the run itself, takes no "
    "lock and joins no consumer group. It needs memory for the vectors of all live documents: 4 bytes x dimension x "
    "documents (1 million of 256 numbers: 1 GB), and time for embedding them again where they bring no vectors."
)
EXAMPLES = """\
examples:
  tsds-stream verify --config tsds.toml
  tsds-stream verify --config tsds.toml --revisions all
  tsds-stream verify --config tsds.toml --revisions 20 --json | jq .faults

It ends with 0 when all that was compared is right, with 4 when something is wrong, and with 3 when nothing is wrong but
the documents cannot be read (any more), or when not one revision could be compared. Revisions that say themselves that
they are not exact, and those of other parameters, targets or embedders than the configuration has now, are left out,
and it says so.
"""
MOST = 10  # reasons for not comparing revisions that are told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    from tsds_stream.config import SECTIONS
    from tsds_stream.configuration.command_line import add_options

    parser.add_argument("--config", metavar="FILE", type=Path, required=True, help="the configuration of the run")
    parser.add_argument(
        "--revisions", metavar="WHICH", type=_wanted, default=1,
        help="last: the last one of each set (default); N: the last N; all: every one, each computed anew",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="the whole report, for scripts")
    add_options(parser, SECTIONS["state"], "state", names={"directory": "--state"}, only=("directory",))


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Audit, report, and say by the exit code how it went."""
    from tsds_stream.config import load_settings
    from tsds_stream.embedding.base import EmbedderError
    from tsds_stream.sealed import DamagedFileError
    from tsds_stream.streams.base import SourceError

    settings = load_settings(arguments.config, arguments.overrides)
    with ExitStack() as stack:
        try:
            report = _audit(settings, arguments.revisions, stack)
        except (SourceError, EmbedderError) as error:
            raise CommandError(f"it cannot be verified: {error}", ExitStatus.INPUT) from error
        except DamagedFileError as error:
            raise CommandError(str(error), ExitStatus.STATE) from error
    if arguments.json:
        _print_json(report)
    else:
        _print(report)
    return report.status


def _wanted(word: str) -> Literal["all"] | int:
    if word == "all":
        return "all"
    if word == "last":
        return 1
    if not word.isdigit() or int(word) < 1:
        raise argparse.ArgumentTypeError(
            f'"{word}" is not accepted; expected last, all or a whole number of at least 1'
        )
    return int(word)


def _audit(settings: Settings, wanted: Literal["all"] | int, stack: ExitStack) -> Report:
    from tsds_stream.terminal import progress
    from tsds_stream.verification.audit import audit

    setting = _setting(settings, stack)
    case = setting.case
    with progress("Verifying", setting.total, "records") as bar:
        case.progress = bar.update
        return audit(case, wanted)


def _setting(settings: Settings, stack: ExitStack) -> Setting:
    from tsds_stream.verification.setting import open_setting

    try:
        return open_setting(settings, stack)
    except ModuleNotFoundError as error:
        sentence = f"Kafka needs the package {error.name}: pip install 'tsds-stream[kafka]'"
        raise CommandError(sentence, ExitStatus.USAGE) from error


def _print(report: Report) -> None:
    from tsds_stream.terminal import Page, count

    page = Page()
    page.line(f"{count(report.records, 'record')} read, {count(report.live, 'document')} live at the end.")
    for name, one in report.sets.items():
        series = f"{one.first} to {one.last}" if one.revisions else "none"
        page.heading(f"{name}: revisions {series}")
        wrong = {fault.revision for fault in report.faults if fault.set == name and fault.kind == "digest"}
        right = [number for number in one.compared if number not in wrong]
        page.line(f"  {count(len(right), 'revision')} computed again from the documents, and equal.")
        reasons: dict[str, list[int]] = {}
        for number, why in one.skipped.items():
            reasons.setdefault(why, []).append(number)
        for why, numbers in list(reasons.items())[:MOST]:
            page.line(f"  {_numbered(numbers)} not compared: {why}")
        others = sum(map(len, list(reasons.values())[MOST:]))
        if others:
            page.line(f"  nor were {others:,} others")
        if one.selection:
            page.line(f"  The selection as it is now: {one.selection}.")
    page.heading(f"{count(report.letters, 'dead letter')} expected, {report.found:,} found")
    for note in report.notes:
        page.line(f"note: {note}")
    for reason in report.cannot:
        page.warning(f"not everything could be checked: {reason}")
    for fault in report.faults:
        page.line(f"WRONG: {fault.sentence}", style="red")
    if report.nothing_compared:
        page.heading("Nothing could be compared: not one revision was computed again, so that nothing is proved.")
        if any(one.revisions > len(one.skipped) for one in report.sets.values()):
            page.line("Others may do: --revisions all looks at every one.")
    elif not report.faults:
        said = "Nothing is wrong" if any(one.revisions for one in report.sets.values()) else "Nothing is published yet"
        page.heading(f"{said}." if not report.cannot else "Nothing is wrong in what could be checked.")


def _numbered(numbers: list[int]) -> str:
    """Revisions in words: "revision 4 was", "revisions 1 to 3, 7 were"."""
    runs: list[list[int]] = []
    for number in sorted(numbers):
        if runs and number == runs[-1][1] + 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    words = ", ".join(f"{first:,}" if first == last else f"{first:,} to {last:,}" for first, last in runs)
    return f"revision {words} was" if len(numbers) == 1 else f"revisions {words} were"


def _print_json(report: Report) -> None:
    import orjson

    print(orjson.dumps(report.as_json(), option=orjson.OPT_INDENT_2).decode())
