"""A run is killed twice and resumed while its selection goes on growing; then nothing tells it from one that was not.

The run that is not killed takes up the revisions where the served log says that the other one did. Its documents and
its losses have to be the same, in the same order, to the last bit.
"""

from __future__ import annotations

import json
import multiprocessing
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from random import Random
from typing import Any

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from benchmarks.loader.training.model import Shape, Transformer
from benchmarks.loader.training.publishing import Publisher
from benchmarks.loader.training.train import Run, train
from tsds_stream.demo.corpus import collect, installed_roots
from tsds_stream.demo.script import choose_targets, write_script
from tsds_stream.loader.served_reader import ServedReader

Json = dict[str, Any]
WORKERS = (2, 2, 1)  # of each life
_WAIT = 600.0  # seconds without a step
_LOOK_AGAIN = 0.01


@dataclass(frozen=True)
class Size:
    """How much there is of everything.

    Attributes:
        documents: of the corpus, before reposts; part: how many arrive at a time, and pause: seconds in between.
    """

    documents: int = 12_000
    part: int = 100
    pause: float = 2.0
    budget: int = 500
    steps: int = 300
    shape: Shape = field(default_factory=Shape)
    follow: str = "step:20"
    checkpoint_every: int = 10


@dataclass(frozen=True)
class Served:
    """One step of a run, as its served log has it."""

    revision: int
    epoch: int
    ids: tuple[str, ...]


@dataclass(frozen=True)
class Story:
    """What happened.

    Attributes:
        killed_at: the last step before each kill; resumed_at: the step of the checkpoint after it.
        revisions: that were served, in this order.
        given_up: batches that were served by lives that ended before their checkpoint.
        served, reference: by step, of the run that was killed and of the one that was not.
        losses, reference_losses: by step.
    """

    parameters: int
    killed_at: Sequence[int]
    resumed_at: Sequence[int]
    revisions: Sequence[int]
    given_up: int
    served: Mapping[int, Served]
    reference: Mapping[int, Served]
    losses: Mapping[int, float]
    reference_losses: Mapping[int, float]
    seconds: float


def tell(folder: Path, size: Size, seed: int, bootstrap: str | None = None) -> Story:
    """Let it happen in an empty folder; the moments of the kills follow from the seed, and from the machine."""
    folder.mkdir(parents=True, exist_ok=True)
    began, chance = time.monotonic(), Random(seed)
    corpus = collect(installed_roots(), size.documents, seed)
    events = write_script(corpus.documents, seed).events
    run = Run(
        folder / "run", "", folder / "tokenizer.json", folder / "cache" if bootstrap else None, size.shape, size.steps,
        follow=size.follow, checkpoint_every=size.checkpoint_every,
    )  # fmt: skip
    texts = [event["text"] for event in events[:2000] if "text" in event]
    tokenizer(texts, size.shape.vocabulary).save(str(run.tokenizer))
    targets = choose_targets(corpus.topic, seed)
    killed, resumed = [], []
    with Publisher(folder / "published", events, targets, size.budget, size.part, size.pause, bootstrap) as publisher:
        publisher.await_newer(0, run.cache)
        run = replace(run, selection=publisher.selection)
        for life, workers in enumerate(WORKERS):
            until = round(size.steps * (life + chance.uniform(0.7, 1.2)) / len(WORKERS))
            last = life + 1 == len(WORKERS)
            before = len(_notes(run))
            _live(run, workers, None if last else until, chance.uniform(0.0, 0.1))
            notes = _notes(run)
            if life:
                resumed.append(notes[before]["step"] - 1)
            if not last:
                killed.append(notes[-1]["step"])
                publisher.await_newer(notes[-1]["revision"], run.cache)  # or the rest might go by before there is one
        directory = publisher.directory
    served, given_up = read_served(run.served)
    again = replace(run, folder=folder / "reference", selection=str(directory), cache=None)
    _live(again, 0, coordination=Recorded({step: one.revision for step, one in served.items()}))
    reference, _ = read_served(again.served)
    return Story(
        sum(one.numel() for one in Transformer(size.shape).parameters()),
        killed,
        resumed,
        list(dict.fromkeys(served[step].revision for step in sorted(served))),
        given_up,
        served,
        reference,
        {note["step"]: note["loss"] for note in _notes(run)},
        {note["step"]: note["loss"] for note in _notes(again)},
        time.monotonic() - began,
    )


def read_served(log: Path) -> tuple[dict[int, Served], int]:
    """What counts of a served log, by step, and how many batches do not, because the life that had them has ended.

    Raises:
        RuntimeError: something is missing in it, or damaged.
    """
    reader = ServedReader(log)
    served, given_up = {}, 0
    for entry in reader:
        if entry.counts:
            served[entry.step] = Served(entry.revision, entry.epoch, tuple(entry.ids))
        given_up += not entry.counts
    if reader.problems:
        raise RuntimeError(f"the served log {log} is not whole: {' '.join(reader.problems)}")
    return served, given_up


class Recorded:
    """Decides as was decided before."""

    def __init__(self, revisions: Mapping[int, int]) -> None:
        self._revisions = dict(revisions)

    def decide(self, step: int, answer: Callable[[], int]) -> int:
        return self._revisions.get(step, self._revisions[max(self._revisions)])

    def gather(self, facts: Json) -> list[Json]:
        return [facts]


def tokenizer(texts: Sequence[str], vocabulary: int) -> Tokenizer:
    """Byte pairs, learnt from some documents."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer, made.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    made.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=vocabulary, initial_alphabet=alphabet, show_progress=False)
    )
    return made


def _live(run: Run, workers: int, until: int | None = None, pause: float = 0.0, coordination: Any = None) -> None:
    """One process that trains: to the end, or to its end by SIGKILL some moment after a step."""
    run.folder.mkdir(exist_ok=True)
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.loader.training.train"])  # each life would import torch for seconds
    process = context.Process(target=_train, args=(run, workers, coordination))
    process.start()
    try:
        _follow(process, run, until)
        if until is not None:
            time.sleep(pause)
            process.kill()
        process.join(_WAIT)
    finally:
        process.kill()
        process.join()
    expected = 0 if until is None else -signal.SIGKILL
    if process.exitcode != expected:
        raise RuntimeError(f"the training ended with {process.exitcode}, and should have with {expected}")


def _train(run: Run, workers: int, coordination: Any) -> None:
    """As a program of its own: workers of the loader are forked, and end with who forked them."""
    multiprocessing.set_start_method("fork", force=True)
    train(run, workers, coordination)


def _follow(process: ForkServerProcess, run: Run, until: int | None) -> None:
    """Wait until a step is reached, or the end."""
    deadline, seen = time.monotonic() + _WAIT, 0
    while process.is_alive():
        notes = _notes(run)
        if until is not None and notes and notes[-1]["step"] >= until:
            return
        if len(notes) > seen:
            deadline, seen = time.monotonic() + _WAIT, len(notes)
        if time.monotonic() > deadline:
            raise RuntimeError(f"no step of the training came for {_WAIT:g} s")
        time.sleep(_LOOK_AGAIN)


def _notes(run: Run) -> list[Json]:
    """What the training noted, in all of its lives; a line that a kill cut short is none."""
    lines = run.losses.read_bytes().split(b"\n")[:-1] if run.losses.exists() else []
    return [json.loads(line) for line in lines]
