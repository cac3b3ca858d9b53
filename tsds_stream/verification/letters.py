"""Dead letters against the records that cannot be used: each of them must be there, once, and no other."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from tsds_stream.records import DeadLetter, Document
from tsds_stream.verification.evidence import Place, place_of
from tsds_stream.verification.report import Report

_CLOCKS = 60_000  # milliseconds by which the moment of reading and the `created` of a letter may differ


class LetterCheck:
    """Collects what the documents give, and is then held against the letters.

    A letter about a timestamp depends on the clock at the time of reading, so that such letters are believed where the
    timestamp was in the future.

    Args:
        letters: that are there; whole: none was deleted.
        max_future: milliseconds.
        now: milliseconds since 1970.
    """

    def __init__(self, letters: Sequence[DeadLetter], max_future: int, now: int, *, whole: bool) -> None:
        self._whole = whole
        self._max_future = max_future
        self._now = now
        self._found: dict[Place, list[DeadLetter]] = {}
        self._expected: dict[Place, str] = {}
        self._elsewhere = 0
        for letter in letters:
            place = place_of(letter.source)
            if place is None:
                self._elsewhere += 1
            else:
                self._found.setdefault(place, []).append(letter)

    def expect(self, letter: DeadLetter) -> None:
        """A record cannot be used."""
        place = place_of(letter.source)
        if place is not None:
            self._expected[place] = letter.reason

    def too_early(self, document: Document) -> bool:
        """Whether a document was refused for its timestamp, or must have been."""
        place = place_of(document.source)
        if document.timestamp is None or place is None:
            return False
        told = self._found.get(place, ())
        refused = any(
            letter.reason == "timestamp" and document.timestamp + _CLOCKS > letter.created + self._max_future
            for letter in told
        )
        if refused or document.timestamp > self._now + self._max_future:
            self._expected[place] = "timestamp"
            return True
        return False

    def conclude(self, report: Report, covered: Callable[[Place], bool], *, thinned: bool = False) -> None:
        """Add the faults to a report.

        Args:
            covered: whether a place lies in the part of the stream that was read.
            thinned: the records of letters may be gone.
        """
        found = {place: letters for place, letters in self._found.items() if covered(place)}
        report.letters, report.found = len(self._expected), sum(map(len, found.values()))
        for place in sorted(self._expected.keys() - found.keys()):
            if self._whole:
                reason = self._expected[place]
                report.fault("lost_letter", f"no dead letter tells of {place} ({reason})", place=list(place))
        for place, letters in sorted(found.items()):
            if len(letters) > 1:
                report.fault("double_letter", f"{len(letters)} dead letters tell of {place}", place=list(place))
            right, told = self._expected.get(place), letters[0].reason
            if right is None and thinned:
                continue
            if right is None:
                sentence = f"a dead letter ({told}) tells of {place}, and that record can be used"
                report.fault("extra_letter", sentence, place=list(place))
            elif right != told:
                sentence = f"the dead letter of {place} has the reason {told}, and {right} is right"
                report.fault("wrong_letter", sentence, place=list(place))
        beyond = len(self._found) - len(found)
        if beyond:
            report.notes.append(f"{beyond:,} dead letters of records outside of what was read were not looked at")
        if self._elsewhere:
            report.notes.append(f"{self._elsewhere:,} dead letters do not say where they came from")
        if not self._whole:
            report.notes.append("old dead letters were deleted, so that missing ones were not looked for")
