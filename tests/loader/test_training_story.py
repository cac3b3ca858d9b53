"""A training that is killed twice while its selection grows has trained on what one that was not killed trains on."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.kafka.topics import Topics
from tests.loader.tools import needed

needed("torch")

from benchmarks.loader.training.model import Shape  # noqa: E402
from benchmarks.loader.training.story import Size, Story, tell  # noqa: E402

SMALL = Size(
    documents=1000,
    part=60,
    pause=0.4,
    budget=150,
    steps=75,
    shape=Shape(vocabulary=512, length=32, width=64, layers=2),
    follow="step:5",
    checkpoint_every=7,
)


def check(story: Story) -> None:
    """It was killed twice, changed over to newer revisions, and left no trace of either."""
    assert len(story.killed_at) == len(story.resumed_at) == 2
    assert all(resumed <= killed for resumed, killed in zip(story.resumed_at, story.killed_at, strict=True))
    assert len(story.revisions) >= 3
    assert story.revisions == sorted(story.revisions)
    assert sorted(story.served) == list(range(SMALL.steps))
    assert story.served == story.reference
    assert sorted(story.losses) == list(range(1, SMALL.steps + 1))
    assert story.losses == story.reference_losses
    assert story.losses[SMALL.steps] < story.losses[1]


def test_kills_leave_no_trace_in_what_was_trained_on(tmp_path: Path) -> None:
    check(tell(tmp_path / "story", SMALL, random.randrange(1000)))


@pytest.mark.kafka
def test_kills_leave_no_trace_where_everything_goes_through_kafka(
    broker: Topics, fresh: Callable[[str], str], tmp_path: Path
) -> None:
    check(tell(tmp_path / fresh("story"), SMALL, random.randrange(1000), broker.bootstrap))
