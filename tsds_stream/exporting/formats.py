"""What a format of exports can do, and which there are."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from tsds_stream.exporting.compression import Compression
from tsds_stream.exporting.documents import Document
from tsds_stream.records import Json

FORMATS: Final = ("jsonl", "parquet", "mds")
DEFAULT_COMPRESSION: Final[dict[str, Compression]] = {"jsonl": "none", "parquet": "zstd", "mds": "none"}


@dataclass(frozen=True, slots=True)
class File:
    """A finished file of an export.

    Attributes:
        note: what the format keeps of it for its index.
    """

    name: str
    bytes: int
    sha256: str
    documents: int
    note: Json = field(default_factory=dict)


class Format(Protocol):
    """One way to write documents. Equal documents give equal bytes, with one version of the libraries.

    Attributes:
        libraries: those that the bytes depend on, with their versions.
    """

    libraries: str

    def name(self, number: int) -> str:
        """Of the file with this number, from 0 on."""

    def encode(self, documents: Iterable[Document], note: Json) -> Iterator[bytes]:
        """The bytes of a file of at least one document; `note` takes what `index` will want to know."""

    def index(self, files: Sequence[File]) -> dict[str, bytes]:
        """Further files by their names, made when all files of documents are there."""


def format_of(name: str, compression: Compression, shard_size: int) -> Format:
    """The format with this name. Raises `ModuleNotFoundError` where it needs a library that is not installed."""
    if name == "jsonl":
        from tsds_stream.exporting.jsonl import JsonLines

        return JsonLines(compression)
    if name == "parquet":
        from tsds_stream.exporting.parquet import Parquet

        return Parquet(compression)
    from tsds_stream.exporting.mds import MosaicShards

    return MosaicShards(compression, shard_size)
