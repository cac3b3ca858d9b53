"""The same documents through ours, a plain DataLoader, and two streaming libraries."""

from __future__ import annotations

import mmap
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import DataLoader, Dataset

from benchmarks.loader.selections import lines_of, shards_of
from tsds_stream.loader import SelectedDataset, SelectedLoader

BATCH = 32
Collate = Callable[[list[Any]], Any]


class Lines(Dataset):  # type: ignore[misc]
    """What one writes for oneself: a memory-mapped file of JSON lines, and where each begins."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("rb") as file:
            lengths = [len(line) for line in file]
        self._ends = np.cumsum([0, *lengths])
        self._lines: mmap.mmap | None = None

    def __len__(self) -> int:
        return len(self._ends) - 1

    def __getitem__(self, i: int) -> Any:
        if self._lines is None:
            with self._path.open("rb") as file:
                self._lines = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return orjson.loads(self._lines[self._ends[i] : self._ends[i + 1]])


def as_tensors(batch: list[Any]) -> Any:
    """What a training asks of its workers: the texts as one tensor of bytes."""
    texts = [torch.frombuffer(bytearray(document["text"], "utf-8"), dtype=torch.uint8) for document in batch]
    return {"id": [document["id"] for document in batch], "text": pad_sequence(texts, batch_first=True)}


def ours(root: Path, workers: int, collate: Collate | None = None) -> Iterator[Any]:
    """With the state taken after every batch."""
    loader = SelectedLoader(SelectedDataset(root, repeat=True), BATCH, workers, collate_fn=collate)
    for batch in loader:
        loader.state_dict()
        yield batch


def plain(root: Path, workers: int, collate: Collate | None = None) -> Iterator[Any]:
    """Shuffled by a permutation in memory; no state."""
    loader = DataLoader(
        Lines(lines_of(root)),
        BATCH,
        shuffle=True,
        num_workers=workers,
        collate_fn=collate or _as_it_is,
        persistent_workers=workers > 0,
    )
    while True:
        yield from loader


def mosaic(root: Path, workers: int) -> Iterator[Any]:
    """mosaicml-streaming, shuffled, with the state taken after every batch."""
    from streaming import MDSWriter, StreamingDataLoader, StreamingDataset

    local = root / "mds"
    if not local.exists():
        half = root / "mds.part"
        shutil.rmtree(half, ignore_errors=True)
        with MDSWriter(out=str(half), columns={"document": "bytes"}) as out, lines_of(root).open("rb") as lines:
            for line in lines:
                out.write({"document": line})
        half.rename(local)
    dataset = StreamingDataset(local=str(local), shuffle=True, batch_size=BATCH)
    loader = StreamingDataLoader(dataset, batch_size=BATCH, num_workers=workers, collate_fn=_decoded)
    while True:
        for batch in loader:
            loader.state_dict()
            yield batch


def hugging_face(root: Path, workers: int) -> Iterator[Any]:
    """Hugging Face datasets, streaming shards of JSON lines through torchdata's loader, as its documentation advises.

    With its shuffle buffer of 1,000, and the state taken after every batch.
    """
    from datasets import load_dataset
    from torchdata.stateful_dataloader import StatefulDataLoader

    shards = [str(path) for path in shards_of(root)]
    each = len(shards) // max(workers, 1)  # feed the buffer of a worker
    dataset = load_dataset("json", data_files=shards, split="train", streaming=True)
    dataset = dataset.shuffle(seed=0, buffer_size=1000, max_buffer_input_shards=each)
    loader = StatefulDataLoader(dataset, batch_size=BATCH, num_workers=workers, collate_fn=_as_it_is)
    epoch = 0
    while True:
        dataset.set_epoch(epoch)
        for batch in loader:
            loader.state_dict()
            yield batch
        epoch += 1


Contestant = Callable[[Path, int], Iterator[Any]]
OTHERS: dict[str, Contestant] = {"mosaicml-streaming": mosaic, "Hugging Face datasets": hugging_face}


def _as_it_is(batch: Any) -> Any:
    return batch


def _decoded(batch: Any) -> Any:
    return [orjson.loads(sample["document"]) for sample in batch]
