"""Index directories whose every byte is checked: raw little-endian arrays and a manifest with sizes and sha256.

A graph library that writes and reads its own file reports neither a full disk nor a flipped byte, so this is done here
for all files alike. The manifest is written last: a directory without one was never finished.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from tsds_stream.selection.vectors import VectorStore

MANIFEST: Final = "manifest.json"
FORMAT: Final = 1


class DamagedIndexError(ValueError):
    """A saved index that must not be used; the message names the file and what is wrong with it."""


def digest_file(path: Path) -> dict[str, Any]:
    """{"bytes": size, "sha256": hex} of a file, fsynced first."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        os.fsync(file.fileno())
        while block := file.read(1 << 20):
            sha.update(block)
        return {"bytes": file.tell(), "sha256": sha.hexdigest()}


def write_array(path: Path, array: NDArray[Any]) -> None:
    """Write the bytes of an array, little-endian, without a header."""
    with path.open("wb") as file:
        file.write(np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).data)


def write_store(directory: Path, store: VectorStore) -> None:
    """Write labels, key words and vectors."""
    n = len(store)
    write_array(directory / "labels.bin", store.labels[:n])
    write_array(directory / "words.bin", store.words[:n])
    write_array(directory / "vectors.bin", store.vectors[:n])


def read_store(directory: Path, manifest: dict[str, Any]) -> VectorStore:
    """The inverse of `write_store`; the files are verified."""
    n, d = manifest["count"], manifest["dimension"]
    labels = read_array(directory, manifest, "labels.bin", np.dtype("<i8"), (n,))
    words = read_array(directory, manifest, "words.bin", np.dtype("<u8"), (n, 2))
    vectors = read_array(directory, manifest, "vectors.bin", np.dtype("<f4"), (n, d))
    store = VectorStore(d, max(n, 1024))
    store.add(labels, vectors, words)
    return store


def read_array(
    directory: Path, manifest: dict[str, Any], name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """A verified array, in native byte order."""
    verify(directory, manifest, name)
    array = np.fromfile(directory / name, dtype=dtype)
    if array.size != int(np.prod(shape)):
        raise DamagedIndexError(f"{directory / name} holds {array.size} numbers, not {shape}; rebuild the index")
    return array.reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def write_manifest(directory: Path, kind: str, store: VectorStore, files: list[str], **more: Any) -> None:
    """Write the manifest over `files`, which makes the directory a finished index."""
    manifest = {
        "format": FORMAT,
        "kind": kind,
        "dimension": store.dimension,
        "count": len(store),
        "files": {name: digest_file(directory / name) for name in files},
        **more,
    }
    part = directory / (MANIFEST + ".part")
    with part.open("w") as file:
        json.dump(manifest, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    part.rename(directory / MANIFEST)


def read_manifest(directory: Path, kind: str, dimension: int) -> dict[str, Any]:
    """The manifest of a finished index of this kind and dimension.

    Raises:
        DamagedIndexError: there is none, it cannot be read, or it is of another kind, format or dimension.
    """
    path = directory / MANIFEST
    try:
        manifest: dict[str, Any] = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise DamagedIndexError(f"{path} cannot be read ({error}); rebuild the index") from error
    found = (manifest.get("format"), manifest.get("kind"), manifest.get("dimension"))
    if found != (FORMAT, kind, dimension):
        raise DamagedIndexError(
            f"{path} describes (format, kind, dimension) = {found}, not {(FORMAT, kind, dimension)}; rebuild the index"
        )
    return manifest


def verify(directory: Path, manifest: dict[str, Any], name: str) -> None:
    """Raise DamagedIndexError unless the file has the size and the sha256 of the manifest."""
    path, expected = directory / name, manifest["files"].get(name)
    try:
        found = digest_file(path)
    except OSError as error:
        raise DamagedIndexError(f"{path} cannot be read ({error}); rebuild the index") from error
    if expected is None or found["bytes"] != expected["bytes"]:
        raise DamagedIndexError(f"{path} has {found['bytes']} bytes, the manifest says {expected}; rebuild the index")
    if found != expected:
        raise DamagedIndexError(f"{path} does not have the sha256 of the manifest: it was altered; rebuild the index")
