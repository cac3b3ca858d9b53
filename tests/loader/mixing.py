"""Mixtures of a selection, a list and an iterable, and what loaders serve of them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import IterableDataset

from tests.patience import PATIENCE
from tsds_stream.loader.dataset import SelectedDataset
from tsds_stream.loader.loader import SelectedLoader
from tsds_stream.loader.mixture import Mixture
from tsds_stream.loader.packed import Packed


def encode(text: str) -> list[int]:
    """A token per letter."""
    return [ord(letter) for letter in text]


def lengths(count: int, first: int = 0) -> list[dict[str, str]]:
    """Documents of 0 … 16 letters."""
    return [{"id": f"b{k}", "text": "b" * (k * 7 % 17)} for k in range(first, first + count)]


class Lines(IterableDataset):  # type: ignore[misc]
    """Has no state: what was taken is read again."""

    def __init__(self, count: int) -> None:
        self.count = count

    def __iter__(self) -> Iterator[Any]:
        return iter([{"id": f"i{k}", "text": "i" * (k % 5 + 1)} for k in range(self.count)])


class Stateful(Lines):
    """Has a state, and an order for every epoch; counts what it gives."""

    def __init__(self, count: int) -> None:
        super().__init__(count)
        self.position, self.epoch, self.given = 0, 0, 0

    def __iter__(self) -> Iterator[Any]:
        while self.position < self.count:
            self.position += 1
            self.given += 1
            yield {"id": f"s{self.epoch}-{self.position - 1}", "text": "s" * (self.position % 4 + 1)}
        self.position = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def state_dict(self) -> dict[str, int]:
        return {"position": self.position}

    def load_state_dict(self, state: dict[str, int]) -> None:
        self.position = state["position"]


def selected(path: Path, **settings: Any) -> SelectedDataset:
    return SelectedDataset(settings.pop("archive", path), timeout=PATIENCE, **{"revision": 1, **settings})


def of_three(path: Path, **settings: Any) -> Mixture:
    """Half a selection, and a list and an iterable, which repeat."""
    sources = {
        "selected": (selected(path, **settings.pop("of_selection", {})), 0.5),
        "base": (lengths(37), 0.3),
        "lines": (settings.pop("lines", Lines(11)), 0.2),
    }
    return Mixture(sources, **{"exhausted": "repeat", "unit": "documents", **settings})


def of_kind(kind: str, path: Path, **settings: Any) -> Mixture | Packed:
    """A `mixture`, or one that is packed: `concat` or `first_fit`."""
    if kind == "mixture":
        return of_three(path, **settings)
    mode: Any = kind
    return Packed(of_three(path, **{"unit": "tokens", **settings}), encode, 24, mode, separator=1, open_sequences=3)


def shown(batch: Any) -> Any:
    """A batch to be compared."""
    if isinstance(batch, list):
        return [(one["served"]["source"], one["served"]["revision"], one["id"]) for one in batch]
    return {name: one.tolist() if isinstance(one, torch.Tensor) else one for name, one in batch.items()}


def served(loader: SelectedLoader, until: int, states: list[Any] | None = None) -> list[Any]:
    """Batches up to a step, over as many rounds as it takes."""
    out = []
    while loader.step < until:
        for batch in loader:
            out.append(shown(batch))
            if states is not None:
                states.append(json.loads(json.dumps(loader.state_dict())))
            if loader.step >= until:
                break
    return out
