"""A selection is exported from wherever it is kept, and nothing but the export is left."""

from __future__ import annotations

import json
from pathlib import Path

import fsspec
import pytest

from tests.exporting.selections import Writer, content, export, lines, names, removed, request
from tests.kafka.publishing import Publishing, rows, sliding
from tests.kafka.topics import Topics
from tests.loader.test_topics import copy_of
from tests.loader.test_topics import grow as grow_topics
from tests.streams.kafka_log import LogReader
from tests.streams.kafka_log import Topics as TopicsInMemory
from tsds_stream.cli import main
from tsds_stream.exit_status import ExitStatus
from tsds_stream.exporting.newest import catch_up_with
from tsds_stream.loader.errors import RevisionError


@pytest.mark.parametrize("cached", [False, True])
def test_a_copy_elsewhere_gives_the_same_bytes(tmp_path: Path, cached: bool) -> None:
    writer = Writer(tmp_path / "selection")
    writer.publish(names(30))
    writer.publish(names(30, 10))
    writer.close()
    export(writer.root, tmp_path / "whole", request(since=1, shard_size=64 << 20))
    fsspec.filesystem("memory").put(str(writer.root), f"/{tmp_path.name}{cached}", recursive=True)
    out, words = tmp_path / "there" / "out", ["--cache", str(tmp_path / "cache")] if cached else []
    url = f"memory://{tmp_path.name}{cached}"
    assert main(["export", url, "--output", str(out), "--since", "1", *words]) == ExitStatus.OK
    assert content(out) == content(tmp_path / "whole")
    assert [path.name for path in out.parent.iterdir()] == ["out"]
    assert (tmp_path / "cache").exists() == cached
    assert main(["export", url, "--output", str(out), *words]) == ExitStatus.STATE
    assert [path.name for path in out.parent.iterdir()] == ["out"]


def test_a_file_url_is_the_directory_itself(tmp_path: Path) -> None:
    writer = Writer(tmp_path / "selection")
    writer.publish(names(30))
    writer.close()
    for name, place in (("a", writer.root.as_uri()), ("b", str(writer.root))):
        assert main(["export", place, "--output", str(tmp_path / name)]) == ExitStatus.OK
    assert content(tmp_path / "a") == content(tmp_path / "b")


def test_a_copy_of_topics_catches_up_before_its_newest_revision_is_exported(tmp_path: Path) -> None:
    topics = TopicsInMemory(partitions=2)
    grow_topics(topics, 0, 3)
    with copy_of(topics, tmp_path) as revisions:
        assert revisions.newest() == 3
    grow_topics(topics, 3, 12)
    with copy_of(topics, tmp_path) as revisions:
        catch_up_with(LogReader(topics), "revisions", revisions, 60.0)
        assert revisions.newest() == 12
    grow_topics(topics, 12, 13)
    with pytest.raises(RevisionError, match="has revision 12, and the topic 13; it has not caught up within 0 s"):
        catch_up_with(LogReader(topics), "revisions", revisions, 0.1)


@pytest.mark.kafka
def test_topics_are_exported_as_they_are_at_that_moment(broker: Topics, fresh, tmp_path: Path) -> None:
    def exported(name: str, *words: str) -> list[dict[str, object]]:
        url = f"kafka://{topics.bootstrap}/{topics.selection}?revisions={topics.revisions}"
        assert main(["export", url, "--output", str(tmp_path / name), *words]) == ExitStatus.OK
        return lines(tmp_path / name)

    def told(found: list[dict[str, object]]) -> dict[str, object]:
        return rows({one["id"]: {**one} for one in found})

    cache = ["--cache", str(tmp_path / "cache")]
    with Publishing(broker, fresh) as topics:
        for n in range(3):
            topics.publish({"default": sliding(n)})
        assert told(exported("plain")) == topics.truth["default", 3]
        assert told(exported("kept", *cache)) == topics.truth["default", 3]
        assert content(tmp_path / "plain") == content(tmp_path / "kept")
        topics.publish({"default": sliding(5)})
        change = {one["id"]: one for one in exported("change", "--since", "3", *cache)}
        held = {one["id"]: one for one in lines(tmp_path / "kept")} | change
        for name in removed(tmp_path / "change"):
            del held[name]
        assert told(list(held.values())) == topics.truth["default", 4]
        assert [path.name for path in tmp_path.glob("*.tmp")] == []


def test_options_come_from_a_file(tmp_path: Path, capsys) -> None:
    options = tmp_path / "options.json"
    for text, wrong in (("{", "is not JSON"), ("[1]", "is not a JSON object")):
        options.write_text(text)
        words = ["export", "memory://x", "--output", str(tmp_path / "out"), "--options", str(options)]
        assert main(words) == ExitStatus.USAGE
        assert wrong in capsys.readouterr().err
    options.write_text(json.dumps({}))
    assert main(words) == ExitStatus.STATE
    assert "no set there has a file LATEST" in capsys.readouterr().err
