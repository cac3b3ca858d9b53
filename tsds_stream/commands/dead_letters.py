"""`tsds-stream dead-letters`: records that could not be used, and another try for them."""

from __future__ import annotations

import argparse
import os
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tsds_stream.config import Settings
    from tsds_stream.records import DeadLetter

USAGE = "{list,retry} {DIR | --config FILE} [--reason CODE] [--limit N] [--json] [--output FILE]"
DESCRIPTION = (
    "List records that could not be used, with the reason and where they came from, or give them to the stream again: "
    "where documents come from a topic, the original records are sent to it anew (for when the configuration was "
    "mended, not the record); with --output their values are written to a file, so that they can be mended and "
    "given to the stream as files are (tsds-stream produce sends them to a topic): the key of a record becomes its id."
)
EXAMPLES = """\
examples:
  tsds-stream dead-letters list selection/
  tsds-stream dead-letters list selection/ --reason too_large --json
  tsds-stream dead-letters retry selection/ --output documents/again.jsonl
  tsds-stream dead-letters list --config tsds.toml --limit 50
  tsds-stream dead-letters retry --config tsds.toml --reason too_large
  tsds-stream dead-letters retry --config tsds.toml --reason no_text --output mend.jsonl
"""

CUT = ("too_large",)  # reasons with which only the beginning of the value is kept, where it comes from a file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("action", choices=("list", "retry"), help="show them, or write them to a file of documents")
    parser.add_argument(
        "directory", metavar="DIR", nargs="?", type=Path, help="the selection directory, or a dead-letters.jsonl"
    )
    parser.add_argument("--config", metavar="FILE", type=Path, help="the configuration of the run: topic or directory")
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
    if (arguments.directory is None) == (arguments.config is None):
        raise CommandError("give one of DIR and --config FILE", ExitStatus.USAGE)
    settings = _settings(arguments.config)
    if arguments.action == "list":
        return _list(arguments, settings)
    if settings is not None and settings.source.kind == "kafka" and arguments.output is None:
        return _resend(arguments, settings)
    return _retry(arguments, settings)


def _settings(file: Path | None) -> Settings | None:
    from tsds_stream.config import load_settings

    return None if file is None else load_settings(file)


def _read(arguments: argparse.Namespace, settings: Settings | None) -> Iterator[DeadLetter]:
    """The letters that were asked for, oldest first."""
    letters = _all(arguments.directory, settings)
    return (letter for letter in letters if not arguments.reason or letter.reason in arguments.reason)


def _all(directory: Path | None, settings: Settings | None) -> Iterator[DeadLetter]:
    if settings is None:
        assert directory is not None
        return _in_directory(directory)
    if settings.sink.kind == "kafka":
        return _in_topic(settings)
    return _in_directory(Path(settings.sink.path))


def _in_topic(settings: Settings) -> Iterator[DeadLetter]:
    with _brokers():
        from tsds_stream.streams.kafka.connection import connection_of
        from tsds_stream.streams.kafka.dead_letter_topic import read_dead_letters

        yield from read_dead_letters(connection_of(settings.kafka), settings.kafka.topics.dead_letters)


@contextmanager
def _brokers() -> Iterator[None]:
    """What brokers refuse, or do not answer, as an exit status."""
    try:
        import tsds_stream.streams.kafka.client  # noqa: F401
    except ModuleNotFoundError as error:
        sentence = f"Kafka needs the package {error.name}: pip install 'tsds-stream[kafka]'"
        raise CommandError(sentence, ExitStatus.USAGE) from error
    from tsds_stream.streams.kafka.errors import KafkaFailure, Refused

    try:
        yield
    except KafkaFailure as error:
        status = ExitStatus.INPUT if isinstance(error, Refused) else ExitStatus.UNAVAILABLE
        raise CommandError(str(error), status) from error


def _in_directory(directory: Path) -> Iterator[DeadLetter]:
    from tsds_stream.streams.dead_letters import read_dead_letters
    from tsds_stream.streams.layout import Layout

    root = directory.parent if directory.is_file() else directory
    if not root.is_dir():
        raise CommandError(f"{directory} does not exist", ExitStatus.STATE)
    if not Layout(root).dead_letters.exists() and not Layout(root).commit.exists():
        raise CommandError(f"{directory} is not a selection directory: nothing was published there", ExitStatus.STATE)
    if not Layout(root).dead_letters.exists() and _is_copy(root):
        raise CommandError(
            f"{directory} is a copy made from topics, and dead letters are in a topic of their own: name the "
            "configuration of the run with --config FILE instead",
            ExitStatus.USAGE,
        )
    return read_dead_letters(root)


def _is_copy(root: Path) -> bool:
    from tsds_stream.streams.manifest import is_derived
    from tsds_stream.streams.revisions import list_revisions, target_sets

    return any(is_derived(record) for name in target_sets(root) for record in list_revisions(root, name)[0])


def _list(arguments: argparse.Namespace, settings: Settings | None) -> ExitStatus:
    from tsds_stream.streams.dead_letters import encode_dead_letter
    from tsds_stream.terminal import Page, count, snippet

    letters = _read(arguments, settings)
    if arguments.json:
        for letter in letters:
            sys.stdout.write(encode_dead_letter(letter).decode())
        return ExitStatus.OK
    page, reasons = Page(), Counter[str]()
    newest: list[DeadLetter] = []  # a topic may hold more than fits into memory
    for letter in letters:
        reasons[letter.reason] += 1
        newest.append(letter)
        if len(newest) > 2 * arguments.limit + 1024:
            newest = _newest(newest, arguments.limit)
    if not newest:
        page.line(f"There are no dead letters{' with this reason' if arguments.reason else ''}.")
        return ExitStatus.OK
    newest = _newest(newest, arguments.limit)
    summary = ", ".join(f"{reason} {number:,}" for reason, number in reasons.most_common())
    page.line(f"{count(reasons.total(), 'dead letter')}: {summary}")
    page.heading(f"The newest {len(newest)}")
    rows = [
        [letter.reason, _place(letter), letter.detail, snippet((letter.value or b"").decode(errors="replace"), 60)]
        for letter in newest
    ]
    page.table(["reason", "where", "what was wrong", "value"], rows)
    return ExitStatus.OK


def _newest(letters: list[DeadLetter], limit: int) -> list[DeadLetter]:
    return sorted(letters, key=lambda letter: letter.created)[-limit:] if limit > 0 else []


def _resend(arguments: argparse.Namespace, settings: Settings) -> ExitStatus:
    """The original records, to the topic that they came from."""
    from tsds_stream.terminal import count

    topic = settings.kafka.topics.documents
    with _brokers():
        from tsds_stream.streams.kafka.connection import connection_of
        from tsds_stream.streams.kafka.retrying import resend

        retried = resend(connection_of(settings.kafka), topic, _read(arguments, settings))
    again = f"{count(retried.sent, 'record')} sent to {topic} again"
    print(f"{again}{_left_out(retried.repeated)}", file=sys.stderr)
    _tell_lost(retried.lost)
    return ExitStatus.OK


def _retry(arguments: argparse.Namespace, settings: Settings | None) -> ExitStatus:
    from tsds_stream.terminal import count

    if arguments.output is None:
        raise CommandError("retry needs --output FILE: a new file among the documents, or -", ExitStatus.USAGE)
    whole = 0
    lost: list[DeadLetter] = []
    lines: dict[bytes, None] = {}
    for letter in _read(arguments, settings):
        line = _line(letter)
        if line is None:
            lost.append(letter)
        else:
            whole += 1
            lines[line] = None
    data = b"".join(line + b"\n" for line in lines)
    if str(arguments.output) == "-":
        sys.stdout.buffer.write(data)
    else:
        _write_new(arguments.output, data)
    again = f"{count(len(lines), 'record')} written to {arguments.output}"
    print(f"{again}{_left_out(whole - len(lines))}", file=sys.stderr)
    _tell_lost(lost)
    return ExitStatus.OK


def _line(letter: DeadLetter) -> bytes | None:
    """What a file of documents holds of a letter, or None where not all of it was kept, or not in one line.

    A topic keeps the id in the key, a file has no keys: it goes into the object.
    """
    import orjson

    from tsds_stream.streams.kafka.dead_letters import TRUNCATED

    from_topic = "topic" in letter.source
    cut = any(name == TRUNCATED for name, _ in letter.headers) if from_topic else letter.reason in CUT
    if letter.value is None or cut:
        return None
    if from_topic:
        try:
            record = orjson.loads(letter.value)
            if isinstance(record, dict):
                return orjson.dumps(record if letter.key is None else {"id": letter.key.decode(), **record})
        except ValueError:  # what is broken stays as it is, to be mended by hand
            pass
    return None if b"\n" in letter.value else letter.value


def _left_out(repeated: int) -> str:
    return f"; {repeated:,} repeated ones left out" if repeated else ""


def _tell_lost(lost: list[DeadLetter]) -> None:
    from tsds_stream.terminal import count

    if lost:
        print(
            f"{count(len(lost), 'record')} cannot be retried because the value was not kept: "
            f"see the source, for example {_place(lost[0])}",
            file=sys.stderr,
        )


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
    if "partition" in source:
        where = f"{where}/{source['partition']}"
    return f"{where}:{position}" if position is not None else str(where)
