"""Where documents are read from: the [source] section."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tsds_stream.units import Size


class FileSourceSettings(BaseModel):
    """Documents in files: JSONL (plain, .gz, .zst), Parquet, a directory of them, or standard input."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    kind: Literal["files"] = Field("files", description="where documents come from")
    path: str = Field("documents/", min_length=1, description='a file, a directory of files, or "-": standard input')
    follow: bool = Field(False, description="go on when everything is read: wait for growing and new files")
    max_document_bytes: Annotated[Size, Field(ge=1)] = Field(
        1024 * 1024, description="a document with more bytes than this goes to the dead letters"
    )
