"""The auditor on series of revisions: positions never go back, except where something was told to have happened."""

from __future__ import annotations

from pathlib import Path

from tests.verification_cases import Steps, offsets, series
from tsds_stream.codecs import Decoder
from tsds_stream.records import Json
from tsds_stream.streams.settings import FileSourceSettings
from tsds_stream.verification.from_files import FileLog
from tsds_stream.verification.numbering import check_series
from tsds_stream.verification.report import Report


def checked(*positions: Json) -> Report:
    """The report on a series of revisions of these positions of a topic."""
    report = Report()
    check_series("default", series(*positions), Steps(), report, whole=True)
    return report


def test_a_partition_that_goes_back_is_found_though_another_one_advances_further():
    [fault] = checked(offsets(100, 0), offsets(5, 200), offsets(6, 200)).faults
    assert (fault.kind, fault.revision) == ("positions", 2)
    assert "partition 0 from 100 to 5; perhaps an operator has moved the offsets of the consumer" in fault.sentence
    assert checked(offsets(100, 7), offsets(100, 7), offsets(100, 8)).faults == []


def test_a_partition_that_is_not_named_any_more_goes_back_to_where_it_began():
    [fault] = checked(offsets(100, 3), offsets(200)).faults
    assert "partition 1 from 3 to 0" in fault.sentence
    assert checked(offsets(100, 0), offsets(200), offsets(200, 5)).faults == [], "nothing had been read of it"


def test_many_partitions_that_go_back_make_one_short_sentence():
    [fault] = checked(offsets(*[9] * 50), offsets(*[8] * 50)).faults
    assert "partition 2 from 9 to 8; and 47 more; perhaps" in fault.sentence


def test_positions_are_not_compared_across_a_topic_that_was_made_again_and_the_report_says_so():
    again = offsets(5, topic_id="two")
    report = checked(offsets(100), again, offsets(6, topic_id="two"))
    assert report.faults == []
    [note] = report.notes
    assert "revision 2 of 'default' were not held against earlier ones" in note
    assert "topic 'documents' was deleted and made again in between" in note
    assert [fault.revision for fault in checked(offsets(100), again, offsets(4, topic_id="two")).faults] == [3]


def test_positions_are_not_compared_across_a_new_gap_but_behind_it():
    gap = {"partition": 0, "from": 100, "to": 50, "reason": "truncated"}
    report = checked(offsets(100), offsets(50, gaps=[gap]), offsets(51, gaps=[gap]))
    assert report.faults == []
    [note] = report.notes
    assert "accepted in between (partition 0 at 100, going on at 50)" in note
    assert [fault.revision for fault in checked(offsets(50, gaps=[gap]), offsets(40, gaps=[gap])).faults] == [2]
    assert [fault.revision for fault in checked(offsets(50, gaps=[gap]), offsets(40)).faults] == [2], "no new gap"


def test_of_many_such_changes_the_last_are_told_and_the_others_counted():
    report = checked(*[offsets(9 - number, topic_id=str(number)) for number in range(9)])
    assert report.faults == []
    assert "revision 9" in report.notes[-2]
    assert report.notes[-1] == "nor were those of 3 earlier revisions of 'default'"


def test_a_file_that_goes_back_is_found_though_another_one_advances_further(tmp_path: Path):
    log = FileLog(FileSourceSettings(path=str(tmp_path)), tmp_path / "state", Decoder())

    def read(finished: int = 0, **files: int) -> Json:
        return {"files": {name: ["", end] for name, end in files.items()}, "finished": [finished, ""]}

    for before, after, right in (
        (read(a=100), read(a=5, b=200), False),
        (read(a=100), read(a=100, b=200), True),
        (read(a=100, b=3), read(1, b=3), True),
        (read(1, b=3), read(a=100, b=3), False),
    ):
        report = Report()
        check_series("default", series(before, after), log, report, whole=True)
        assert (report.faults == []) is right
    log.close()
