"""The engine on files, from a fresh process: beside the embedder alone, and beside reading and decoding alone."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import msgpack
import numpy as np
import pyarrow
import pyarrow.parquet

from benchmarks.corpus import Corpus
from benchmarks.measuring import Timing, timed
from benchmarks.report import Part
from tsds_stream.embedding import create
from tsds_stream.embedding.settings import StaticSettings
from tsds_stream.streams.settings import FileSourceSettings
from tsds_stream.streams.sources import open_source

_BATCH = 1024


def measure(corpus: Corpus, quick: bool) -> Part:
    """`tsds-stream run --once`, less what it takes on a single document."""
    part = Part()
    texts = corpus.lines(3000 if quick else 150_000)
    vectors = np.array(corpus.documents[: 3000 if quick else 400_000])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for kind, lines in (("targets", texts[-256:]), ("one", texts[:1])):
            _write_texts(folder / f"{kind}.jsonl", lines)
        start = _run(folder, folder / "one.jsonl", "static")
        _write_texts(folder / "texts.jsonl", texts)
        alone, _ = timed(lambda: _embedded(texts))
        engine = _less(_run(folder, folder / "texts.jsonl", "static"), start)
        part.details["text"] = {
            "documents": len(texts),
            "embedder alone": alone.as_dict(),
            "engine": engine.as_dict(),
            "start of the process": start.as_dict(),
        }
        ratio = alone / engine
        part.add(
            f"engine: JSONL text in → revisions out, static embedder, {len(texts):,} documents",
            "≥ 0.8 of the embedder alone",
            f"{ratio:.2f} ({len(texts) / engine.wall:,.0f} documents/s against {len(texts) / alone.wall:,.0f}; "
            f"processor time {alone.cpu / engine.cpu:.2f})",
            ratio >= 0.8,
        )
        _write_vectors(folder / "targets.jsonl", vectors[-256:])
        _write_vectors(folder / "one.jsonl", vectors[:1])
        start = _run(folder, folder / "one.jsonl", "precomputed")
        for kind, write, read in (
            ("msgpack", _write_packed, _read_packed),
            ("parquet", _write_parquet, _read_parquet),
        ):
            path = folder / f"vectors.{kind}"
            write(path, vectors)
            alone, count = timed(lambda read=read, path=path: sum(len(rows) for rows in read(path)))
            assert count == len(vectors)
            engine = _less(_run(folder, path, "precomputed"), start)
            own, count = timed(lambda path=path: _polled(path))
            assert count == len(vectors)
            ratio = own / engine
            part.details[kind] = {
                "reading and decoding alone": own.as_dict(),
                "unchecked, by the library alone": alone.as_dict(),
                "engine": engine.as_dict(),
            }
            part.add(
                f"engine: pre-embedded {kind} in → revisions out",
                "≥ 0.5 of reading and decoding alone",
                f"{ratio:.2f} of our own source ({len(vectors) / engine.wall:,.0f} documents/s against "
                f"{len(vectors) / own.wall:,.0f}; processor time {own.cpu / engine.cpu:.2f}); {alone / engine:.2f} of "
                f"the bare library, which checks nothing ({len(vectors) / alone.wall:,.0f})",
                ratio >= 0.5,
            )
    return part


def _run(folder: Path, documents: Path, embedder: str) -> Timing:
    """A whole run in its own process, with new state and output folders."""
    name = f"{documents.name}-{time.monotonic_ns()}"
    arguments = [
        *("run", "--documents", documents, "--targets", folder / "targets.jsonl", "--budget", "1000", "--once"),
        *("--output", folder / f"out-{name}", "--state", folder / f"state-{name}", "--embedder", embedder),
    ]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    command = [sys.executable, "-m", "tsds_stream", *map(str, arguments)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wall = time.perf_counter() - started
    if result.returncode:
        raise RuntimeError(result.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Timing(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def _polled(path: Path) -> int:
    """Every document read, decoded and checked by the source of the engine, and nothing done with it."""
    source = open_source(FileSourceSettings(path=str(path)), None, dimension=256, needs="embedding")
    source.seek(None)
    count = 0
    while not source.exhausted:
        count += len(source.poll(_BATCH, 0.0).documents)
    source.close()
    return count


def _less(whole: Timing, start: Timing) -> Timing:
    return Timing(max(whole.wall - start.wall, 1e-9), max(whole.cpu - start.cpu, 1e-9))


def _embedded(texts: list[str]) -> None:
    embedder = create(StaticSettings())
    for start in range(0, len(texts), _BATCH):
        embedder.embed(texts[start : start + _BATCH])


def _write_texts(path: Path, texts: list[str]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for k, text in enumerate(texts):
            file.write(json.dumps({"id": str(k), "text": text}) + "\n")


def _write_vectors(path: Path, vectors: np.ndarray) -> None:
    with open(path, "w", encoding="utf-8") as file:
        for k, vector in enumerate(vectors.tolist()):
            file.write(json.dumps({"id": str(k), "embedding": vector}) + "\n")


def _write_packed(path: Path, vectors: np.ndarray) -> None:
    with open(path, "wb") as file:
        for k, vector in enumerate(vectors):
            file.write(msgpack.packb({"id": str(k), "embedding": vector.astype("<f4").tobytes()}))


def _read_packed(path: Path) -> Iterator[np.ndarray]:
    """What anybody must do: cut the values apart, decode them, and make an array of the vectors."""
    with open(path, "rb") as file:
        rows = []
        for record in msgpack.Unpacker(file, max_buffer_size=2**30):
            rows.append(np.frombuffer(record["embedding"], "<f4"))
            if len(rows) == _BATCH:
                yield np.stack(rows)
                rows = []
        if rows:
            yield np.stack(rows)


def _write_parquet(path: Path, vectors: np.ndarray) -> None:
    column = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(vectors.ravel()), vectors.shape[1])
    names = pyarrow.array([str(k) for k in range(len(vectors))])
    pyarrow.parquet.write_table(pyarrow.table({"id": names, "embedding": column}), path, row_group_size=16_384)


def _read_parquet(path: Path) -> Iterator[np.ndarray]:
    for batch in pyarrow.parquet.ParquetFile(path).iter_batches(_BATCH):
        batch.column("id").to_pylist()
        column = batch.column("embedding")
        yield column.values.to_numpy().reshape(len(column), -1)
