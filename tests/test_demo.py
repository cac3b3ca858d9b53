"""`tsds-stream demo`: what a new user sees first, on a small corpus."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from collections.abc import Mapping
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest
from PIL import Image

from tests.cli_cases import tsds
from tsds_stream.cli import main
from tsds_stream.demo import plots
from tsds_stream.demo.corpus import Root, collect
from tsds_stream.demo.pages import Page, comments, docstrings, passages
from tsds_stream.demo.place import Place
from tsds_stream.demo.script import REPOSTS, Script, choose_targets, write_script
from tsds_stream.demo.telling import LiveTable
from tsds_stream.demo.watching import Sight, crowding
from tsds_stream.exit_status import CommandError, ExitStatus
from tsds_stream.streams.revisions import list_revisions, open_revision

SMALL = ("--documents", "500", "--budget", "40")
PROSE = "Sends a request to the server over a connection and waits until the response has arrived, or time is up."


@dataclass(frozen=True)
class Done:
    """One finished demonstration."""

    run: subprocess.CompletedProcess[str]
    directory: Path

    @property
    def commands(self) -> list[list[str]]:
        """The printed commands, without the program."""
        printed = self.run.stdout.partition("Look around")[2].splitlines()
        lines = [line for line in printed if line.startswith("  ") and not line.startswith("  #")]
        return [shlex.split(line.partition(" -m tsds_stream ")[2]) for line in lines]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The command in a fresh directory, as a user runs it."""
    folder = tmp_path_factory.mktemp("demo")
    return Done(tsds("demo", *SMALL, cwd=folder), folder / "tsds-demo")


# -- the command ------------------------------------------------------------------------------------------------------


def test_it_runs_to_the_end_and_proves_itself(demo: Done):
    assert demo.run.returncode == 0, demo.run.stderr
    assert demo.run.stderr == ""
    assert "500 pieces of documentation" in demo.run.stdout
    assert "Equal: ids, probabilities and weights, bit for bit." in demo.run.stdout
    facts = json.loads((demo.directory / "demo.json").read_text())
    assert facts["exact"] is True
    assert demo.run.stdout.count(facts["digest"]) == 2  # published, and recomputed


def test_piped_output_is_plain_text(demo: Done):
    assert "\x1b" not in demo.run.stdout
    assert "━" not in demo.run.stdout


def test_the_table_has_a_line_for_each_revision_and_the_cost_falls(demo: Done):
    records, damages = list_revisions(demo.directory / "selection", "default")
    assert damages == []
    lines = re.findall(r"^ +([\d,]+) +(\d+) +(\d+) +(\d\.\d{4}) .*(yes|not yet)$", demo.run.stdout, re.MULTILINE)
    assert [int(line[1]) for line in lines] == [record["revision"] for record in records]
    assert len(lines) >= 8
    assert float(lines[-1][3]) < float(lines[0][3])
    assert lines[0][4] == "not yet"  # sigma is not frozen
    assert lines[-1][4] == "yes"


def test_reposts_new_versions_and_retractions_happen_in_the_stream(demo: Done):
    events = [json.loads(line) for line in (demo.directory / "documents.jsonl").read_text().splitlines()]
    ids = [event["id"] for event in events if not event.get("deleted")]
    assert sum("~repost" in name for name in ids) == 3 * REPOSTS
    assert len(ids) - len(set(ids)) == 10  # new versions
    assert sum(bool(event.get("deleted")) for event in events) == 15
    selection = open_revision(demo.directory / "selection", "default")
    assert not {event["id"] for event in events if event.get("deleted")} & set(selection.ids)


def test_samples_come_with_reasons(demo: Done):
    reasons = demo.run.stdout.partition("4. A reason for every document")[2].partition("5. The proof")[0]
    assert "Selected, and the nearest to an example" in reasons
    assert "is selected." in reasons
    assert "Its mass in the plan is" in reasons


@pytest.mark.parametrize("number", range(6), ids=["inspect", "diff", "explain", "text", "preview", "select"])
def test_each_printed_command_works(demo: Done, number: int):
    assert len(demo.commands) == 6
    done = tsds(*demo.commands[number], cwd=demo.directory.parent)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_last_printed_command_gives_the_digest_of_the_stream(demo: Done):
    facts = json.loads((demo.directory / "demo.json").read_text())
    done = tsds(*demo.commands[-1], "--json", cwd=demo.directory.parent)
    assert json.loads(done.stdout)["digest"] == facts["digest"]


@pytest.mark.parametrize("name", ["probability.png", "stream.png"])
def test_the_plots_are_small_pictures(demo: Done, name: str):
    path = demo.directory / name
    assert path.stat().st_size < 60_000
    with Image.open(path) as picture:
        picture.verify()
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.size[0] == 800
        assert len(picture.convert("RGB").getcolors(1 << 20) or []) > 10  # not an empty sheet
    assert str(Path("tsds-demo") / name) in demo.run.stdout


def test_again_in_the_same_directory_gives_the_same_and_leaves_other_files_alone(demo: Done):
    before = (demo.directory / "demo.json").read_text()
    (demo.directory / "notes.txt").write_text("mine")
    done = tsds("demo", *SMALL, cwd=demo.directory.parent)
    assert done.returncode == 0, done.stderr
    assert (demo.directory / "demo.json").read_text() == before
    assert (demo.directory / "notes.txt").read_text() == "mine"


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, str, Path]:
    """(status, output, directory) without matplotlib, and of a stream that kept what it should not have.

    Only the proof sees the difference: for it, one of the selected documents has never been there.
    """
    directory = tmp_path_factory.mktemp("failed") / "d"
    whole = Script.last_records

    def after_publishing(script: Script) -> Mapping[str, str]:
        in_proof = "5. The proof" in output.getvalue()
        selected = open_revision(directory / "selection", "default").ids
        return {name: text for name, text in whole(script).items() if not (in_proof and name == selected[0])}

    output = StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(output):
        patch.setattr(Script, "last_records", after_publishing)
        patch.setattr(plots, "can_draw", lambda: False)
        status = main(["demo", *SMALL, "--directory", str(directory)])
    return status, output.getvalue(), directory


def test_a_selection_that_differs_from_batch_is_a_loud_failure(failed: tuple[int, str, Path]):
    status, output, directory = failed
    assert status == ExitStatus.UNEXPECTED
    assert "FAILED: the digests differ" in output
    assert "bit for bit" not in output
    facts = json.loads((directory / "demo.json").read_text())
    assert facts["digest"] != facts["recomputed"]


def test_without_matplotlib_it_says_how_to_get_the_plots(failed: tuple[int, str, Path]):
    _, output, directory = failed
    assert "pip install matplotlib" in output
    assert list(directory.rglob("*.png")) == []


def test_a_selection_that_is_not_exact_says_why_and_is_no_failure(tmp_path: Path):
    done = tsds("demo", "--documents", "300", "--budget", "250", "--directory", tmp_path / "d")
    assert done.returncode == 0, done.stderr
    assert "warning: the revision does not promise that it is exact: truncated" in done.stdout


def test_ctrl_c_in_the_stream_is_an_interruption(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    def press(table: LiveTable, sight: Sight) -> None:
        if sight.number == 1:  # a second one would leave at once
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(LiveTable, "row", press)
    assert main(["demo", *SMALL, "--directory", str(tmp_path / "d")]) == ExitStatus.INTERRUPTED
    assert capsys.readouterr().err == "tsds-stream: interrupted before everything was streamed\n"


# -- the directory ----------------------------------------------------------------------------------------------------


def test_a_directory_of_somebody_else_is_refused_and_untouched(tmp_path: Path):
    (tmp_path / "tsds-demo").mkdir()
    (tmp_path / "tsds-demo" / "thesis.txt").write_text("mine")
    done = tsds("demo", *SMALL, cwd=tmp_path)
    assert done.returncode == ExitStatus.STATE
    assert "no demonstration made" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in (tmp_path / "tsds-demo").iterdir()] == ["thesis.txt"]


def test_two_demonstrations_do_not_share_a_directory(tmp_path: Path):
    with Place(tmp_path / "d").claimed(), pytest.raises(CommandError, match="has a writer already"):
        Place(tmp_path / "d").claimed().__enter__()


@pytest.mark.parametrize(
    ("words", "part"), [(("--documents", "5"), "at least 100"), (("--budget", "0"), '--budget: "0" is not accepted')]
)
def test_what_cannot_work_is_refused_in_a_sentence(tmp_path: Path, words: tuple[str, ...], part: str):
    done = tsds("demo", *words, cwd=tmp_path)
    assert done.returncode == ExitStatus.USAGE
    assert part in done.stderr
    assert list(tmp_path.iterdir()) == []


# -- the text ---------------------------------------------------------------------------------------------------------


def test_sources_are_read_and_never_run(tmp_path: Path):
    (tmp_path / "danger.py").write_text(f'"""{PROSE}"""\nraise SystemExit("executed")\n')
    (tmp_path / "broken.py").write_text(f'"""{PROSE}"""\ndef (:\n')
    (tmp_path / "binary.py").write_bytes(b'"""\xff\x00"""')
    corpus = collect([Root(tmp_path)], 100, 0)
    assert [page.id for page in corpus.documents] == ["danger"]


def test_the_topic_is_held_out_of_the_library_and_only_there(tmp_path: Path):
    for place in ("library/http/client.py", "library/json.py", "packages/http/client.py", "library/tests/http.py"):
        (tmp_path / place).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / place).write_text(f'"""{PROSE}"""\n')
    corpus = collect([Root(tmp_path / "library", is_library=True), Root(tmp_path / "packages")], 100, 0)
    assert [page.id for page in corpus.topic] == ["http.client"]
    assert sorted(page.id for page in corpus.documents) == ["http.client", "json"]


def test_packages_take_turns_so_that_a_large_one_crowds_out_no_other(tmp_path: Path):
    for package, files in (("large", 50), ("small", 3)):
        (tmp_path / package).mkdir()
        for number in range(files):
            (tmp_path / package / f"m{number}.py").write_text(f'"""{PROSE}"""\n')
    corpus = collect([Root(tmp_path)], 6, 0)
    assert sorted(page.source for page in corpus.documents) == ["large"] * 3 + ["small"] * 3
    assert corpus.files == 6


def test_comments_are_read_where_docstrings_are_too_few(tmp_path: Path):
    (tmp_path / "m.py").write_text(f"x = 1\n# {PROSE[:50]}\n# {PROSE[50:]}\n# It never blocks.\ny = 2\n")
    assert [page.id for page in collect([Root(tmp_path)], 10, 0).documents] == ["m#1"]
    assert comments((tmp_path / "m.py").read_bytes(), "m", "m")[0].text.endswith("It never blocks.")


def test_docstrings_have_dotted_names_and_a_name_that_returns_gets_a_number():
    code = f'''
class A:
    @property
    def x(self):
        """{PROSE}"""
    @x.setter
    def x(self, value):
        """{PROSE} Sets it."""
if True:
    def f():
        """{PROSE}"""
        def hidden():
            """{PROSE}"""
'''
    assert [page.id for page in docstrings(code.encode(), "m", "m")] == ["m.A.x", "m.A.x@2", "m.f"]


def test_texts_are_cut_at_paragraphs_and_legal_ones_left_out():
    paragraphs = [f"{number}. {PROSE * 6}" for number in range(5)]
    pages = passages("\n\n".join([*paragraphs, f"Copyright. {PROSE * 12}"]), "README.md", "m")
    assert [page.id for page in pages] == ["README.md#1", "README.md#2", "README.md#3"]


# -- the story --------------------------------------------------------------------------------------------------------


def pages(count: int) -> list[Page]:
    return [Page(f"m.f{number}", f"m.f{number}\n\n{PROSE} Number {number}.", "m") for number in range(count)]


def test_the_same_seed_tells_the_same_story():
    assert write_script(pages(400), 3) == write_script(pages(400), 3)
    assert write_script(pages(400), 3) != write_script(pages(400), 4)
    assert choose_targets(pages(400), 3) == choose_targets(list(reversed(pages(400))), 3)


def test_everything_happens_after_the_document_has_arrived():
    script = write_script(pages(400), 0)
    seen: set[str] = set()
    for event in script.events:
        if event.get("deleted"):
            assert event["id"] in seen
        if event["id"] in script.originals:
            assert script.originals[event["id"]] in seen
        seen.add(event["id"])
    assert len(script.last_records()) == 400 + script.reposts - script.retractions


def test_the_last_record_of_an_id_is_the_whole_document():
    texts = write_script(pages(400), 0).last_records()
    originals = {page.id: page.text for page in pages(400)}
    assert all(texts[name] == originals[name] for name in texts if name in originals)


def test_every_second_repost_is_exact_and_the_others_are_near():
    script = write_script(pages(400), 0)
    texts = script.last_records()
    changed = [texts[repost] != texts[original] for repost, original in script.originals.items()]
    assert sum(changed) == len(changed) / 2


def test_crowding_counts_reposts_of_what_is_selected():
    originals = {"a~1": "a", "a~2": "a", "b~1": "b"}
    assert crowding(["a", "z"], originals, {"a": 3, "b": 2}) == (2, 0)
    assert crowding(["a~1", "a~2", "b"], originals, {"a": 3, "b": 2}) == (2, 1)
    assert crowding(["z"], originals, {"a": 3, "b": 2}) == (0, 0)
