"""What is said of the numbers: sentences that do not claim more than an interval holds."""

from __future__ import annotations

from io import StringIO
from math import exp
from pathlib import Path

import numpy as np
import pytest

from tsds_stream.comparison import folder, plot, report
from tsds_stream.comparison.compare import Comparison, Plan
from tsds_stream.comparison.results import as_json
from tsds_stream.comparison.trial import Score, Trial
from tsds_stream.comparison.verdict import overall, verdicts
from tsds_stream.exit_status import CommandError
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.terminal import Page

STEADY = [0.0, 0.001, -0.001, 0.0005, -0.0005]
NOISY = [0.0, 0.1, -0.1, 0.05, -0.05]


def comparison_of(losses: dict[str, list[float]], texts: bool = True, **more) -> Comparison:
    """Of methods with these losses, per split; the first is the reference."""
    methods = list(losses)
    seeds = len(losses[methods[0]])
    trials = [
        Trial(
            seed,
            [f"t{k}" for k in range(more.get("held_out", 30))],
            more.get("left_out", 0),
            {
                name: Score(
                    90, more.get("tokens", 1000), losses[name][seed] if texts else None,
                    exp(losses[name][seed]), 0.7, 0.9, 0.5, 0.01, more.get("reasons", ()),
                )
                for name in methods
            },
            {name: np.arange(90) for name in methods},
        )
        for seed in range(seeds)
    ]  # fmt: skip
    plan = Plan(SelectorConfig(), ["kde"], seeds=seeds)
    return Comparison(
        plan, methods, 5000, more.get("total", 60_000), 100, 1000, 0.5, more.get("in_pool", 0), texts, trials
    )


def against(difference: float, noise: list[float], base: float = 5.0) -> Comparison:
    return comparison_of({"kde": [base] * len(noise), "top": [base + difference + one for one in noise]})


@pytest.mark.parametrize(
    ("difference", "noise", "sentence"),
    [
        (0.3, STEADY, "top: perplexity +35.0% (+34.8 to +35.2); kde beats top clearly."),
        (-0.3, STEADY, "top: perplexity -25.9% (-26.0 to -25.8); top beats kde clearly."),
        (0.03, STEADY, "top: perplexity +3.0% (+2.9 to +3.2); kde beats top."),
        (0.005, STEADY, "top: perplexity +0.5% (+0.3 to +0.7); kde beats top, too little to matter in practice."),
        (0.0005, STEADY, "top: no difference to kde on this data: +0.1% (-0.1 to +0.2)."),
        (
            0.05,
            NOISY,
            "top: no difference to kde is shown on this data: +5.1% (-11.7 to +25.1) leaves it open; more --seeds or "
            "targets narrow that.",
        ),
        (0.0, [0.0] * 5, "top does what kde does: the same perplexity on every split."),
        (0.2, [0.0], "top: perplexity +22.1% on one split, which says nothing of chance."),
        (0.2, [0.0] * 5, "top: perplexity +22.1% on every split alike, which says nothing of others."),
        (0.0, [0.0, 0.0, 9e-16, 0.0, 0.0], "top does what kde does: the same perplexity on every split."),
    ],
)
def test_a_sentence_goes_by_the_interval_and_names_the_size(difference: float, noise: list[float], sentence: str):
    [found] = verdicts(against(difference, noise))
    assert found.sentence == sentence


def test_all_verdicts_add_up_to_one_sentence():
    base = [5.0] * 5
    losses = {
        "kde": base,
        "random": [5.3 + one for one in STEADY],
        "nearest": [5.2 + one for one in STEADY],
        "tv": [5.04 + one for one in STEADY],
        "turns": [4.97 + one for one in STEADY],
        "top": [5.006 + one for one in STEADY],
        "uniform": [5.0 + one for one in NOISY],
        "default": base,
        "dsir": [5.2] * 5,
    }
    comparison = comparison_of(losses)
    assert overall(comparison, verdicts(comparison)) == (
        "kde beats nearest and random clearly and tv by 4%; kde is beaten by turns by 3%; top: a difference too small "
        "to matter; default: no difference on this data; uniform: no difference is shown on this data, and none is "
        "ruled out; dsir: the same difference on every split, which says nothing of others."
    )
    one = comparison_of({"kde": [5.0], "random": [5.4]})
    assert overall(one, verdicts(one)) == "One split gives no interval, so nothing is decided: ask for more --seeds."
    alone = comparison_of({"kde": base})
    assert overall(alone, verdicts(alone)) == "There is nothing to hold kde against."


def test_without_texts_the_transport_cost_decides():
    comparison = comparison_of({"kde": [0.0] * 5, "random": [0.3 + one for one in STEADY]}, texts=False)
    [found] = verdicts(comparison)
    assert found.sentence == "random: transport cost +35.0% (+34.8 to +35.2); kde beats random clearly."
    text = StringIO()
    report.show(comparison, Page(text))
    assert "perplexity" not in text.getvalue()
    assert as_json(comparison)["measure"] == "transport_cost"


def test_the_report_has_a_row_and_a_sentence_per_method_best_first():
    comparison = comparison_of(
        {"kde": [5.0] * 5, "random": [5.3 + one for one in STEADY], "turns": [4.97 + one for one in STEADY]}
    )
    text = StringIO()
    report.show(comparison, Page(text))
    lines = text.getvalue().splitlines()
    table = lines[lines.index("Targets held out, means over the splits") + 2 :][:3]
    assert [line.split()[0] for line in table] == ["turns", "kde", "random"]
    assert table[1].split() == ["kde", "148.4", "90.0%", "148.4132", "0.7000", "50%", "90", "0.01"]
    assert lines[-1] == "kde beats random clearly; kde is beaten by turns by 3%."
    assert not [line for line in lines if "warning" in line]


@pytest.mark.parametrize(
    ("more", "part"),
    [
        ({"in_pool": 20}, "20% of the targets stand in the documents themselves: give --sigma a number"),
        ({"total": 1500}, "the budget takes 67% of the pool"),
        ({"left_out": 500}, "10% of the documents are near-copies of targets held out"),
        ({"tokens": 400}, "kde fills only 40% of the budget"),
        ({"reasons": ("truncated",)}, "kde is not exact: truncated (shortlists are too short for this selection"),
    ],
)
def test_what_somebody_should_know_before_believing_the_table_is_said(more: dict, part: str):
    comparison = comparison_of({"kde": [5.0] * 5}, **more)
    assert any(part in warning for warning in report.warnings(comparison))


def test_a_folder_holds_report_data_plot_and_selections(tmp_path: Path):
    pytest.importorskip("matplotlib")
    comparison = against(1.3, NOISY)
    where = tmp_path / "new" / "folder"
    folder.check(where)
    ids = [f"d{k}" for k in range(100)]
    folder.write(where, comparison, ids)
    assert sorted(path.name for path in where.iterdir()) == [
        folder.DATA, folder.PLOT, folder.REPORT, folder.SELECTIONS
    ]  # fmt: skip
    assert (where / folder.PLOT).read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"
    assert "kde beats top clearly" in (where / folder.REPORT).read_text()
    assert len((where / folder.SELECTIONS).read_text().splitlines()) == 10
    before = (where / folder.PLOT).read_bytes()
    folder.check(where)
    folder.write(where, comparison, ids)
    assert (where / folder.PLOT).read_bytes() == before


def test_without_matplotlib_the_rest_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(plot, "can_draw", lambda: False)
    folder.write(tmp_path, against(0.3, STEADY), [f"d{k}" for k in range(100)])
    assert not (tmp_path / folder.PLOT).exists()
    assert (tmp_path / folder.DATA).exists()


def test_a_folder_with_other_things_is_refused(tmp_path: Path):
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(CommandError, match="holds something else than a comparison"):
        folder.check(tmp_path)
    with pytest.raises(CommandError, match="cannot be made"):
        folder.check(tmp_path / "thesis.tex" / "below")


def test_few_targets_held_out_decide_nothing_however_narrow_the_interval() -> None:
    losses = {"kde": [5.0] * 5, "random": [5.3 + one for one in STEADY]}
    comparison = comparison_of(losses, held_out=2)
    assert overall(comparison, verdicts(comparison)) == (
        "2 targets held out at a time tell nothing of other targets: bring more of them."
    )
    assert "clearly" in overall(comparison_of(losses, held_out=10), verdicts(comparison))
