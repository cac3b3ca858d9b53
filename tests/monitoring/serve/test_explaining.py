"""Explanations out of checkpoints, while the run goes on."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import numpy as np
import orjson
import pytest

from tests.monitoring.serve.asking import eventually
from tests.patience import PATIENCE
from tests.selection.selector_cases import IDS, fed
from tsds_stream.checkpoint import CheckpointStore
from tsds_stream.monitoring.serve.explaining import CannotExplainError, Explainer, NotNowError, UnknownError
from tsds_stream.monitoring.serve.explanation_page import as_json, as_page
from tsds_stream.payloads import Payload, PayloadStore
from tsds_stream.selection.selector import Selector
from tsds_stream.stored_state import checkpoints_in, payloads_in

TEXT = "a text with <script>alert(1)</script> in it"


@pytest.fixture(scope="module")
def selector() -> Selector:
    return fed(300)


def save(root: Path, **selectors: Selector) -> int:
    """One more checkpoint; returns its number."""

    def write(directory: Path) -> None:
        for name, one in selectors.items():
            one.save(directory / name)

    return CheckpointStore(checkpoints_in(root)).save(write, {"sets": {name: {} for name in selectors}}).number


def test_the_answer_is_that_of_the_command(tmp_path: Path, selector: Selector):
    save(tmp_path, default=selector)
    found = Explainer(tmp_path).explain(None, IDS[0])
    assert found.set == "default"
    assert (found.content, found.sentences) == (
        selector.explain(IDS[0]).as_dict(),
        selector.explain(IDS[0]).sentences(),
    )
    assert (found.checkpoint, found.text) == (1, None)
    written = (checkpoints_in(tmp_path) / "00000001" / "checkpoint.json").stat().st_mtime
    assert found.written == int(written * 1000)
    assert orjson.dumps(as_json(found), option=orjson.OPT_SERIALIZE_NUMPY)
    assert "No text is stored of it." in as_page(found, found.written)


def test_the_stored_text_is_told_and_a_long_one_is_cut(tmp_path: Path, selector: Selector):
    save(tmp_path, default=selector)
    keys = dict(selector.held())
    with PayloadStore(payloads_in(tmp_path)) as store:
        store.put([Payload(IDS[0], keys[IDS[0]], TEXT), Payload(IDS[1], keys[IDS[1]], "x" * 1_000_000)])
        store.sync()
        explainer = Explainer(tmp_path)
        found = explainer.explain("default", IDS[0])
        assert found.text == TEXT
        assert "<script" not in as_page(found, found.written)
        assert len(explainer.explain("default", IDS[1]).text or "") == 20_001


def test_a_newer_checkpoint_is_asked_as_soon_as_it_is_there(tmp_path: Path, selector: Selector):
    save(tmp_path, default=fed(100))
    explainer = Explainer(tmp_path)
    with pytest.raises(UnknownError, match="is not held by target set default as of checkpoint 1"):
        explainer.explain(None, IDS[250])
    save(tmp_path, default=selector)
    assert explainer.explain(None, IDS[250]).checkpoint == 2


def test_while_a_checkpoint_is_the_newest_its_selector_is_read_once(
    tmp_path: Path, selector: Selector, monkeypatch: pytest.MonkeyPatch
):
    save(tmp_path, default=selector, other=selector)
    read: list[str] = []
    load = Selector.load
    monkeypatch.setattr(Selector, "load", lambda path: read.append(path.name) or load(path))
    explainer = Explainer(tmp_path)
    for name, document in (("default", 0), ("default", 1), ("other", 0), ("default", 2)):
        explainer.explain(name, IDS[document])
    assert read == ["default", "other", "default"]


def test_a_selector_that_nobody_asks_is_let_go_of(tmp_path: Path, selector: Selector):
    save(tmp_path, default=selector)
    explainer = Explainer(tmp_path, kept=0.05)
    explainer.explain(None, IDS[0])
    eventually(lambda: not explainer.loaded)
    assert explainer.explain(None, IDS[0]).checkpoint == 1


def test_questions_do_not_queue(tmp_path: Path, selector: Selector, monkeypatch: pytest.MonkeyPatch):
    save(tmp_path, default=selector)
    explainer, loading, go_on = Explainer(tmp_path), threading.Event(), threading.Event()
    load = Selector.load

    def slow(path: Path) -> Selector:
        loading.set()
        assert go_on.wait(PATIENCE)
        return load(path)

    monkeypatch.setattr(Selector, "load", slow)
    first = threading.Thread(target=explainer.explain, args=(None, IDS[0]))
    first.start()
    assert loading.wait(PATIENCE)
    with pytest.raises(NotNowError, match="Another explanation"):
        explainer.explain(None, IDS[1])
    go_on.set()
    first.join()
    assert explainer.explain(None, IDS[1]).content["id"] == IDS[1]


def test_a_run_without_a_checkpoint_has_to_be_asked_later(tmp_path: Path):
    for root in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(NotNowError, match="there is none that can be used yet"):
            Explainer(root).explain(None, "a")


def test_a_damaged_checkpoint_is_passed_over(tmp_path: Path, selector: Selector):
    save(tmp_path, default=selector)
    newest = save(tmp_path, default=selector)
    for path in (checkpoints_in(tmp_path) / f"{newest:08d}" / "default").iterdir():
        path.write_bytes(b"?" * path.stat().st_size)
    assert Explainer(tmp_path).explain(None, IDS[0]).checkpoint == 1


def test_a_checkpoint_that_vanishes_is_asked_about_once_more(
    tmp_path: Path, selector: Selector, monkeypatch: pytest.MonkeyPatch
):
    """The run removes old ones, and it may do so while one is being read."""
    old = save(tmp_path, default=selector)
    load = Selector.load

    def vanished(path: Path) -> Selector:
        monkeypatch.setattr(Selector, "load", load)
        save(tmp_path, default=selector)
        shutil.rmtree(checkpoints_in(tmp_path) / f"{old:08d}")
        return load(path)

    monkeypatch.setattr(Selector, "load", vanished)
    assert Explainer(tmp_path).explain(None, IDS[0]).checkpoint == old + 1


def test_one_that_cannot_be_read_is_a_sentence(tmp_path: Path, selector: Selector, monkeypatch: pytest.MonkeyPatch):
    save(tmp_path, default=selector)

    def broken(path: Path) -> Selector:
        raise ValueError("its version is 99")

    monkeypatch.setattr(Selector, "load", broken)
    with pytest.raises(NotNowError, match="its version is 99"):
        Explainer(tmp_path).explain(None, IDS[0])


def test_a_set_has_to_be_named_where_there_are_several(tmp_path: Path, selector: Selector):
    save(tmp_path, default=selector, other=selector)
    explainer = Explainer(tmp_path)
    with pytest.raises(CannotExplainError, match="There are default, other"):
        explainer.explain(None, IDS[0])
    for name in ("absent", "../default", "", "default/"):
        with pytest.raises(UnknownError, match="There is no target set"):
            explainer.explain(name, IDS[0])


def test_an_id_may_be_any_text(tmp_path: Path, selector: Selector):
    odd = "ü/../ %00 <b>"
    one = fed(50)
    one.add([odd], np.asarray(one.vectors([IDS[0]])))
    save(tmp_path, default=one)
    assert Explainer(tmp_path).explain(None, odd).content["id"] == odd
    with pytest.raises(UnknownError):
        Explainer(tmp_path).explain(None, "\ufffd" * 1000)
