"""A loader with workers serves a copy behind fsspec, and a selection in topics, as it serves the directory itself."""

from __future__ import annotations

from itertools import chain
from pathlib import Path

import pytest

from tests.kafka.publishing import Publishing, sliding
from tests.kafka.topics import Topics
from tests.loader.selections import Selection, ids
from tests.loader.serving import loader_of, origins, serve
from tests.loader.test_topics import eventually
from tests.loader.test_topics_broker import url_of
from tests.loader.tools import WORKERS_ARE_FINE, needed
from tsds_stream.loader.revisions import Revisions

needed("torch")

pytestmark = WORKERS_ARE_FINE


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_a_copy_behind_fsspec_is_followed_and_resumed_with_other_workers(tmp_path: Path, context: str) -> None:
    root, url = tmp_path / "selection", f"file://{tmp_path}/selection"
    selection = Selection(root, ids(40))
    settings = {"follow": "step:3", "repeat": True, "collate_fn": origins}
    there = {"archive": url, "cache": tmp_path / "cache", "multiprocessing_context": context}
    loader = loader_of(root, 4, 2, **there, **settings)
    served = serve(loader, 5)
    selection.publish(ids(40, 20))
    states: list[dict] = []
    served += serve(loader, 24, states)
    loader.close()
    assert {revision for revision, _ in chain(*served)} == {1, 2}
    assert set(served[-1]) <= {(2, name) for name in ids(40, 20)}
    for resumed in (loader_of(root, 4, 1, **there, **settings), loader_of(root, 4, 0, **settings)):
        resumed.load_state_dict(states[1])  # the second one reads the directory itself
        assert serve(resumed, 24) == served[7:]
        resumed.close()
    selection.close()


@pytest.mark.kafka
def test_topics_are_followed_by_workers_and_a_resume_finds_its_revision_again(
    broker: Topics, fresh, tmp_path: Path
) -> None:
    with Publishing(broker, fresh) as topics:
        topics.publish({"default": sliding(0)})
        first = sorted(topics.truth["default", 1])
        settings = {"follow": "epoch", "repeat": True, "collate_fn": origins}
        with Revisions.open(url_of(topics), cache=tmp_path) as revisions:
            loader = loader_of(tmp_path, 2, 2, archive=revisions, **settings)
            served = serve(loader, 1)
            state = loader.state_dict()
            for n in range(1, 30):  # more than a copy keeps
                topics.publish({"default": sliding(n)})
            eventually(lambda: revisions.newest() == 30)
            batches = iter(loader)
            while served[-1][0][0] < 30:
                served.append(next(batches))
            assert sorted(name for revision, name in chain(*served) if revision == 1) == first
            loader.close()
        with Revisions.open(url_of(topics), cache=tmp_path) as revisions:
            resumed = loader_of(tmp_path, 2, 1, archive=revisions, **settings)
            resumed.load_state_dict(state)
            assert serve(resumed, (len(first) + 1) // 2) == served[1 : (len(first) + 1) // 2]
            resumed.close()
