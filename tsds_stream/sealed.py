"""JSON files that know when they were damaged: the content, and the sha256 of its compact form."""

from __future__ import annotations

import hashlib
from pathlib import Path

import orjson

from tsds_stream.records import Json


class DamagedFileError(Exception):
    """A file is not what was written.

    Attributes:
        path: the file.
        what: what is wrong with it.
        remedy: what the reader of the message can do.
    """

    def __init__(self, path: Path, what: str, remedy: str) -> None:
        super().__init__(f"{path} {what}. {remedy}")
        self.path = path
        self.what = what
        self.remedy = remedy


def seal(content: Json) -> bytes:
    """The bytes of a sealed file. Raises `TypeError` for what JSON cannot hold."""
    checksum = hashlib.sha256(orjson.dumps(content)).hexdigest()
    return orjson.dumps({"content": content, "sha256": checksum}, option=orjson.OPT_INDENT_2) + b"\n"


def unseal(path: Path, remedy: str) -> Json:
    """The content of a sealed file.

    Raises:
        FileNotFoundError: there is none.
        DamagedFileError: it is not whole.
    """
    return unsealed(path.read_bytes(), path, remedy)


def unsealed(data: bytes, path: Path, remedy: str) -> Json:
    """The content of a sealed file that was read from `path`. Raises `DamagedFileError`."""
    try:
        content = orjson.loads(data)["content"]
    except (orjson.JSONDecodeError, KeyError, TypeError) as error:
        what = "is empty" if not data else f"is not a whole JSON file ({len(data)} bytes)"
        raise DamagedFileError(path, what, remedy) from error
    # Byte for byte, so that there is no such thing as a harmless change.
    if not isinstance(content, dict) or seal(content) != data:
        raise DamagedFileError(path, "does not have the checksum that it was written with", remedy)
    return content


def sha256_of(path: Path) -> str:
    """Hex sha256 of a file, read in blocks; other threads run meanwhile."""
    h = hashlib.sha256()
    block = bytearray(1 << 20)
    view = memoryview(block)
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(block):
            h.update(view[:size])
    return h.hexdigest()


def check_file(path: Path, size: int, sha256: str | None, remedy: str) -> None:
    """Raise `DamagedFileError` unless the file is there, has `size` bytes and (when given) this sha256."""
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        raise DamagedFileError(path, "is missing", remedy) from None
    if found != size:
        raise DamagedFileError(path, f"has {found} bytes instead of {size}", remedy)
    if sha256 is not None and sha256_of(path) != sha256:
        raise DamagedFileError(path, "does not have the sha256 that it was written with", remedy)
