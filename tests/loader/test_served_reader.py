"""What counts after kills and with other numbers of ranks; damage is named, and everything else is read."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loader.served_logs import Clock, entries, life, name, segments, sequence
from tsds_stream.loader.served_log import ServedLogError
from tsds_stream.loader.served_reader import ServedReader
from tsds_stream.loader.served_summary import Distinct, Summary
from tsds_stream.loader.served_writer import ServedWriter


def test_a_life_that_goes_on_from_an_earlier_step_supersedes_what_was_served_from_there(tmp_path: Path) -> None:
    life(tmp_path, 0, 10, mark=" a")
    life(tmp_path, 6, 8, mark=" b")
    life(tmp_path, 7, 12, mark=" c")
    marks = {step: ids[0][-1] for step, _, ids in sequence(tmp_path)}
    assert marks == {**dict.fromkeys(range(6), "a"), 6: "b", **dict.fromkeys(range(7, 12), "c")}
    found, _ = entries(tmp_path)
    assert [one.step for one in found if not one.counts] == [6, 7, 8, 9, 7]


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 6)), min_size=1, max_size=6))
@settings(max_examples=25)
def test_what_counts_is_what_a_model_that_goes_back_and_forth_has_seen(
    tmp_path_factory: pytest.TempPathFactory, lives: list[tuple[int, int]]
) -> None:
    directory = tmp_path_factory.mktemp("log")
    seen: list[list[str]] = []
    for number, (begin, count) in enumerate([(0, lives[0][1]), *lives[1:]]):
        start = min(begin, len(seen))  # nobody goes on from a step that was not reached
        life(directory, start, start + count, mark=f" {number}")
        del seen[start:]
        seen += [[f"{name(step, place)} {number}" for place in (0, 1)] for step in range(start, start + count)]
    assert [ids for _, _, ids in sequence(directory)] == seen


def test_ranks_that_are_gone_learn_of_later_lives_from_the_others(tmp_path: Path) -> None:
    """4 ranks, then 2 from step 5 on, then 3 from step 8 on."""
    now = Clock()
    for begin, end, ranks in ((0, 9, 4), (5, 10, 2), (8, 12, 3)):
        for rank in range(ranks):
            life(tmp_path, begin, end, rank, ranks, f" of {ranks}", now=now)
    by_step: dict[int, list[tuple[int, str]]] = {}
    for step, rank, ids in sequence(tmp_path):
        by_step.setdefault(step, []).append((rank, ids[0].rpartition(" ")[2]))
    assert by_step == {
        step: [(rank, str(ranks)) for rank in range(ranks)] for step, ranks in enumerate([4] * 5 + [2] * 3 + [3] * 4)
    }


def test_a_log_of_which_a_rank_is_missing_says_so(tmp_path: Path) -> None:
    for rank in (0, 2):
        life(tmp_path, 0, 3, rank, 4)
    assert ServedReader(tmp_path).problems == [
        "2 of 4 ranks have no log here (rank-00001, rank-00003). Bring the folders of all computers together in one "
        "directory."
    ]


def test_missing_steps_are_told(tmp_path: Path) -> None:
    life(tmp_path, 3, 5)
    life(tmp_path, 8, 9)
    _, problems = entries(tmp_path)
    assert problems == [
        "Rank 0: steps 0 to 2 are not in this log; what was served then is not known.",
        "Rank 0: steps 5 to 7 are not in this log; what was served then is not known.",
    ]


def test_a_step_in_which_no_document_begins_is_not_missing(tmp_path: Path) -> None:
    writer = ServedWriter(tmp_path)
    writer.begin(0)
    for step, ids in enumerate((["a"], [], ["b"], [])):
        writer.write(step, 1, "base", 0, 0, ids)
    writer.close()
    writer.begin(4)
    writer.write(6, 1, "base", 0, 0, ["c"])
    found, problems = entries(tmp_path)
    assert [(one.step, one.ids) for one in found] == [(0, ["a"]), (2, ["b"]), (6, ["c"])]
    assert problems == ["Rank 0: steps 4 to 5 are not in this log; what was served then is not known."]


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    life(tmp_path, 0, 40, segment=500)
    segments(tmp_path)[2].unlink()
    found, problems = entries(tmp_path)
    assert len(found) > 20
    assert "segment 00000003 is missing" in problems[0]
    assert "are not in this log" in problems[1]


def test_a_directory_that_is_no_log_is_told(tmp_path: Path) -> None:
    with pytest.raises(ServedLogError, match="holds no served log: no folder rank-00000"):
        ServedReader(tmp_path)
    with pytest.raises(ServedLogError, match="is not a directory"):
        ServedReader(tmp_path / "nowhere")


def test_an_empty_log_holds_nothing(tmp_path: Path) -> None:
    life(tmp_path, 0, 0)
    assert entries(tmp_path) == ([], [])
    (tmp_path / "other" / "rank-00000").mkdir(parents=True)
    assert entries(tmp_path / "other") == ([], [])


def test_a_log_of_another_version_is_told(tmp_path: Path) -> None:
    from tsds_stream.loader.served_records import Header, _line, line_of_header

    assert line_of_header(Header(0, 1, 0, 1, 0)) == _line(("served log", 1, 0, 1, 0, 1, 0))
    (tmp_path / "rank-00000").mkdir()
    (tmp_path / "rank-00000" / "00000001.log").write_bytes(_line(("served log", 2, "?")))
    with pytest.raises(ServedLogError, match=r"00000001.log has format 2, and this version reads 1\. Use the version"):
        ServedReader(tmp_path)


@pytest.mark.parametrize("finished", [False, True])
def test_a_flipped_bit_anywhere_is_named_and_the_rest_is_read(tmp_path: Path, finished: bool) -> None:
    log = tmp_path / "log"
    life(log, 0, 30, segment=700)
    life(log, 30, 32)  # finishes what was open
    path = segments(log)[1] if finished else segments(log)[-1]
    data = path.read_bytes()
    whole, _ = entries(log)
    of_file = {one.step for one in whole if one.step >= 30} if not finished else set()
    if finished:
        path.unlink()
        of_file = {one.step for one in whole} - {one.step for one in entries(log)[0]}
    assert 2 <= len(of_file) < 15
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ (1 << place % 8)]) + data[place + 1 :])
        found, problems = entries(log)
        steps = {one.step for one in found}
        assert {one.step for one in whole} - steps <= of_file, place
        assert all(one in whole for one in found), place
        if found != whole:
            assert any(str(path) in problem for problem in problems), place
            assert any("Bring it back from a copy" in problem or "damage" in problem for problem in problems)
        if not finished:
            assert len(of_file - steps) <= 2, place  # two lines become one where it is the end that was hit


def test_frames_of_a_finished_file_are_read_each_without_the_others(tmp_path: Path) -> None:
    life(tmp_path, 0, 12_000)
    life(tmp_path, 12_000, 12_001)
    (path, _) = segments(tmp_path)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 16
    path.write_bytes(data)
    found, problems = entries(tmp_path)
    assert 7_000 < len(found) < 12_001
    assert found[0].step == 0
    assert found[-1].step == 12_000
    assert "a part of it cannot be read" in "".join(problems)


def test_a_log_may_be_read_while_its_files_are_finished(tmp_path: Path) -> None:
    life(tmp_path / "log", 0, 10)
    reader = ServedReader(tmp_path / "log")
    (path,) = segments(tmp_path / "log")
    assert path.suffix == ".log"
    life(tmp_path / "log", 10, 11)
    assert not path.exists()
    assert [one.step for one in reader] == list(range(10))
    assert reader.problems == []


def test_memory_for_what_is_missing_is_bounded(tmp_path: Path) -> None:
    for step in range(0, 60, 2):
        writer = ServedWriter(tmp_path)
        writer.begin(step)
        writer.write(step, 1, "default", 1, 0, ["a"])
        writer.close()
    _, problems = entries(tmp_path)
    assert len(problems) == 21
    assert problems[-1] == "9 more of the kind."


def test_different_ids_are_counted_exactly_up_to_a_bound_and_nearly_beyond() -> None:
    few, many = Distinct(1 << 12), Distinct(1 << 12)
    for start in range(0, 4000, 100):
        few.add([str(k) for k in range(start, start + 100)] * 2)
    assert few.exact
    assert few.count == 4000
    for start in range(0, 100_000, 1000):
        many.add([str(k) for k in range(start, start + 1000)])
    assert not many.exact
    assert abs(many.count - 100_000) < 12_000  # seven standard deviations


def test_a_summary_adds_up_what_counts(tmp_path: Path) -> None:
    life(tmp_path, 0, 10, 0, 2)
    life(tmp_path, 0, 10, 1, 2)
    life(tmp_path, 8, 12, 0, 2)
    life(tmp_path, 8, 12, 1, 2)
    summary = Summary()
    for entry in ServedReader(tmp_path):
        summary.add(entry)
    assert (summary.documents, summary.superseded, summary.distinct.count) == (48, 8, 48)
    (phase,) = summary.in_order()
    assert (phase.source, phase.revision, phase.first_step, phase.last_step) == ("default", 1, 0, 11)


def test_folders_of_several_computers_may_be_brought_together(tmp_path: Path) -> None:
    for rank in range(2):
        life(tmp_path / f"host{rank}", 0, 3, rank, 2)
        shutil.copytree(tmp_path / f"host{rank}", tmp_path / "all", dirs_exist_ok=True)
    assert [(step, rank) for step, rank, _ in sequence(tmp_path / "all")] == [(s, r) for s in range(3) for r in (0, 1)]
