"""Documents as sequences of one length, for a model that is trained on tokens."""

from __future__ import annotations

import zlib
from collections.abc import Collection
from typing import Any, Final

import numpy as np
import torch

from tsds_stream.loader.ahead import Chunks
from tsds_stream.loader.composite import Composite
from tsds_stream.loader.dataset import SelectedDataset
from tsds_stream.loader.fetching import SERVED
from tsds_stream.loader.leaves import Leaf
from tsds_stream.loader.mixture import Mixture, MixtureStream
from tsds_stream.loader.packing import (
    PACKINGS,
    Concat,
    FirstFit,
    LeftOver,
    Packer,
    Packing,
    Piece,
    left_over_as_json,
    left_over_of,
    sequence_of,
)
from tsds_stream.loader.sources import ChunkReader
from tsds_stream.loader.tokenizing import INPUT_IDS, Encode, Tokenized, Tokenizer
from tsds_stream.records import Json

DOCUMENTS: Final = "documents"


class Packed(Composite):
    """Sequences of `sequence_length` tokens out of a `Mixture`, a `SelectedDataset` or any other data set.

    A sample is a dictionary of (sequence_length,) int64 tensors: `input_ids`; `labels`, the same, with -100 where there
    is padding (not shifted: models do that); `position_ids`, from 0 in every document and in what continues one;
    `document_ids`, from 0, to keep attention within documents, with -1 where there is padding. `documents` lists what
    is in it: `{id, source, served, start, tokens}`, of which `start` is the first token's place within its document.
    `SelectedLoader` stacks the tensors of a batch, and makes a list of the `documents`. Documents without tokens are
    left out. Texts are tokenized in the workers. Where a revision changes over, what is left of documents that were
    taken before is still served.

    Args:
        dataset: of documents.
        tokenizer: anything with `encode`, or a callable from a text to its token ids; see `Tokenized`. None: documents
            have `input_ids`.
        sequence_length: in tokens.
        mode: `concat` puts one document after the other and cuts where a sequence is full: there is padding only at the
            end. `first_fit` cuts no document that fits into a sequence: it goes whole into the first of some open
            sequences that has room. Of longer ones, full sequences are cut off.
        separator: id that is put after every document, such as that of an end-of-text token; None: nothing.
        padding: id where there is no token.
        open_sequences: how many `first_fit` fills at the same time. More of them leave less room unused, and make a
            larger state.
        field: of the text.

    Raises:
        ValueError, TypeError: a setting is not one.
    """

    def __init__(
        self,
        dataset: Any,
        tokenizer: Tokenizer | Encode | None,
        sequence_length: int = 2048,
        mode: Packing = "concat",
        *,
        separator: int | None = None,
        padding: int = 0,
        open_sequences: int = 16,
        field: str = "text",
    ) -> None:
        super().__init__()
        if mode not in PACKINGS:
            raise ValueError(f"mode is {' or '.join(PACKINGS)}, not {mode!r}")
        if sequence_length < 1 or open_sequences < 1:
            raise ValueError("sequence_length and open_sequences are at least 1")
        if isinstance(dataset, Packed):
            raise TypeError("a Packed is packed already")
        self._mixture = dataset if isinstance(dataset, Mixture) else _alone(dataset)
        self._tokenized = Tokenized(_given if tokenizer is None else tokenizer, field)
        self.sequence_length, self.mode = sequence_length, mode
        self._separator, self._padding, self._most = separator, padding, open_sequences

    @property
    def mixture(self) -> Mixture:
        return self._mixture

    @property
    def configuration(self) -> Json:
        return {
            **self._mixture.configuration,
            "sequence_length": self.sequence_length,
            "mode": self.mode,
            "separator": self._separator,
            "padding": self._padding,
            "open_sequences": self._most if self.mode == "first_fit" else None,
        }

    def reader(self) -> ChunkReader:
        return self._mixture.reader(self._tokenized)

    def stream(self, chunks: Chunks, reader: ChunkReader, worker: int = 0, workers: int = 1) -> PackedStream:
        documents = self._mixture.stream(chunks, reader, worker, workers)
        length = self.sequence_length
        packer: Packer = Concat(length) if self.mode == "concat" else FirstFit(length, self._most)
        return PackedStream(documents, packer, length, self._separator, self._padding)

    def collate(self, samples: list[Any]) -> Any:
        names = [name for name in samples[0] if name != DOCUMENTS]
        batch: Json = {name: torch.stack([sample[name] for sample in samples]) for name in names}
        return {**batch, DOCUMENTS: [sample[DOCUMENTS] for sample in samples]}

    def provenance(self, sample: Any) -> list[Json]:
        return [document for document in sample[DOCUMENTS] if document["start"] == 0]

    def as_json(self, state: Json) -> Json:
        return {**state, "left_over": left_over_as_json(state["left_over"])}


class PackedStream:
    """The sequences, one after the other."""

    def __init__(
        self, documents: MixtureStream, packer: Packer, length: int, separator: int | None, padding: int
    ) -> None:
        self.leaves: dict[str, Leaf] = documents.leaves
        self._documents, self._packer, self._length, self._padding = documents, packer, length, padding
        self._after = [] if separator is None else [separator]

    def take(self) -> Json | None:
        pieces = self._packer.next()
        while pieces is None:
            found = self._documents.draw()
            if found is None:
                pieces = self._packer.rest()
                break
            piece = self._piece(found.document)
            if piece is not None:
                self._packer.add(piece)
                pieces = self._packer.next()
        return None if pieces is None else self._sample(pieces)

    @property
    def through(self) -> list[str]:
        return self._documents.through

    def begin(self, through: Collection[str]) -> None:
        self._documents.begin(through)

    def state(self) -> Json:
        return {**self._documents.state(), "left_over": self._packer.state()}

    def restore(self, state: Json) -> None:
        try:
            left: LeftOver = left_over_of(state["left_over"])
        except zlib.error as error:
            raise ValueError(f"left-over tokens are damaged: {error}") from error
        self._documents.restore(state)
        self._packer.restore(left)

    def _piece(self, document: Json) -> Piece | None:
        tokens = document[INPUT_IDS]
        if not len(tokens):
            return None
        if self._after:
            tokens = np.append(tokens, np.array(self._after, np.int32))
        return Piece(tokens, 0, {"id": document["id"], SERVED: document[SERVED]})

    def _sample(self, pieces: list[Piece]) -> Json:
        arrays = sequence_of(pieces, self._length, self._padding)
        sample: Json = {name: torch.from_numpy(values) for name, values in arrays.items()}
        sample[DOCUMENTS] = [
            {
                **piece.origin,
                "source": piece.origin[SERVED]["source"],
                "start": piece.start,
                "tokens": len(piece.tokens),
            }
            for piece in pieces
        ]
        return sample


def _alone(dataset: Any) -> Mixture:
    name = dataset.archive.target_set if isinstance(dataset, SelectedDataset) else DOCUMENTS
    return Mixture({name: (dataset, 1.0)}, unit="documents")


def _given(text: str) -> list[int]:
    raise TypeError("it has no input_ids, and Packed was given no tokenizer")
