"""The configuration: three layers, one tree, every problem at once and in words."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from tsds_stream.config import SECTIONS, Settings, TargetSet, load_settings
from tsds_stream.configuration.errors import ConfigurationError
from tsds_stream.configuration.layers import Override
from tsds_stream.configuration.options import REQUIRED
from tsds_stream.configuration.reference import default_file, reference
from tsds_stream.selection.settings import SelectorConfig

TARGETS = "file or directory of target examples; not needed where they come from a topic, [kafka.topics] targets"
MINIMAL = '[[target_sets]]\ntargets = "targets.jsonl"\n'


@pytest.fixture
def write(tmp_path: Path):
    def write(text: str) -> Path:
        file = tmp_path / "tsds.toml"
        file.write_text(text)
        return file

    return write


def problems(file: Path | None = None, overrides: list[Override] | None = None, **environment: str) -> list[str]:
    with pytest.raises(ConfigurationError) as caught:
        load_settings(file, overrides or [], environment)
    return [problem.replace(f"{file}: ", "") for problem in caught.value.problems]


def override(option: str, value: str, section: str = "target_sets") -> Override:
    return Override(section, option, value, f"--{option}".replace("_", "-"))


# Layers


def test_the_shape_in_the_documentation_is_accepted(write):
    settings = load_settings(
        write(
            '[source]\nkind = "files"\npath = "documents/"\nfollow = true\n[embedder]\nkind = "static"\n'
            '[[target_sets]]\nname = "default"\ntargets = "targets.jsonl"\nbudget = 1000\n'
            '[sink]\nkind = "directory"\npath = "selection/"\n[publish]\ninterval = "1s"\n[state]\ndirectory = "state/"'
        ),
        environment={},
    )
    assert settings.source.follow
    assert settings.target_sets[0].budget == 1000
    assert settings.publish.interval == 1.0


def test_environment_overrides_the_file_and_the_command_line_overrides_both(write):
    file = write(MINIMAL + 'budget = 1\n[source]\npath = "from-file"\n[publish]\ninterval = "1m"\n')
    environment = {"TSDS_STREAM_SOURCE__PATH": "from-environment", "TSDS_STREAM_TARGET_SETS__0__BUDGET": "2"}
    settings = load_settings(file, environment=environment)
    assert (settings.source.path, settings.target_sets[0].budget) == ("from-environment", 2)
    settings = load_settings(file, [override("budget", "3")], environment)
    assert settings.target_sets[0].budget == 3
    assert settings.publish.interval == 60


def test_a_target_set_is_found_by_name_in_the_environment(write):
    file = write(MINIMAL + '[[target_sets]]\nname = "Code"\ntargets = "code.jsonl"\n')
    settings = load_settings(file, environment={"TSDS_STREAM_TARGET_SETS__CODE__ALPHA": "0.25"})
    assert [target_set.alpha for target_set in settings.target_sets] == ["auto", 0.25]


def test_everything_can_come_from_the_command_line():
    settings = load_settings(None, [override("targets", "t.jsonl"), override("sigma", "0.5")], {})
    assert settings.target_sets == [TargetSet(targets="t.jsonl", sigma=0.5)]


def test_another_kind_discards_the_options_of_the_kind_below(write):
    file = write(MINIMAL + '[embedder]\nkind = "http"\nurl = "http://localhost:1"\n')
    overrides = [override("dimension", "64", "embedder"), Override("embedder", "kind", "hashing", "--embedder")]
    settings = load_settings(file, overrides, {})
    assert (settings.embedder.kind, settings.embedder.dimension) == ("hashing", 64)


def test_naming_the_default_kind_again_keeps_its_options(write):
    file = write(MINIMAL + "[embedder]\nmax_tokens = 7\n")
    settings = load_settings(file, [Override("embedder", "kind", "static", "--embedder")], {})
    assert settings.embedder.max_tokens == 7


def test_none_is_a_word_in_a_file_and_in_the_environment(write):
    file = write(MINIMAL + 'budget = "none"\ntoken_budget = 1000\n')
    assert load_settings(file, environment={}).target_sets[0].budget is None
    again = load_settings(file, environment={"TSDS_STREAM_TARGET_SETS__0__SLACK": "none"})
    assert again.target_sets[0].slack is None


@pytest.mark.parametrize(
    ("written", "meant"),
    [("auto", "auto"), ("sigma", "sigma"), ("none", None), ("0.25", 0.25)],
)
def test_a_distance_to_keep_is_written_alike_everywhere(write, written: str, meant: object):
    name = "TSDS_STREAM_TARGET_SETS__0__MIN_DISTANCE"
    for settings in (
        load_settings(write(MINIMAL + f'min_distance = "{written}"\n'), environment={}),
        load_settings(write(MINIMAL), environment={name: written}),
        load_settings(write(MINIMAL), [override("min_distance", written)], {}),
    ):
        assert settings.target_sets[0].min_distance == meant
    assert load_settings(write(MINIMAL + "min_distance = 0.25\n"), environment={}).target_sets[0].min_distance == 0.25


def test_no_distance_is_a_word_and_not_a_number(write):
    [problem] = problems(write(MINIMAL + "min_distance = 0\n"))
    assert problem.endswith('expected "auto" or "sigma", a number above 0 and of at most 2 or "none"')


@pytest.mark.parametrize(
    ("text", "milliseconds"), [("500ms", 500), ("1h 30m", 5_400_000), ("7d", 604_800_000), ("250", 250)]
)
def test_ttl_takes_durations_and_bare_milliseconds(write, text: str, milliseconds: int):
    file = write(MINIMAL + f'scope = "corpus"\nttl = "{text}"\n')
    assert load_settings(file, environment={}).target_sets[0].ttl == milliseconds


@pytest.mark.parametrize(("text", "size"), [("1 MiB", 2**20), ("64 KiB", 2**16), ("1MB", 10**6), ("123", 123)])
def test_sizes_take_units(write, text: str, size: int):
    file = write(MINIMAL + f'[source]\nmax_document_bytes = "{text}"\n')
    assert load_settings(file, environment={}).source.max_document_bytes == size


# Problems


def test_all_problems_are_told_at_once_each_with_option_value_and_what_is_accepted(write):
    file = write(
        '[source]\nfollow = "perhaps"\nmax_document_bytes = "1 Mx"\n'
        '[[target_sets]]\nalpha = 2\nregularizer = "kd"\nspread = 0\n[publish]\ninterval = "soon"\n'
    )
    assert sorted(problems(file)) == [
        '[[target_sets]] alpha = 2 is not accepted; expected "auto" or a number above 0 and below 1',
        '[[target_sets]] regularizer = "kd" is not accepted; expected "kde", "uniform" or "tv"',
        "[[target_sets]] spread = 0 is not accepted; expected a number above 0",
        f"[[target_sets]] targets is missing: {TARGETS}",
        '[publish] interval = "soon" is not accepted: expected a duration such as "500ms", "1s", "5 min", "1h 30m" or '
        '"7d"',
        '[source] follow = "perhaps" is not accepted; expected true or false',
        '[source] max_document_bytes = "1 Mx" is not accepted: expected a size such as "65536", "64 KiB", "1 MB" or '
        '"2 GiB"',
    ]


def test_contradictions_are_told_together_with_wrong_values(write):
    file = write(MINIMAL + 'regularizer = "tv"\nscope = "corpus"\nspread = -1\n')
    found = problems(file)
    assert "[[target_sets]] spread = -1 is not accepted; expected a number above 0" in found
    assert '[[target_sets]] regularizer = "tv" needs a numeric alpha' in found
    assert '[[target_sets]] scope = "corpus" needs capacity or ttl: the corpus must stay bounded' in found


def test_a_wrong_value_causes_no_contradiction_of_its_own(write):
    found = problems(write(MINIMAL + 'regularizer = "tv"\nalpha = "lots"\n'))
    assert found == ['[[target_sets]] alpha = "lots" is not accepted; expected "auto" or a number above 0 and below 1']


def test_a_misspelt_option_gets_the_nearest_name(write):
    assert problems(write(MINIMAL + "buget = 1\n")) == [
        "[[target_sets]] there is no option 'buget'; did you mean 'budget'?"
    ]
    assert problems(write(MINIMAL + "[sorce]\npath = 'x'\n")) == ["there is no section 'sorce'; did you mean 'source'?"]


def test_an_option_in_the_wrong_section_is_sent_to_the_right_one(write):
    found = problems(write(MINIMAL + '[source]\ncheckpoint_interval = "1s"\n'))
    assert found == ["[source] there is no option 'checkpoint_interval' here; it belongs to [state]"]


def test_an_option_of_another_kind_says_which(write):
    found = problems(write(MINIMAL + '[embedder]\nurl = "http://localhost"\n'))
    assert found == ["[embedder] url is an option of kind = \"http\", and this is 'static'"]


def test_the_command_line_and_the_environment_are_named_as_they_were_written():
    found = problems(None, [override("targets", "t"), override("alpha", "2")], TSDS_STREAM_SOURCE__FOLLOW="perhaps")
    assert found == [
        'TSDS_STREAM_SOURCE__FOLLOW: "perhaps" is not accepted; expected true or false',
        '--alpha: "2" is not accepted; expected "auto" or a number above 0 and below 1',
    ]


def test_misspelt_variables_are_errors_and_foreign_ones_are_not(write):
    found = problems(
        write(MINIMAL),
        TSDS_STREAM_SOURCE_PATH="one underscore",
        TSDS_STREAM_SORCE__PATH="x",
        TSDS_STREAM_SOURCE__PAHT="x",
        TSDS_STREAM_TARGET_SETS__5__BUDGET="1",
        TSDS_STREAM_SERVICE_HOST="10.0.0.1",
        TSDS_STREAM_PORT="tcp://10.0.0.1:80",
    )
    assert sorted(found) == [
        "TSDS_STREAM_SORCE__PATH: there is no section 'sorce'; did you mean 'source'?",
        "TSDS_STREAM_SOURCE_PATH: a section and its option are joined by two underscores: TSDS_STREAM_SOURCE__PATH",
        "TSDS_STREAM_SOURCE__PAHT: there is no option 'paht'; did you mean 'path'?",
        "TSDS_STREAM_TARGET_SETS__5__BUDGET: there is no target_sets number or name '5'",
    ]


def test_an_option_for_one_of_several_target_sets_is_refused_on_the_command_line(write):
    file = write(MINIMAL + '[[target_sets]]\nname = "code"\ntargets = "code.jsonl"\n')
    assert problems(file, [override("budget", "5")])[0].startswith("--budget is for one target set")


def test_two_target_sets_need_two_names(write):
    assert "default is used twice" in problems(write(MINIMAL + MINIMAL))[0]


def test_of_several_sets_the_wrong_one_is_named(write):
    found = problems(write(MINIMAL + '[[target_sets]]\nname = "code"\ntargets = "c"\nbudget = 0\n'))
    assert found == [
        '[[target_sets]] "code": budget = 0 is not accepted; expected a whole number of at least 1 or "none"'
    ]


def test_a_file_that_is_no_toml_says_where(write):
    assert re.search(r"not TOML: .*line 1", problems(write("budget == 3"))[0])


def test_a_missing_file_is_a_sentence(tmp_path: Path):
    assert "cannot be read: No such file or directory" in problems(tmp_path / "absent.toml")[0]


def test_the_value_of_an_unknown_option_is_never_repeated(write):
    """It may be a key that somebody put under the wrong name."""
    found = problems(write(MINIMAL + '[embedder]\nkind = "http"\nurl = "http://x"\napi_key = "sk-hidden"\n'))
    assert not any("sk-hidden" in problem for problem in found)


# Generated pages


def test_the_default_file_says_what_the_tree_says(write):
    file = write(default_file(SECTIONS, {("target_sets", "targets"): "targets.jsonl"}))
    assert load_settings(file, environment={}) == Settings(target_sets=[TargetSet(targets="targets.jsonl")])


def test_the_reference_has_every_option_with_its_variable():
    page = reference(SECTIONS)
    for section in SECTIONS.values():
        for option in section.options:
            assert f"| `{option.name}` |" in page
            assert section.variable(option.name) in page


def test_every_option_is_described():
    assert not [f"{s.name}.{o.name}" for s in SECTIONS.values() for o in s.options if not o.description]


def test_every_selector_parameter_is_an_option_of_a_target_set():
    names = SECTIONS["target_sets"].names()
    assert set(SelectorConfig.model_fields) <= set(names)
    assert not [option.name for option in SECTIONS["target_sets"].options if option.default is REQUIRED]


def test_a_target_set_gives_the_core_its_part_unchanged():
    target_set = TargetSet(targets="t", budget=7, sigma=0.5, mode="turns")
    assert target_set.selector_config() == SelectorConfig(budget=7, sigma=0.5, mode="turns")


def test_the_process_environment_is_the_default(write, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(os.environ, "TSDS_STREAM_SINK__PATH", "elsewhere")
    assert load_settings(write(MINIMAL)).sink.path == "elsewhere"
