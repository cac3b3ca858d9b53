"""Texts of documents that leave again before a checkpoint are never written."""

from __future__ import annotations

import numpy as np

from tests.engine_fakes import ListLog
from tsds_stream import Selector, SelectorConfig
from tsds_stream.engine.statistics import Statistics
from tsds_stream.engine.texts import Texts
from tsds_stream.payloads import PayloadStore
from tsds_stream.records import Document


def test_only_what_is_still_held_is_written(tmp_path):
    store = PayloadStore(tmp_path / "payloads.sqlite")
    texts = Texts(store, Statistics(), ListLog())
    selector = Selector(np.eye(4, dtype=np.float32)[:1], SelectorConfig(budget=1, sigma=0.5, max_k=2, slack=0))
    texts.selectors = [selector]
    report = selector.add(["a", "b"], np.eye(4, dtype=np.float32)[1:3])
    documents = [Document("a", text="first"), Document("b", text="second")]
    texts.put(documents, report.keys)
    assert [body.text for body in texts.bodies(["b", "a"], report.keys[::-1])] == ["second", "first"]
    assert len(store) == 0, "it waits in memory"
    selector.remove(["a"])
    texts.sync()
    assert len(store) == 1
    assert [body.text for body in texts.bodies(["b"], report.keys[1:])] == ["second"]
    assert texts.bodies(["a"], report.keys[:1])[0].text is None
    store.close()


def test_metadata_that_waits_is_bounded_like_texts(tmp_path, monkeypatch):
    """Documents that bring their embeddings may have nothing else."""
    monkeypatch.setattr("tsds_stream.engine.texts._MOST_CHARACTERS", 1000)
    store = PayloadStore(tmp_path / "payloads.sqlite")
    texts = Texts(store, Statistics(), ListLog())
    selector = Selector(np.eye(4, dtype=np.float32)[:1], SelectorConfig(budget=1, sigma=0.5, max_k=2, slack=0))
    texts.selectors = [selector]
    report = selector.add(["a", "b"], np.eye(4, dtype=np.float32)[1:3])
    texts.put([Document("a", meta={"page": "x" * 600})], report.keys[:1])
    assert len(store) == 0
    texts.put([Document("b", meta={"page": "x" * 600})], report.keys[1:])
    assert len(store) == 2
    store.close()
