"""Trains from a selection that goes on growing, killed twice, and tells whether that left a trace.

python -m benchmarks.loader.training [--kafka] [--seed N] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.loader.training.story import WORKERS, Size, Story, tell
from tests.kafka.broker import Broker


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.loader.training", description=__doc__)
    parser.add_argument("--kafka", action="store_true", help="through a real Kafka server, started for it")
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1_000_000, help="decides when the kills come")
    parser.add_argument("--keep", type=Path, metavar="FOLDER", help="leave everything in this new folder")
    options = parser.parse_args()
    with _folder(options.keep) as folder:
        if options.kafka:
            with Broker(folder / "broker") as broker:
                story = tell(folder / "story", Size(), options.seed, broker.bootstrap)
        else:
            story = tell(folder / "story", Size(), options.seed)
    print("\n".join(_told(story, options.seed)))
    return 0 if story.served == story.reference and story.losses == story.reference_losses else 1


@contextmanager
def _folder(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True)
        yield given
    else:
        with TemporaryDirectory(prefix="tsds-stream-training-") as name:
            yield Path(name)


def _told(story: Story, seed: int) -> Iterator[str]:
    steps, documents = len(story.served), sum(len(one.ids) for one in story.served.values())
    first, last = story.losses[min(story.losses)], story.losses[max(story.losses)]
    yes = {True: "yes", False: "NO"}
    yield f"{story.parameters:,} parameters, {steps} steps, {documents:,} documents; {story.seconds:.0f} s, seed {seed}"
    yield f"loader workers of the three lives: {', '.join(map(str, WORKERS))}"
    yield f"killed with -9 after steps {', '.join(map(str, story.killed_at))}"
    resumed = ", ".join(map(str, story.resumed_at))
    yield f"resumed from the checkpoints at {resumed}; {story.given_up} batches were served for nothing"
    yield f"revisions served: {', '.join(map(str, story.revisions))}"
    yield f"loss: {first:.4f} at the first step, {last:.4f} at the last"
    yield f"the documents are those of the run that was not killed, one by one: {yes[story.served == story.reference]}"
    yield f"so are the losses, to the last bit: {yes[story.losses == story.reference_losses]}"


if __name__ == "__main__":
    sys.exit(main())
