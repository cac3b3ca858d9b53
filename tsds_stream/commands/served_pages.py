"""What `tsds-stream served` prints for people."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Final

from tsds_stream.loader.served_reader import Entry, ServedReader
from tsds_stream.loader.served_summary import Summary
from tsds_stream.loader.served_withdrawn import Case, Retractions
from tsds_stream.terminal import Page, count

SHOWN: Final = 50  # rows of a table


def show_document(name: str, entries: list[Entry]) -> None:
    """Whether and when a document was served, by ascending time."""
    page = Page()
    counting = [entry for entry in entries if entry.counts]
    if counting:
        page.heading(f"{name}: trained on {count(len(counting), 'time')}")
        page.line(f"  first      {_moment(counting[0].time)}, last {_moment(counting[-1].time)}")
    else:
        page.heading(f"{name}: not trained on")
    if len(entries) > len(counting):
        page.line(f"  besides    {_superseded(len(entries) - len(counting), 'time')}")
    if not entries:
        return
    rows = [
        [_moment(one.time), f"{one.step:,}", str(one.rank), one.source, _revision(one), str(one.epoch),
         "" if one.counts else "superseded"]
        for one in entries[:SHOWN]
    ]  # fmt: skip
    page.table(["when", "step", "rank", "source", "revision", "epoch", ""], rows, right=(1, 2, 4, 5))
    _tell_more(page, len(entries))


def show_cases(cases: list[Case], retractions: Retractions) -> None:
    """What was served after its retraction."""
    page = Page()
    counting = [case for case in cases if case.times]
    known = count(len(retractions.documents), "retracted document")
    if counting:
        times, last = sum(case.times for case in counting), max(case.last_step or 0 for case in counting)
        page.heading(f"{len(counting):,} of {known} trained on afterwards")
        page.line(f"  {count(times, 'time')} in all, up to step {last:,}")
    else:
        page.heading(f"None of {known} was trained on afterwards.")
    only = len(cases) - len(counting)
    if only:
        page.line(f"  besides, {_superseded(only, 'document')}")
    if cases:
        rows = [
            [case.id, _moment(case.withdrawn) or "not known", f"{case.times:,}", _moment(case.first_time),
             _moment(case.last_time), _number(case.last_step), ", ".join(map(str, sorted(case.revisions)))]
            for case in sorted(cases, key=lambda case: (-case.times, case.id))[:SHOWN]
        ]  # fmt: skip
        headings = ["id", "withdrawn", "times since", "first", "last", "last step", "revisions"]
        page.table(headings, rows, right=(2, 5))
        _tell_more(page, len(cases))
    for note in retractions.notes:
        page.warning(note)


def show_summary(reader: ServedReader, summary: Summary) -> None:
    """How much was served, and under which revisions."""
    page, phases = Page(), summary.in_order()
    if not phases:
        page.heading(f"Nothing was served yet to {count(len(reader.ranks), 'rank')}.")
    else:
        last = max(one.last_step for one in phases)
        page.heading(f"{count(summary.documents, 'document')} served up to step {last:,}")
        about = "" if summary.distinct.exact else "about "
        page.line(f"  different  {about}{summary.distinct.count:,}")
        page.line(f"  ranks      {len(reader.ranks):,}")
        times = min(one.first_time for one in phases), max(one.last_time for one in phases)
        page.line(f"  time       {_moment(times[0])} to {_moment(times[1])}")
        if len(summary.sources) > 1:
            for source, documents in summary.sources.items():
                page.line(f"  {source:<10} {documents:,}, {documents / summary.documents:.1%}")
    if summary.superseded:
        page.line(f"  besides    {_superseded(summary.superseded, 'document')}")
    if phases:
        page.line("")
        rows = [
            [one.source, str(one.revision) if one.revision else "", str(one.epoch), f"{one.documents:,}",
             f"{one.first_step:,} – {one.last_step:,}", _moment(one.first_time), _moment(one.last_time)]
            for one in phases[-SHOWN:]
        ]  # fmt: skip
        page.table(["source", "revision", "epoch", "documents", "steps", "first", "last"], rows, right=(1, 2, 3))
        if len(phases) > SHOWN:
            page.line(f"  these are the last {SHOWN} of {len(phases):,} (--json has all)")


def _superseded(number: int, what: str) -> str:
    return f"{count(number, what)} superseded: in lives of the run that ended, after the checkpoint that counts"


def _tell_more(page: Page, number: int) -> None:
    if number > SHOWN:
        page.line(f"  … and {number - SHOWN:,} more (--json has all)")


def _revision(entry: Entry) -> str:
    return str(entry.revision) if entry.revision else ""


def _number(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _moment(milliseconds: int | None) -> str:
    if milliseconds is None:
        return ""
    return datetime.fromtimestamp(milliseconds / 1000, timezone.utc).strftime("%Y-%m-%d %H:%M:%SZ")
