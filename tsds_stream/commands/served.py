"""`tsds-stream served`: what a training run was served, from the log that its loader keeps."""

from __future__ import annotations

import argparse
import sys
from enum import IntEnum
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tsds_stream.loader.served_reader import Entry, ServedReader
    from tsds_stream.loader.served_summary import Summary
    from tsds_stream.loader.served_withdrawn import Case
    from tsds_stream.records import Json

USAGE = "DIR [--document ID | --after-retraction SELECTION | --list] [--rank R] [--from STEP] [--to STEP] [--json]"
DESCRIPTION = (
    "Say what a training run was served, from the log that SelectedLoader(served=DIR) keeps: over all its ranks, and "
    "over all its lives. Where a run was killed and went on from a checkpoint, what was served after that checkpoint "
    "is superseded: it is told apart, and not counted. May run while the training does."
)
EXAMPLES = """\
examples:
  tsds-stream served served/
  tsds-stream served served/ --document some-id && echo "was trained on"
  tsds-stream served served/ --after-retraction selection/
  tsds-stream served served/ --after-retraction requests.jsonl --json
  diff <(tsds-stream served resumed/ --list) <(tsds-stream served uninterrupted/ --list)

--after-retraction takes the selection directory, which records retractions in the stream of documents, or a JSONL file
of them: {"id": "some-id", "deleted": true, "timestamp": "2026-10-01T00:00:00Z"}. --list prints, tab-separated and a
document per line, step, rank, source, revision, epoch and id of what counts, in the order of the training.
"""


class Answer(IntEnum):
    """The exit codes of this command are its answer."""

    YES = 0
    NO = 1
    UNKNOWN = 3


ANSWERS: Final = {
    Answer.YES: "yes: all documents named were trained on; nothing was served after its retraction; the log is whole",
    Answer.NO: "no: a document was not trained on; something was served after its retraction",
    Answer.UNKNOWN: "it cannot be told: wrong options, no log, or one of which something is damaged or missing; stderr "
    "says what",
    ExitStatus.INTERRUPTED: "interrupted",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="the directory that served= of the loader names")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--document", metavar="ID", action="append",
                      help="was it trained on, when, how often, under which revision; may be repeated")  # fmt: skip
    what.add_argument("--after-retraction", metavar="SELECTION", type=Path,
                      help="documents that were served after they had been withdrawn")  # fmt: skip
    what.add_argument("--list", action="store_true", help="every document, in the order of the training")
    parser.add_argument("--rank", metavar="R", type=int, help="of this rank only")
    parser.add_argument("--from", metavar="STEP", dest="first", type=int, default=0, help="from this step on")
    parser.add_argument("--to", metavar="STEP", dest="last", type=int, help="up to this step, with it")
    parser.add_argument("--json", action="store_true", help="for scripts; with --list, an object per line")


def run(arguments: argparse.Namespace) -> Answer:
    """Read the log, tell, and answer with the exit code."""
    from tsds_stream.loader.served_reader import ServedReader

    reader = ServedReader(arguments.directory)
    if arguments.rank is not None and arguments.rank not in reader.ranks:
        has = ", ".join(map(str, reader.ranks))
        raise CommandError(f"--rank: {arguments.directory} has no log of rank {arguments.rank}, but {has}",
                           ExitStatus.USAGE)  # fmt: skip
    if arguments.document:
        return _documents(reader, arguments)
    if arguments.after_retraction is not None:
        return _after_retraction(reader, arguments)
    if arguments.list:
        return _list(reader, arguments)
    return _summary(reader, arguments)


def _entries(reader: ServedReader, arguments: argparse.Namespace, words: Sequence[bytes] = ()) -> Iterator[Entry]:
    """What was asked for, with a progress bar; of lines that hold none of the words, nothing."""
    from tsds_stream.terminal import progress

    done = 0

    def read(size: int) -> None:
        nonlocal done
        done += size
        bar.update(done)

    def wanted(line: bytes) -> bool:
        return any(word in line for word in words)

    ranks = None if arguments.rank is None else [arguments.rank]
    with progress("Reading the served log", reader.size) as bar:
        entries = (
            reader.in_order(ranks, progress=read)
            if arguments.list
            else reader.entries(ranks, wanted=wanted if words else None, progress=read)
        )
        for entry in entries:
            if arguments.first <= entry.step and (arguments.last is None or entry.step <= arguments.last):
                yield entry


def _list(reader: ServedReader, arguments: argparse.Namespace) -> Answer:
    import json

    import orjson

    out = sys.stdout.buffer
    for entry in _entries(reader, arguments):
        if arguments.json:
            record = {"step": entry.step, "rank": entry.rank, **_origin(entry), "ids": entry.ids}
            try:
                out.write(orjson.dumps(record) + b"\n")
            except TypeError:  # an id without a UTF-8 form
                out.write(json.dumps(record).encode() + b"\n")
            continue
        for id in entry.ids:
            name = id if id.isprintable() else json.dumps(id)
            fields = (entry.step, entry.rank, entry.source, entry.revision, entry.epoch, name)
            out.write("\t".join(map(str, fields)).encode() + b"\n")
    return _told(reader, Answer.YES)


def _documents(reader: ServedReader, arguments: argparse.Namespace) -> Answer:
    from tsds_stream.loader.served_records import quoted

    names: list[str] = arguments.document
    found: dict[str, list[Entry]] = {name: [] for name in names}
    for entry in _entries(reader, arguments, [word for name in found for word in quoted(name)]):
        for name in found:
            # A batch that is filled up from the beginning of an epoch may hold a document twice.
            found[name] += [entry] * entry.ids.count(name)
    for name, own in found.items():
        own.sort(key=lambda entry: (entry.time, entry.step))
        if not arguments.json:
            from tsds_stream.commands.served_pages import show_document

            show_document(name, own)
    if arguments.json:
        _print_json({"documents": {name: _document(own) for name, own in found.items()}, "problems": reader.problems})
    yes = all(any(entry.counts for entry in own) for own in found.values())
    return _told(reader, Answer.YES if yes else Answer.NO, certain=yes)


def _document(entries: list[Entry]) -> Json:
    served = [{"step": one.step, "rank": one.rank, **_origin(one), "superseded": not one.counts} for one in entries]
    return {"times": sum(one.counts for one in entries), "served": served}


def _after_retraction(reader: ServedReader, arguments: argparse.Namespace) -> Answer:
    from tsds_stream.loader.served_withdrawn import retractions_of, served_after

    retractions = retractions_of(arguments.after_retraction)
    cases = served_after(_entries(reader, arguments), retractions)
    counting = [case for case in cases if case.times]
    if arguments.json:
        _print_json({
            "retracted": len(retractions.documents),
            "served_after": [_case(case) for case in cases],
            "notes": retractions.notes,
            "problems": reader.problems,
        })  # fmt: skip
    else:
        from tsds_stream.commands.served_pages import show_cases

        show_cases(cases, retractions)
    if counting:
        return _told(reader, Answer.NO, certain=True)
    return _told(reader, Answer.UNKNOWN if retractions.notes else Answer.YES)


def _case(case: Case) -> Json:
    return {
        "id": case.id,
        "withdrawn": case.withdrawn,
        "times": case.times,
        "superseded": case.superseded,
        "first_time": case.first_time,
        "last_time": case.last_time,
        "last_step": case.last_step,
        "revisions": sorted(case.revisions),
    }


def _summary(reader: ServedReader, arguments: argparse.Namespace) -> Answer:
    from tsds_stream.loader.served_summary import Summary

    summary = Summary()
    for entry in _entries(reader, arguments):
        summary.add(entry)
    if arguments.json:
        _print_json(_facts(reader, summary))
    else:
        from tsds_stream.commands.served_pages import show_summary

        show_summary(reader, summary)
    return _told(reader, Answer.YES)


def _facts(reader: ServedReader, summary: Summary) -> Json:
    from dataclasses import asdict

    phases = summary.in_order()
    return {
        "ranks": reader.ranks,
        "documents": summary.documents,
        "distinct": summary.distinct.count,
        "distinct_is_exact": summary.distinct.exact,
        "superseded": summary.superseded,
        "first_step": min((one.first_step for one in phases), default=None),
        "last_step": max((one.last_step for one in phases), default=None),
        "first_time": min((one.first_time for one in phases), default=None),
        "last_time": max((one.last_time for one in phases), default=None),
        "sources": summary.sources,
        "phases": [asdict(phase) for phase in phases],
        "problems": reader.problems,
    }


def _told(reader: ServedReader, answer: Answer, *, certain: bool = False) -> Answer:
    """Say on stderr what is damaged or missing; only what is certain nevertheless is an answer then."""
    from tsds_stream.terminal import Page

    sys.stdout.flush()
    for problem in reader.problems:
        Page(sys.stderr).warning(problem)
    return answer if certain or not reader.problems else Answer.UNKNOWN


def _origin(entry: Entry) -> Json:
    return {"time": entry.time, "source": entry.source, "revision": entry.revision, "epoch": entry.epoch}


def _print_json(value: object) -> None:
    import json

    import orjson

    try:
        sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
    except TypeError:  # an id without a UTF-8 form
        sys.stdout.write(json.dumps(value, indent=2) + "\n")
