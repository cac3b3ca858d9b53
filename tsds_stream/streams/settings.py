"""Where documents are read from: the [source] section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tsds_stream.units import Milliseconds, Seconds, Size


class FileSourceSettings(BaseModel):
    """Documents in files: JSONL, msgpack (plain, .gz, .zst), Parquet, texts, a directory of them, or standard input."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    kind: Literal["files"] = Field("files", description="where documents come from")
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
