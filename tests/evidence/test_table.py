"""Seeds are run once, kept, and run again when the code that decides them changed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.evidence import number_of_targets as targets
from benchmarks.evidence import table as tables
from benchmarks.evidence.page import differences_of, page_of, written
from benchmarks.evidence.results import Finding, Results
from benchmarks.evidence.table import Table, differences, run_table
from tsds_stream.comparison.intervals import Interval


def run(seed: int, quick: bool) -> list[Finding]:
    with open(Path.cwd() / f"ran-{seed}{'-quick' * quick}", "a") as file:
        file.write("x")
    return [Finding("clean", name, {"loss": seed + loss}) for name, loss in (("uniform", 0.5), ("kde", 0.25))]


def nothing(results: Results, path: Path) -> None:
    path.write_text("")


def example(run=run) -> Table:
    return Table("near_duplicates", "Title", "What is asked.", 3, run, lambda: None, nothing)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(tables, "FOLDER", tmp_path)
    monkeypatch.setattr(tables, "ProcessPoolExecutor", InThisProcess)
    return tmp_path


class InThisProcess:
    """Runs what it is given at once: a fork of a test process is no part of what is tested."""

    def __init__(self, processes: int) -> None:
        assert processes <= 2

    def __enter__(self) -> InThisProcess:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def submit(self, function, *arguments):
        future = tables.Future()
        future.set_result(function(*arguments))
        return future


def test_a_finished_seed_is_not_run_again(folder: Path):
    first = run_table(example(), quick=False, keep=False)
    (folder / "seeds" / "near_duplicates" / "1.json").unlink()
    again = run_table(example(), quick=False, keep=False)
    assert [len((folder / f"ran-{seed}").read_text()) for seed in range(3)] == [1, 2, 1]
    assert first.seeds == again.seeds


def test_other_code_runs_every_seed_again_unless_told_to_keep(folder: Path, monkeypatch: pytest.MonkeyPatch):
    run_table(example(), quick=False, keep=False)
    monkeypatch.setattr(tables, "_code", lambda table: "other")
    run_table(example(), quick=False, keep=True)
    assert (folder / "ran-0").read_text() == "x"
    run_table(example(), quick=False, keep=False)
    assert (folder / "ran-0").read_text() == "xx"


def test_a_smoke_test_keeps_nothing(folder: Path):
    run_table(example(), quick=True, keep=False)
    assert (folder / "ran-0-quick").exists()
    assert not list((folder / "seeds" / "near_duplicates").iterdir())


def test_a_kept_seed_that_comes_out_otherwise_is_told_figure_by_figure(folder: Path):
    assert differences(example()) is None
    run_table(example(), quick=False, keep=False)
    assert differences(example()) == []

    def other(seed: int, quick: bool) -> list[Finding]:
        found = run(seed, quick)
        return [replace(found[0], figures={"loss": 7.0, "seconds": 3.0}), *found[1:]]

    lines = differences(replace(example(other), timed=("seconds",)))
    assert lines is not None
    assert len(lines) == 1
    assert " clean / uniform / loss: " in lines[0]
    assert lines[0].endswith(" -> 7.0")


def test_differences_are_paired_by_seed():
    results = Results({seed: run_of(seed) for seed in range(4)}, dict.fromkeys(range(4), 1.0))
    interval = results.difference("clean", "kde", "uniform", "loss", 100)
    assert interval is not None
    assert interval.mean == pytest.approx(-25)
    assert interval.half == pytest.approx(0, abs=1e-9)  # although the losses themselves differ by 3
    assert results.difference("clean", "kde", "kde", "loss") is None
    assert results.difference("clean", "nowhere", "uniform", "loss") is None


def test_the_page_shows_means_and_what_is_decided_in_bold():
    results = Results({seed: run_of(seed) for seed in range(4)}, dict.fromkeys(range(4), 1.0))
    page = page_of(example(), results)
    assert "## clean" in page
    assert "| kde | **-25.00 ± 0.00** |" in page
    assert "dedup+round_robin" not in page  # which was not measured
    [difference] = differences_of(example(), results)
    assert (difference["method"], difference["reference"]) == ("kde", "uniform")


def test_an_advantage_is_said_to_hold_where_its_whole_interval_does():
    def found(seed: int) -> list[Finding]:
        noise = (-1) ** seed
        by_number = {10: 0.5, 30: 0.5, 100: noise, 300: -0.5}
        conditions = {targets.condition_of(number, 500, "no copies"): loss for number, loss in by_number.items()}
        return [
            Finding(condition, name, {"loss": loss if name == "random" else 0.0})
            for condition, loss in conditions.items()
            for name in ("kde", "random")
        ]

    results = Results({seed: found(seed) for seed in range(4)}, dict.fromkeys(range(4), 1.0))
    assert targets.above_zero(results, "kde", "random", 500, "no copies") == "10, 30"
    assert targets.above_zero(results, "random", "kde", 500, "no copies") == "300"
    assert targets.above_zero(results, "kde", "random", 2000, "no copies") == "none"


def test_a_difference_of_one_seed_has_no_interval():
    assert written(Interval(0.5, None, None)) == "+0.50"
    assert written(Interval(0.5, -0.5, 1.5)) == "+0.50 ± 1.00"


def run_of(seed: int) -> list[Finding]:
    return [Finding("clean", name, {"loss": seed + loss}) for name, loss in (("uniform", 0.5), ("kde", 0.25))]
