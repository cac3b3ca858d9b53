"""`tsds-stream dead-letters`: records that could not be used, and another try for them."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.records import DeadLetter

USAGE = "{list,retry} DIR [--reason CODE] [--limit N] [--json] [--output FILE]"
DESCRIPTION = (
    "List records that could not be used, with the reason and where they came from, or write their original values to "
    "a file, so that they can be mended and given to the stream again."
)
EXAMPLES = """\
examples:
  tsds-stream dead-letters list selection/
  tsds-stream dead-letters list selection/ --reason too_large --json
  tsds-stream dead-letters retry selection/ --output documents/again.jsonl
"""

CUT = ("too_large",)  # reasons with which only the beginning of the value is kept


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("action", choices=("list", "retry"), help="show them, or write them to a file of documents")
    parser.add_argument("directory", metavar="DIR", type=Path, help="the selection directory, or a dead-letters.jsonl")
    parser.add_argument(
        "--reason", metavar="CODE", action="append", help="only those with this reason; may be repeated"
    )
    parser.add_argument("--limit", metavar="N", type=int, default=20, help="list: the newest so many (default: 20)")
    parser.add_argument(
        "--output", metavar="FILE", type=Path, help="retry: a new JSONL file for the source to pick up, or - for stdout"
    )
    parser.add_argument("--json", action="store_true", help="list: one JSON object per line, all of them")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Do what was asked for."""
    if arguments.action == "retry":
        return _retry(arguments)
    return _list(arguments)


def _read(directory: Path, reasons: list[str] | None) -> list[DeadLetter]:
    from tsds_stream.streams.dead_letters import read_dead_letters
    from tsds_stream.streams.layout import Layout

    root = directory.parent if directory.is_file() else directory
    if not root.is_dir():
        raise CommandError(f"{directory} does not exist", ExitStatus.STATE)
    if not Layout(root).dead_letters.exists() and not Layout(root).commit.exists():
        raise CommandError(f"{directory} is not a selection directory: nothing was published there", ExitStatus.STATE)
    return [letter for letter in read_dead_letters(root) if not reasons or letter.reason in reasons]


def _list(arguments: argparse.Namespace) -> ExitStatus:
    from tsds_stream.streams.dead_letters import encode_dead_letter
    from tsds_stream.terminal import Page, count, snippet

    letters = _read(arguments.directory, arguments.reason)
    if arguments.json:
        sys.stdout.write("".join(encode_dead_letter(letter).decode() for letter in letters))
        return ExitStatus.OK
    page = Page()
    if not letters:
        page.line("There are no dead letters.")
        return ExitStatus.OK
    reasons = Counter(letter.reason for letter in letters)
    summary = ", ".join(f"{reason} {number:,}" for reason, number in reasons.most_common())
    page.line(f"{count(len(letters), 'dead letter')}: {summary}")
    page.heading(f"The newest {min(arguments.limit, len(letters))}")
    rows = [
        [letter.reason, _place(letter), letter.detail, snippet((letter.value or b"").decode(errors="replace"), 60)]
        for letter in letters[-arguments.limit :]
    ]
    page.table(["reason", "where", "what was wrong", "value"], rows)
    return ExitStatus.OK


def _retry(arguments: argparse.Namespace) -> ExitStatus:
    from tsds_stream.terminal import count

    if arguments.output is None:
        raise CommandError("retry needs --output FILE: a new file among the documents, or -", ExitStatus.USAGE)
    letters = _read(arguments.directory, arguments.reason)
    values = dict.fromkeys(letter.value for letter in letters if letter.value is not None and letter.reason not in CUT)
    lines = [value for value in values if b"\n" not in value]
    lost = [letter for letter in letters if letter.value is None or b"\n" in letter.value or letter.reason in CUT]
    data = b"".join(line + b"\n" for line in lines)
    if str(arguments.output) == "-":
        sys.stdout.buffer.write(data)
    else:
        _write_new(arguments.output, data)
    again = f"{count(len(lines), 'record')} written to {arguments.output}"
    print(f"{again}; {len(letters) - len(lost) - len(lines):,} repeated ones left out", file=sys.stderr)
    if lost:
        print(
            f"{count(len(lost), 'record')} cannot be retried because the value was not kept: "
            f"see the source, for example {_place(lost[0])}",
            file=sys.stderr,
        )
    return ExitStatus.OK


def _write_new(path: Path, data: bytes) -> None:
    """The whole file appears at once: a source that watches the folder must not see half of it."""
    if path.exists():
        raise CommandError(f"--output: {path} exists already; give a new name", ExitStatus.USAGE)
    if not path.parent.is_dir():
        raise CommandError(f"--output: {path.parent} is not a directory", ExitStatus.USAGE)
    beside = path.with_name(f".{path.name}.tmp")
    beside.write_bytes(data)
    os.replace(beside, path)


def _place(letter: DeadLetter) -> str:
    source = letter.source
    where = source.get("path", source.get("topic", ""))
    position = next((source[key] for key in ("line", "row", "offset", "position") if key in source), None)
    return f"{where}:{position}" if position is not None else str(where)
