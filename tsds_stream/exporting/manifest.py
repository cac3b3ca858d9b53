"""export.json: what an export holds, with the checksum of every file and of itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tsds_stream.exporting.errors import ExportError
from tsds_stream.exporting.formats import File
from tsds_stream.records import Json
from tsds_stream.sealed import DamagedFileError, check_file, unseal

NAME: Final = "export.json"
FORMAT: Final = 1
_ANEW: Final = "Delete the export and make it anew."


def content_of(request: Json, files: list[File], counts: Json) -> Json:
    """What export.json says.

    Args:
        request: what was asked for.
        files: all of the export but this one.
        counts: of documents.
    """
    listed = [
        {"name": file.name, "bytes": file.bytes, "sha256": file.sha256, "documents": file.documents} for file in files
    ]
    return {**request, **counts, "files": listed}


def read(output: Path) -> Json:
    """What an export says that it is.

    Raises:
        ExportError: it is none, or is damaged.
    """
    path = output / NAME
    try:
        content = unseal(path, _ANEW)
    except (FileNotFoundError, NotADirectoryError):
        what = "is there and is no export" if output.exists() else "is not there"
        raise ExportError(f"{output} {what}: it has no {NAME}. Name another folder.") from None
    except DamagedFileError as error:
        raise ExportError(str(error)) from error
    if content.get("format") != FORMAT:
        raise ExportError(f"{path} has format {content.get('format')}, and this version reads {FORMAT}.")
    return content


def damages(output: Path, content: Json) -> Iterator[tuple[str, str | None]]:
    """Read every file of an export: its name, and what is wrong with it, with what to do; None: nothing."""
    for file in content["files"]:
        try:
            check_file(output / file["name"], file["bytes"], file["sha256"], _ANEW)
        except DamagedFileError as error:
            yield file["name"], str(error)
        else:
            yield file["name"], None
    known = {NAME, *(file["name"] for file in content["files"])}
    for name in sorted(path.name for path in output.iterdir() if path.name not in known):
        yield name, f"{output / name} is no part of the export. Move it away: readers may take it for one."
