"""Trains a small language model from a selection while that goes on growing; started again, it goes on where it was."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn import functional

from benchmarks.loader.training.model import Shape, Transformer
from tsds_stream.loader import SelectedDataset, SelectedLoader
from tsds_stream.loader.following import Coordination

NOTHING = -100  # label of a token that is not to be learnt


@dataclass(frozen=True)
class Run:
    """What a run is made with, and where it leaves its checkpoint, its losses and its served log.

    Attributes:
        selection: a snapshot directory, or the topics of a selection.
        cache: for the copy of what is in topics.
        follow: when a newer revision is taken up.
        checkpoint_every: steps.
    """

    folder: Path
    selection: str
    tokenizer: Path
    cache: Path | None = None
    shape: Shape = field(default_factory=Shape)
    steps: int = 300
    batch_size: int = 8
    follow: str = "step:20"
    checkpoint_every: int = 10
    learning_rate: float = 1e-3

    @property
    def checkpoint(self) -> Path:
        return self.folder / "checkpoint.pt"

    @property
    def losses(self) -> Path:
        """JSON lines; of a step that was trained again after a crash, the last one counts."""
        return self.folder / "losses.jsonl"

    @property
    def served(self) -> Path:
        return self.folder / "served"


class Tokens:
    """Makes a batch of documents a pair of (batch, length) int64 tensors, tokens and labels; in the workers."""

    def __init__(self, tokenizer: Path, length: int) -> None:
        self._path, self._length = str(tokenizer), length
        self._tokenizer: Tokenizer | None = None  # of this process

    def __call__(self, documents: Sequence[dict[str, Any]]) -> tuple[Tensor, Tensor]:
        if self._tokenizer is None:
            self._tokenizer = Tokenizer.from_file(self._path)
        tokens = torch.zeros(len(documents), self._length + 1, dtype=torch.int64)
        learnt = torch.zeros_like(tokens, dtype=torch.bool)
        for row, document in enumerate(documents):
            ids = self._tokenizer.encode(document["text"]).ids[: self._length + 1]
            tokens[row, : len(ids)], learnt[row, : len(ids)] = torch.tensor(ids), True
        return tokens[:, :-1], tokens[:, 1:].masked_fill(~learnt[:, 1:], NOTHING)

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_tokenizer": None}


def train(run: Run, workers: int, coordination: Coordination | None = None) -> None:
    """Train to the last step, from the checkpoint on if there is one."""
    torch.manual_seed(0)
    torch.set_num_threads(1)  # sums of several threads come out in another order each time
    torch.use_deterministic_algorithms(True)
    model = Transformer(run.shape)
    optimiser = torch.optim.AdamW(model.parameters(), run.learning_rate)
    dataset = SelectedDataset(
        run.selection, follow=run.follow, repeat=True, cache=run.cache, coordination=coordination, max_staleness=3600
    )
    loader = SelectedLoader(
        dataset,
        run.batch_size,
        workers,
        collate_fn=Tokens(run.tokenizer, run.shape.length),
        served=run.served,
    )
    parts = {"model": model, "optimiser": optimiser, "loader": loader}
    if run.checkpoint.exists():
        for name, state in torch.load(run.checkpoint).items():
            parts[name].load_state_dict(state)
    with run.losses.open("a") as losses:
        for tokens, labels in loader if loader.step < run.steps else ():
            loss = functional.cross_entropy(model(tokens).flatten(0, 1), labels.flatten(), ignore_index=NOTHING)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            note = {"step": loader.step, "loss": loss.item(), "revision": loader.revision, "epoch": loader.epoch}
            print(json.dumps(note), file=losses, flush=True)
            if loader.step % run.checkpoint_every == 0 or loader.step == run.steps:
                state = {
                    "model": model.state_dict(),
                    "optimiser": optimiser.state_dict(),
                    "loader": loader.state_dict(),
                }
                save(run.checkpoint, state)
            if loader.step == run.steps:
                break
    loader.close()
    dataset.close()


def save(path: Path, state: dict[str, Any]) -> None:
    """In one step: a crash leaves the checkpoint before."""
    beside = path.with_suffix(".partial")
    with beside.open("wb") as file:
        torch.save(state, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
