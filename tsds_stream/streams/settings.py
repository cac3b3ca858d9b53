"""Where documents are read from and where revisions go: the [source] and [sink] sections, one table per kind."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from tsds_stream.configuration.table import Table
from tsds_stream.streams.kafka.settings import KafkaSinkSettings, KafkaSourceSettings
from tsds_stream.units import Milliseconds, Seconds, Size

__all__ = [
    "DirectorySinkSettings",
    "FileSourceSettings",
    "KafkaSinkSettings",
    "KafkaSourceSettings",
    "SinkSettings",
    "SourceSettings",
]


class FileSourceSettings(Table):
    """Documents in files: JSONL, msgpack (plain, .gz, .zst), Parquet, texts, a directory of them, or standard input."""

    kind: Literal["files"] = "files"
    path: str = Field("documents/", min_length=1, description='a file, a directory of files, or "-": standard input')
    follow: bool = Field(False, description="go on when everything is read: wait for growing and new files")
    max_document_bytes: Annotated[Size, Field(ge=1)] = Field(
        1024 * 1024, description="a document with more bytes than this goes to the dead letters"
    )
    max_future: Annotated[Milliseconds, Field(ge=0)] = Field(
        3_600_000, description="a timestamp further ahead of the clock than this makes a dead letter"
    )
    poll_interval: Annotated[Seconds, Field(gt=0)] = Field(
        0.2, description="follow: time between two looks for new and grown files"
    )
    settle: Annotated[Seconds, Field(ge=0)] = Field(
        60.0, description="follow: a file that was not written to for this long is taken as finished, until it grows"
    )


class DirectorySinkSettings(Table):
    """Numbered snapshots in a folder."""

    kind: Literal["directory"] = "directory"
    path: str = Field("selection/", min_length=1, description="folder of the published revisions")
    keep_revisions: int = Field(100, ge=1, description="revisions kept on disk; older ones are deleted")
    jsonl: bool = Field(False, description="also write the whole selection to selection.jsonl at each revision")

    @property
    def directory(self) -> str:
        """The folder of snapshots, as every kind of sink calls it."""
        return self.path


SourceSettings = Annotated[FileSourceSettings | KafkaSourceSettings, Field(discriminator="kind")]
SinkSettings = Annotated[DirectorySinkSettings | KafkaSinkSettings, Field(discriminator="kind")]
