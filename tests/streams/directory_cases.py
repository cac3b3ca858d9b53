"""Snapshot directories with a few known revisions."""

from __future__ import annotations

from tests.faulty_disk import FaultyDisk
from tests.streams.stories import Story
from tsds_stream.streams.compaction import Compaction
from tsds_stream.streams.directory import DirectorySink


def opened(root, story=None, **options):
    sink = DirectorySink(root, **{"disk": FaultyDisk(), **options})
    committed = sink.recover()
    assert (story or Story()).is_what(committed)
    return sink


def published(root, *revisions, **options):
    """A directory with these revisions of the set "a"."""
    story, sink = Story(), opened(root, **options)
    for step, members in enumerate(revisions):
        story, arguments = story.after({"a": members}, [], {"documents": step})
        sink.commit(*arguments)
    sink.close()
    return story


FIRST = {"x": (0.5, 1.0, 1), "y": (0.25, 2.0, 1), "ä": (0.25, 2.0, 2)}
SECOND = {"x": (0.5, 1.0, 1), "ä": (0.375, 1.5, 3), "b": (0.125, 4.0, 1)}
MORE = {"q": (0.0, 1.0, 1), "r": (0.0, 1.0, 1)}  # with these, the second revision still uses the first segment
TIGHT = Compaction(large=8, many=2)  # compacts at every turn
