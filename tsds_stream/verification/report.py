"""What an audit has found: what was compared, what was not and why, and what is wrong."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from tsds_stream.exit_status import ExitStatus
from tsds_stream.records import Json

MOST = 20  # faults of one kind that are told one by one


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that is not as it must be.

    Attributes:
        kind: a short code: "numbers", "digest", "lost_letter", …
        sentence: what is wrong, where.
        set, revision: what it is about, where that is known.
        details: values for scripts: digests, ids, ….
    """

    kind: str
    sentence: str
    set: str | None = None
    revision: int | None = None
    details: Json = field(default_factory=dict)


@dataclass(slots=True)
class SetReport:
    """What was found about one target set.

    Attributes:
        revisions: how many records there are; first, last: their numbers.
        compared: revisions that were computed again from the documents.
        skipped: revision -> why it was not compared.
        selection: what became of the comparison of the selection as it is now; empty: nothing is published.
    """

    revisions: int = 0
    first: int | None = None
    last: int | None = None
    compared: list[int] = field(default_factory=list)
    skipped: dict[int, str] = field(default_factory=dict)
    selection: str = ""


@dataclass(slots=True)
class Report:
    """What an audit has found.

    Attributes:
        records: of the stream that were read; live: documents at its end.
        letters: dead letters that must be there; found: those that are.
        cannot: sentences on what cannot be checked at all, for want of what would be needed.
        notes: what a reader of the report should know besides.
    """

    sets: dict[str, SetReport] = field(default_factory=dict)
    faults: list[Fault] = field(default_factory=list)
    cannot: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    records: int = 0
    live: int = 0
    letters: int = 0
    found: int = 0

    def fault(
        self, kind: str, sentence: str, name: str | None = None, revision: int | None = None, **more: object
    ) -> None:
        """Add a fault; of one kind, only the first ones are kept, and a last one that counts the others."""
        before = [one for one in self.faults if one.kind == kind]
        if len(before) < MOST:
            self.faults.append(Fault(kind, sentence, name, revision, more))
        elif len(before) == MOST:
            self.faults.append(Fault(kind, "and 1 more of this kind", None, None, {"more": 1}))
        else:
            others = before[-1].details["more"] + 1
            self.faults[self.faults.index(before[-1])] = Fault(
                kind, f"and {others:,} more of this kind", None, None, {"more": others}
            )

    @property
    def status(self) -> ExitStatus:
        """4: something is wrong; 3: nothing is, but not all could be checked, or nothing compared; 0: all is well."""
        if self.faults:
            return ExitStatus.STATE
        return ExitStatus.INPUT if self.cannot or self.nothing_compared else ExitStatus.OK

    @property
    def nothing_compared(self) -> bool:
        """Whether there are revisions, and not one of them was computed again: nothing is proved then."""
        published = any(one.revisions for one in self.sets.values())
        return published and not any(one.compared for one in self.sets.values())

    def as_json(self) -> Json:
        """For scripts."""
        sets = {
            name: {**asdict(one), "skipped": {str(number): why for number, why in one.skipped.items()}}
            for name, one in self.sets.items()
        }
        return {
            "ok": self.status == ExitStatus.OK,
            "status": int(self.status),
            "sets": sets,
            "records": self.records,
            "live_documents": self.live,
            "dead_letters": {"expected": self.letters, "found": self.found},
            "faults": [asdict(fault) for fault in self.faults],
            "cannot_be_checked": self.cannot,
            "nothing_compared": self.nothing_compared,
            "notes": self.notes,
        }
