"""Real text in its own order: passages of Debian packages as they follow one another, embedded once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.corpus import CACHE, fetch
from benchmarks.passages import package_passages
from tsds_stream.embedding import create
from tsds_stream.embedding.settings import StaticSettings
from tsds_stream.selection.arithmetic import Float32, Int64, canonical

STREAM = {
    "python": "python3.11-doc",
    "perl": "perl-doc",
    "sql": "postgresql-doc-15",
    "webserver": "apache2-doc",
    "web": "python-django-doc",
    "javascript": "nodejs-doc",
    "office": "libreoffice-help-en-us",
    "versions": "git-doc",
}
NEW = {"dictionary": "dict-gcide", "c++": "libboost1.74-doc", "desktop": "libgtk-3-doc"}
TARGETS = {"sql": 80, "perl": 80, "webserver": 80}
_MOST = 20_000  # passages of a domain


@dataclass(frozen=True)
class Text:
    """Passages of all domains, in the order of their packages.

    Attributes:
        vectors: (N, d) float32. lengths: (N,) int64 characters.
        first: where the passages of a domain begin; count: how many there are.
        targets: (M, d) float32; groups: their domains.
    """

    vectors: Float32
    lengths: Int64
    first: dict[str, int]
    count: dict[str, int]
    targets: Float32
    groups: list[str]


@cache
def text() -> Text:
    """The passages, built on first use in a minute or two and kept beside the corpus of the other benchmarks."""
    path = CACHE / "drift.npz"
    domains = {**STREAM, **NEW}
    if not path.exists():
        _build(domains, path)
    with np.load(path, allow_pickle=False) as file:
        vectors, lengths, counts = file["vectors"], file["lengths"], file["counts"]
    first = dict(zip(domains, (np.cumsum(counts) - counts).tolist(), strict=True))
    count = dict(zip(domains, counts.tolist(), strict=True))
    random = np.random.default_rng(20_241_011)
    chosen = [first[domain] + random.choice(count[domain], size, replace=False) for domain, size in TARGETS.items()]
    groups = [domain for domain, size in TARGETS.items() for _ in range(size)]
    return Text(vectors, lengths, first, count, vectors[np.concatenate(chosen)], groups)


def _build(domains: dict[str, str], path: Path) -> None:
    archives = fetch({package: domain for domain, package in domains.items()})
    embedder = create(StaticSettings())
    vectors, lengths, counts = [], [], []
    for package in domains.values():
        found: dict[str, None] = {}
        for passage in package_passages(archives[package]):
            found[passage] = None
            if len(found) == _MOST:
                break
        vectors.append(canonical(embedder.embed(list(found))))
        lengths.append(np.array([len(passage) for passage in found], np.int64))
        counts.append(len(found))
    np.savez(path, vectors=np.concatenate(vectors), lengths=np.concatenate(lengths), counts=np.array(counts))
