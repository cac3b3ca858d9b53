"""JSON Lines: a document per line, as Hugging Face `datasets` and everybody else reads it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import orjson

from tsds_stream.exporting.compression import LIBRARY, Compression, compressed
from tsds_stream.exporting.documents import Document
from tsds_stream.exporting.formats import File
from tsds_stream.records import Json

_ENDS: Final[dict[Compression, str]] = {"none": "", "zstd": ".zst", "gzip": ".gz"}


class JsonLines:
    """documents-00000.jsonl, documents-00001.jsonl, …; `meta`, `nearest` and `source` are nested."""

    def __init__(self, compression: Compression) -> None:
        self.libraries = f"orjson {orjson.__version__} {LIBRARY[compression]}".strip()
        self._compression = compression

    def name(self, number: int) -> str:
        return f"documents-{number:05d}.jsonl{_ENDS[self._compression]}"

    def encode(self, documents: Iterable[Document], note: Json) -> Iterator[bytes]:
        return compressed((document.line for document in documents), self._compression)

    def index(self, files: Sequence[File]) -> dict[str, bytes]:
        return {}
