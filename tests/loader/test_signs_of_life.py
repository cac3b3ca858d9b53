"""A publisher is known to be alive by its heartbeats, and by what it publishes: these come first, and more often."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.streams.stories import publication
from tsds_stream.loader.revisions import Revisions
from tsds_stream.streams.directory import DirectorySink


@pytest.mark.parametrize("kind", ["directory", "copy"])
def test_the_later_of_heartbeat_and_newest_revision_counts(tmp_path: Path, kind: str) -> None:
    root = tmp_path / "selection"
    sink = DirectorySink(root)
    sink.recover()
    members = {"d": (1.0, 1.0, 1)}
    sink.commit([publication("default", 1, {}, members, created=1000)], [], {"at": 1})
    url, cache = (root, None) if kind == "directory" else (f"file://{root}", tmp_path / "cache")
    with Revisions.open(url, cache=cache) as revisions:
        assert revisions.heartbeat() == 1000
        sink.heartbeat({"at": 2}, 2000)
        assert revisions.heartbeat() == 2000
        sink.commit([publication("default", 2, members, {"e": (1.0, 1.0, 1)}, created=3000)], [], {"at": 3})
        assert revisions.heartbeat() == 3000
    sink.close()
