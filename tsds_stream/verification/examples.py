"""The target examples of each set as they are now, or as they were at the positions of a revision, with vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import orjson

from tsds_stream.engine.preparation import Preparer
from tsds_stream.engine.target_set import TargetsError, embedded
from tsds_stream.records import Json, Target
from tsds_stream.selection.settings import SelectorConfig
from tsds_stream.streams.base import SourceError
from tsds_stream.verification.recomputation import SetOracle


class ExampleReader(Protocol):
    """The examples of one set."""

    def at(self, positions: Json | None) -> list[Target]:
        """Those at some positions of their stream, in ascending order of id; a file has only those of now.

        Raises `SourceError`."""


class Oracles:
    """Gives the oracle of each revision; examples are embedded once for all revisions that have the same.

    Args:
        embedder: fingerprint.
    """

    def __init__(
        self,
        configs: Mapping[str, SelectorConfig],
        readers: Mapping[str, ExampleReader],
        preparer: Preparer,
        embedder: str,
        dimension: int,
    ) -> None:
        self._configs = configs
        self._readers = readers
        self._preparer = preparer
        self._embedder = embedder
        self._dimension = dimension
        self._made: dict[tuple[str, bytes], SetOracle | str] = {}

    def __call__(self, name: str, record: Json) -> SetOracle | str:
        """The oracle of a revision, or why there is none."""
        if name not in self._configs:
            return "the configuration has no such target set"
        positions = record["positions"].get("targets")
        key = (name, orjson.dumps(positions, option=orjson.OPT_SORT_KEYS))
        if key not in self._made:
            self._made[key] = self._make(name, positions)
        return self._made[key]

    def _make(self, name: str, positions: Json | None) -> SetOracle | str:
        try:
            targets = self._readers[name].at(positions)
            examples, _ = embedded(name, targets, self._preparer, self._dimension, tolerant=True)
        except (SourceError, TargetsError) as error:
            return f"its target examples cannot be used: {error}"
        return SetOracle(name, self._configs[name], self._embedder, examples)
