"""The audit: read the stream once, stop at each revision that is to be compared, compute it from scratch, compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol

from tsds_stream.engine.intake import REASONS
from tsds_stream.engine.preparation import Prepared
from tsds_stream.records import DeadLetter, Json
from tsds_stream.streams.base import Batch, Positions
from tsds_stream.verification.current import check_current, differing
from tsds_stream.verification.documents import LiveDocuments
from tsds_stream.verification.evidence import DocumentLog, Published
from tsds_stream.verification.letters import LetterCheck
from tsds_stream.verification.numbering import check_series
from tsds_stream.verification.recomputation import Recomputed, SetOracle
from tsds_stream.verification.report import Report, SetReport

Wanted = Literal["all"] | int  # all revisions, or the newest so many of every set
Oracles = Callable[[str, Json], SetOracle | str]


class Prepares(Protocol):
    """Makes vectors of decoded records, as the engine does."""

    def prepare(self, batch: Batch) -> Prepared: ...


@dataclass(slots=True)
class Case:
    """What an audit is about.

    Attributes:
        oracle: of a set and one of its records, or why there is none.
        weight_change: share by which what was sent may lie off what is exact.
        max_future: milliseconds that a timestamp may lie ahead of the clock; now: that clock.
        reproducible: whether all vectors so far are to the bit those that the run had.
        progress: called with the number of records read so far.
    """

    log: DocumentLog
    published: Published
    oracle: Oracles
    preparer: Prepares
    dimension: int
    weight_change: float
    max_future: int
    now: int
    reproducible: Callable[[], bool] = field(default=lambda: True)
    progress: Callable[[int, str], None] = field(default=lambda done, note: None)


def audit(case: Case, wanted: Wanted) -> Report:
    """All that can be found out. Raises `SourceError` when the stream cannot be read."""
    return _Audit(case).run(wanted)


class _Audit:
    def __init__(self, case: Case) -> None:
        self._case = case
        self._report = Report()
        self._documents = LiveDocuments(case.dimension)
        published = case.published
        self._letters = LetterCheck(published.letters, case.max_future, case.now, whole=published.letters_whole)
        self._reached: Positions | None = None  # all up to there was read
        self._last: dict[str, Recomputed] = {}
        self._frozen: dict[tuple[str, int], bool] = {}  # sigma was frozen before this revision
        self._counts: dict[str, list[int]] = {}  # of active targets, by set, in the order in which they were

    def run(self, wanted: Wanted) -> Report:
        case, report = self._case, self._report
        report.notes += case.published.notes
        for kind, sentence, about in case.published.faults:
            report.fault(kind, sentence, about)
        chosen: list[Json] = []
        for name, records in sorted(case.published.revisions.items()):
            one = report.sets[name] = SetReport(len(records))
            check_series(name, records, case.log, report, whole=case.published.whole)
            self._look_through(name, records)
            if records:
                one.first, one.last = int(records[0]["revision"]), int(records[-1]["revision"])
            chosen += records if wanted == "all" else records[-wanted:] if wanted else []
        chosen.sort(key=lambda record: (case.log.progress(record["positions"]), record["set"], record["revision"]))
        for record in chosen:
            self._compare(record)
        self._finish()
        return report

    def _look_through(self, name: str, records: list[Json]) -> None:
        """Note, for every revision, whether sigma had been frozen, and how many targets the set ever had."""
        frozen, parameters = False, None
        counts = self._counts.setdefault(name, [])
        for record in records:
            if record.get("parameters") != parameters:
                frozen, parameters = False, record.get("parameters")
            self._frozen[name, int(record["revision"])] = frozen
            frozen |= "provisional" not in record["reasons"]
            if record["targets_active"] not in counts:
                counts.append(record["targets_active"])

    def _compare(self, record: Json) -> None:
        case, report = self._case, self._report
        name, number = str(record["set"]), int(record["revision"])
        one = report.sets[name]
        lost = case.log.unreadable(record["positions"])
        if lost is not None:
            one.skipped[number] = lost
            if lost not in report.cannot:
                report.cannot.append(lost)
            return
        if self._reached is not None and case.log.gone_back(self._reached, record["positions"]) is not None:
            one.skipped[number] = "its positions lie before those of an earlier revision"
            return
        self._read_to(record["positions"])
        if record["documents_seen"] != self._documents.seen and not case.log.thinned:
            seen = self._documents.seen
            sentence = (
                f"revision {number} of {name!r} counts {record['documents_seen']:,} documents, and {seen:,} were there"
            )
            report.fault("seen", sentence, name, number, found=record["documents_seen"], expected=seen)
        oracle = case.oracle(name, record)
        why = oracle if isinstance(oracle, str) else oracle.unfit(record, sigma_was_frozen=self._frozen[name, number])
        if why is None and not isinstance(oracle, str) and oracle.config.ttl is not None and self._documents.untimed:
            why = "documents without a timestamp live by the clock of the reader"
        if why is None and not case.reproducible():
            why = "the embedder gives a text another vector in another batch"
        if why is not None or isinstance(oracle, str):
            one.skipped[number] = str(why)
            return
        recomputed = oracle.compute(record, self._documents, [oracle.length(count) for count in self._counts[name]])
        if recomputed.digest == record["digest"]:
            one.compared.append(number)
        elif case.log.thinned:
            one.skipped[number] = case.log.thinned
            if case.log.thinned not in report.cannot:
                report.cannot.append(case.log.thinned)
        elif self._documents.strays:
            strays = ", ".join(map(repr, self._documents.strays))
            one.skipped[number] = "records of one id stand in several partitions"
            report.cannot.append(
                f"Nobody can say which record of {strays} was the last: they stand in several partitions."
            )
        else:
            one.compared.append(number)
            self._tell_difference(record, recomputed)
        if number == one.last:
            self._last[name] = recomputed

    def _tell_difference(self, record: Json, recomputed: Recomputed) -> None:
        name, number = str(record["set"]), int(record["revision"])
        found, expected = record["digest"], recomputed.digest
        sentence = f"revision {number} of {name!r} has the digest {found}, and the documents give {expected}"
        details: Json = {"found": found, "expected": expected}
        if record["size"] != len(recomputed.ids):
            sentence += f"; it has {record['size']} members instead of {len(recomputed.ids)}"
        again = recomputed.revision
        if again is not None and not again.exact:
            sentence += f"; computed again it is not exact ({', '.join(again.reasons)})"
        current = self._case.published.current.get(name)
        if current is not None and current.revision == number:
            more, less = differing(sorted(current.members), list(recomputed.ids))
            details |= {"too_many": more, "missing": less}
            sentence += (
                f"; too many: {', '.join(map(repr, more)) or 'none'}; missing: {', '.join(map(repr, less)) or 'none'}"
            )
        self._report.fault("digest", sentence, name, number, **details)

    def _read_to(self, positions: Positions) -> None:
        case, report = self._case, self._report
        for batch in case.log.batches(positions):
            report.records += len(batch.documents) + len(batch.dead_letters)
            early = [document for document in batch.documents if self._letters.too_early(document)]
            if early:
                refused = {id(document) for document in early}
                batch.documents = [document for document in batch.documents if id(document) not in refused]
            prepared = case.preparer.prepare(batch)
            for letter in prepared.dead_letters:
                self._letters.expect(letter)
            for document, reason in self._documents.apply(prepared.documents, prepared.embeddings):
                code, detail = REASONS.get(reason, (reason, ""))
                self._letters.expect(DeadLetter(code, detail, document.source, None, None, case.now))
            case.progress(report.records, f"{len(self._documents):,} live")
        self._reached = positions

    def _finish(self) -> None:
        """The selection as it is now, and the dead letters of all that was dealt with."""
        case, report = self._case, self._report
        for name, current in sorted(case.published.current.items()):
            records = case.published.revisions.get(name)
            if records:
                recomputed = self._last.get(name)
                check_current(name, current, records[-1], recomputed, case.weight_change, report)
                report.sets[name].selection = "compared" if recomputed is not None else "only its checksum was compared"
        positions = case.published.positions
        if positions is not None:
            lost = case.log.unreadable(positions)
            if lost is None:
                if self._reached is None or case.log.gone_back(positions, self._reached) is not None:
                    self._read_to(positions)
                self._letters.conclude(report, case.log.covers, thinned=bool(case.log.thinned))
            elif lost not in report.cannot:
                report.cannot.append(lost)
        report.live = len(self._documents)
