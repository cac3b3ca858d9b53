"""`tsds-stream inspect`: look into a selection directory."""

from __future__ import annotations

import argparse
import heapq
from pathlib import Path
from typing import TYPE_CHECKING

from tsds_stream.exit_status import CommandError, ExitStatus

if TYPE_CHECKING:
    from tsds_stream.records import Json
    from tsds_stream.streams.revisions import Difference, StoredRevision
    from tsds_stream.terminal import Page

USAGE = "DIR [--set NAME] [--revision N | --diff A B | --verify] [--limit N] [--json]"
DESCRIPTION = "Look into a selection directory: its revisions, the documents of one, the difference between two."
EXAMPLES = """\
examples:
  tsds-stream inspect selection/
  tsds-stream inspect selection/ --revision 12 --limit 20
  tsds-stream inspect selection/ --diff 11 12
  tsds-stream inspect selection/ --verify
  tsds-stream inspect selection/ --revision 12 --json | jq '.documents[].id'
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare what the command takes."""
    parser.add_argument("directory", metavar="DIR", type=Path, help="the selection directory")
    parser.add_argument("--set", metavar="NAME", help="target set; needed only where there are several")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--revision", metavar="N", type=int, help="show this revision and its documents")
    what.add_argument("--diff", metavar=("A", "B"), nargs=2, type=int, help="what came, went and changed from A to B")
    what.add_argument("--verify", action="store_true", help="read every kept revision and compare all checksums")
    parser.add_argument("--limit", metavar="N", type=int, default=10, help="show at most so many lines (default: 10)")
    parser.add_argument("--json", action="store_true", help="everything, for scripts")


def run(arguments: argparse.Namespace) -> ExitStatus:
    """Do what was asked for."""
    from tsds_stream.streams.revisions import difference, open_revision, target_sets
    from tsds_stream.terminal import Page

    directory, page = arguments.directory, Page()
    if not directory.is_dir():
        raise CommandError(f"{directory} is not a directory", ExitStatus.STATE)
    names = target_sets(directory)
    if not names:
        raise CommandError(f"{directory} has no published revision (is it the selection directory?)", ExitStatus.STATE)
    if arguments.set is not None and arguments.set not in names:
        raise CommandError(
            f"--set: {directory} has no target set {arguments.set!r}, but {', '.join(names)}", ExitStatus.USAGE
        )
    chosen = [arguments.set] if arguments.set is not None else names
    if arguments.verify:
        return _verify(directory, chosen, page)
    if arguments.revision is None and arguments.diff is None:
        _overview(directory, chosen, arguments.limit, arguments.json, page)
        return ExitStatus.OK
    if len(chosen) > 1:
        raise CommandError(f"{directory} has {len(names)} target sets; choose with --set: {', '.join(names)}",
                           ExitStatus.USAGE)  # fmt: skip
    if arguments.revision is not None:
        _revision(open_revision(directory, chosen[0], arguments.revision), arguments.limit, arguments.json, page)
        return ExitStatus.OK
    before, after = (open_revision(directory, chosen[0], number) for number in arguments.diff)
    _difference(before, after, difference(before, after), arguments.limit, arguments.json, page)
    return ExitStatus.OK


def _overview(directory: Path, names: list[str], limit: int, as_json: bool, page: Page) -> None:
    from tsds_stream.streams.manifest import is_derived
    from tsds_stream.streams.revisions import list_revisions, open_revision

    overview = {}
    for name in names:
        records, damages = list_revisions(directory, name)
        overview[name] = {"revisions": records, "damaged": [str(damage) for damage in damages]}
        if as_json:
            continue
        page.heading(f"{name}: revision {records[-1]['revision'] if records else '?'} is the newest")
        page.table(
            ["revision", "made", "documents", "added", "removed", "exact", "cost", "seen"],
            [_record_row(record) for record in records[-limit:]],
            right=(0, 2, 3, 4, 6, 7),
        )
        if any(map(is_derived, records)):
            page.line("A copy made from topics: values as they were published, and some revisions may be left out.")
        for damage in damages:
            page.warning(str(damage))
        if records:
            _documents(open_revision(directory, name), min(limit, 5), page)
    if as_json:
        _print_json(overview)


def _record_row(record: Json) -> list[str]:
    reasons = ", ".join(record.get("reasons") or ())
    return [
        str(record["revision"]),
        _moment(record.get("created")),
        f"{record['size']:,}",
        f"+{record['added']:,}",
        f"-{record['removed']:,}",
        "yes" if record["exact"] else f"no: {reasons}",
        _number(record.get("transport_cost"), 4),
        f"{record['documents_seen']:,}",
    ]


def _revision(revision: StoredRevision, limit: int, as_json: bool, page: Page) -> None:
    if as_json:
        _print_json({"revision": revision.record, "documents": list(revision)})
        return
    page.heading(f"Revision {revision.number} of {revision.record['set']}")
    shown = {key: value for key, value in revision.record.items() if key not in ("set", "revision", "positions")}
    page.table(["field", "value"], [[key, _field(key, value)] for key, value in shown.items()])
    _documents(revision, limit, page)


def _documents(revision: StoredRevision, limit: int, page: Page) -> None:
    from tsds_stream.terminal import snippet

    probabilities = revision.probabilities
    best = heapq.nsmallest(limit, range(len(revision)), key=lambda i: (-probabilities[i], i))
    page.heading(f"Best {len(best)} of {len(revision):,} documents")
    rows = []
    for i in best:
        record = revision[i]
        target, distance = record["nearest"][0] if record.get("nearest") else ("", None)
        rows.append([record["id"], f"{record['probability']:.3e}", f"{record['weight']:.3f}", target,
                     _number(distance, 3), snippet(record.get("text"))])  # fmt: skip
    page.table(["id", "p", "weight", "nearest target", "distance", "text"], rows, right=(1, 2, 4))


def _difference(
    before: StoredRevision, after: StoredRevision, change: Difference, limit: int, as_json: bool, page: Page
) -> None:
    from tsds_stream.terminal import count

    if as_json:
        changed = [
            {"id": name, "before": [old.probability, old.weight], "after": [new.probability, new.weight]}
            for name, old, new in change.changed
        ]
        _print_json({"from": before.number, "to": after.number, "added": change.added, "removed": change.removed,
                     "changed": changed})  # fmt: skip
        return
    page.heading(f"From revision {before.number} to {after.number}")
    kept = len(after) - len(change.added)
    page.line(
        f"{count(len(change.added), 'document')} came, {len(change.removed):,} went, {kept:,} stayed "
        f"({len(change.changed):,} of them with another probability or weight)."
    )
    for title, revision, names in (("Came", after, change.added), ("Went", before, change.removed)):
        if names:
            page.heading(title)
            page.table(["id", "p", "text"], [_member_row(revision, name) for name in names[:limit]], right=(1,))
            if len(names) > limit:
                page.line(f"  … and {len(names) - limit:,} more (--limit)")
    if change.changed:
        largest = sorted(change.changed, key=lambda item: -abs(item[2].probability - item[1].probability))[:limit]
        page.heading("Changed most")
        rows = [[name, f"{old.probability:.3e}", f"{new.probability:.3e}"] for name, old, new in largest]
        page.table(["id", "p before", "p after"], rows, right=(1, 2))


def _member_row(revision: StoredRevision, name: str) -> list[str]:
    from tsds_stream.terminal import snippet

    position = revision.find(name)
    record = revision[position] if position is not None else {}
    return [name, f"{record.get('probability', 0):.3e}", snippet(record.get("text"))]


def _verify(directory: Path, names: list[str], page: Page) -> ExitStatus:
    from tsds_stream.sealed import DamagedFileError
    from tsds_stream.streams.revisions import list_revisions, open_revision
    from tsds_stream.terminal import count

    damaged = 0
    for name in names:
        records, damages = list_revisions(directory, name)
        for record in records:
            try:
                open_revision(directory, name, record["revision"]).verify()
            except DamagedFileError as error:
                damages.append(error)
        for damage in damages:
            page.warning(str(damage))
        page.line(f"{name}: {count(len(records), 'revision')} read, {count(len(damages), 'damage')} found.")
        damaged += len(damages)
    return ExitStatus.STATE if damaged else ExitStatus.OK


def _field(key: str, value: object) -> str:
    if key == "created":
        return _moment(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _moment(milliseconds: object) -> str:
    from datetime import datetime, timezone

    if not isinstance(milliseconds, (int, float)):
        return str(milliseconds or "")
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")


def _number(value: object, digits: int) -> str:
    return f"{value:.{digits}f}" if isinstance(value, (int, float)) else ""


def _print_json(value: object) -> None:
    import sys

    import orjson

    sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SERIALIZE_NUMPY).decode() + "\n")
