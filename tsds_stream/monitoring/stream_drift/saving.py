"""Baseline and windows on disk, so that a restart goes on and another run can compare with the same baseline."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
import orjson
from numpy.typing import NDArray

from tsds_stream.durable import Disk, write_atomically
from tsds_stream.monitoring.stream_drift.baseline import Baseline
from tsds_stream.monitoring.stream_drift.drift import StreamDrift
from tsds_stream.monitoring.stream_drift.options import DriftOptions
from tsds_stream.monitoring.stream_drift.reference import Reference
from tsds_stream.records import Json

FORMAT: Final = 1
Arrays = dict[str, NDArray[Any]]


class DriftFileError(Exception):
    """A file cannot be used; the sentence says why."""


@dataclass(frozen=True)
class Loaded:
    """What a file gave.

    Attributes:
        drift: goes on where it was saved; None when the file cannot be used.
        reason: a sentence, when something was not taken over.
    """

    drift: StreamDrift | None
    reason: str | None = None


def save(path: Path, drift: StreamDrift) -> None:
    """Write baseline and windows, in one step. Raises `OSError`."""
    baseline = drift.baseline
    meta = {
        "format": FORMAT,
        "options": asdict(drift.options),
        "dimension": drift.dimension,
        "looked_at": drift.looked_at,
        "source": drift.source,
        "began": baseline.began,
        "ended": baseline.ended,
        "references": {name: reference.digest() for name, reference in drift.references.items()},
        "signals": [[signal.name, signal.set] for signal in drift.signals],
    }
    arrays: Arrays = {
        "meta": np.frombuffer(orjson.dumps(meta), np.uint8),
        "baseline_vectors": baseline.vectors,
        "baseline_lengths": baseline.lengths,
        "pending_vectors": drift.pending[0],
        "pending_lengths": drift.pending[1],
    }
    arrays |= {f"window_{i}": signal.windows.recent() for i, signal in enumerate(drift.signals)}
    arrays["sha256"] = np.frombuffer(_digest(arrays), np.uint8)
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    write_atomically(Disk(), path, buffer.getvalue())


def load(path: Path, options: DriftOptions, dimension: int, references: Mapping[str, Reference]) -> Loaded:
    """Go on from a file.

    It is used when it has this dimension, warm-up, baseline and seed. The windows of a set whose targets are others now
    start empty, and so do all when the windows have other sizes. Thresholds are found again: they are a function of the
    baseline, the targets and the options.
    """
    try:
        meta, arrays = _read(path)
    except FileNotFoundError:
        return Loaded(None)
    except DriftFileError as error:
        return Loaded(None, f"{error} A new baseline is taken.")
    then = DriftOptions(**meta["options"])
    unlike = [name for name in ("warmup", "baseline", "seed") if getattr(then, name) != getattr(options, name)]
    if meta["source"] == "file":
        unlike = []
    if meta["dimension"] != dimension:
        unlike = ["dimension of the embeddings"]
    if unlike:
        return Loaded(None, f"{path} was written with another {' and '.join(unlike)}. A new baseline is taken.")
    return _restored(meta, arrays, options, references)


def load_baseline(path: Path, dimension: int) -> Baseline:
    """The baseline of another run.

    Raises:
        DriftFileError: there is no file, it is damaged, has vectors of another dimension, or no complete baseline.
    """
    try:
        meta, arrays = _read(path)
    except FileNotFoundError:
        raise DriftFileError(f"{path} does not exist: give the drift.npz of a run that has a baseline.") from None
    if meta["dimension"] != dimension:
        raise DriftFileError(
            f"{path} holds vectors of {meta['dimension']} dimensions, and the embedder of this run makes {dimension}."
        )
    if not meta["signals"]:
        raise DriftFileError(f"{path} holds no complete baseline: let its run look at more documents first.")
    return Baseline(arrays["baseline_vectors"], arrays["baseline_lengths"], meta["began"], meta["ended"])


def _restored(meta: Json, arrays: Arrays, options: DriftOptions, references: Mapping[str, Reference]) -> Loaded:
    """A drift that goes on; everything in a file that was written whole fits together."""
    drift = StreamDrift(options, meta["dimension"], references)
    vectors, lengths = arrays["baseline_vectors"], arrays["baseline_lengths"]
    baseline = Baseline(vectors, lengths, meta["began"], meta["ended"])
    drift.resume(baseline, meta["looked_at"], meta["source"])
    then = DriftOptions(**meta["options"])
    if (then.step, then.windows) != (options.step, options.windows):
        return Loaded(drift, "The windows have other sizes now and start empty.")
    drift.pending = arrays["pending_vectors"], arrays["pending_lengths"]
    changed = {name for name, reference in references.items() if meta["references"].get(name) != reference.digest()}
    held = {(name, of): number for number, (name, of) in enumerate(meta["signals"])}
    for signal in drift.signals:
        number = held.get((signal.name, signal.set))
        if signal.set not in changed and number is not None:
            for total in arrays[f"window_{number}"]:
                signal.windows.add(total)
    if drift.signals and changed:
        return Loaded(drift, f"The targets of {', '.join(sorted(changed))} are others now: their windows start empty.")
    return Loaded(drift)


def _digest(arrays: Arrays) -> bytes:
    h = sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        h.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        h.update(array.tobytes())
    return h.digest()


def _read(path: Path) -> tuple[Json, Arrays]:
    """Raises `FileNotFoundError`, `DriftFileError`."""
    try:
        with np.load(io.BytesIO(path.read_bytes()), allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        written = arrays.pop("sha256").tobytes()
        meta = orjson.loads(arrays["meta"].tobytes())
    except FileNotFoundError:
        raise
    except Exception as error:  # a damaged file makes its readers raise nearly anything
        raise DriftFileError(f"{path} is not a whole drift file ({error}).") from error
    if _digest(arrays) != written:
        raise DriftFileError(f"{path} does not have the checksum that it was written with.")
    if meta.get("format") != FORMAT:
        raise DriftFileError(f"{path} has format {meta.get('format')}, and this version reads {FORMAT}.")
    return meta, arrays
