"""Real text and code, built once from packages into the benchmarks' cache: domains, texts, embeddings.

Nothing of the texts is kept in the repository. `python -m benchmarks.evidence corpora` builds all of them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np

from benchmarks.corpus import CACHE, embed_to, say
from benchmarks.evidence.corpora.packages import Package
from tsds_stream.selection.arithmetic import Float32, Int64

FOLDER = CACHE / "evidence"
_FORMAT = 2  # a corpus that was built by another one is built again


@dataclass(frozen=True)
class Corpus:
    """Texts of several domains, each with its embedding.

    Attributes:
        texts: (N,). domains: (N,) numbers of `names`. vectors: (N, 256) float32, as the embedder
            gives them, a read-only memory map.
        packages: where the texts are from, as JSON.
    """

    texts: list[str]
    domains: Int64
    names: list[str]
    vectors: Float32
    packages: list[dict[str, Any]]

    @cached_property
    def of_domain(self) -> dict[str, Int64]:
        """The numbers of a domain's texts, ascending."""
        return {name: np.flatnonzero(self.domains == number) for number, name in enumerate(self.names)}


def exists(name: str) -> bool:
    """Whether the corpus is in the cache, whole and of this format."""
    origin = FOLDER / name / "origin.json"
    return origin.exists() and json.loads(origin.read_text())["format"] == _FORMAT


def store(name: str, domains: Mapping[str, Iterable[str]], packages: Iterable[Package], most: int) -> None:
    """Embed texts and put them into the cache.

    Args:
        domains: texts by domain; repeated ones count once, over all domains.
        most: texts of a domain; of more, those whose hash is smallest, in the order in which they came.
    """
    started = time.perf_counter()
    building = FOLDER / f"{name}.partial"
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    seen: set[str] = set()
    texts: list[str] = []
    counts: list[int] = []
    for domain, found in domains.items():
        distinct = [text for text in dict.fromkeys(found) if text not in seen]
        seen.update(distinct)
        kept = set(sorted(distinct, key=_hash)[:most])
        texts += [text for text in distinct if text in kept]
        counts.append(min(most, len(distinct)))
        say(f"{domain}: {len(distinct):,} texts, {counts[-1]:,} kept")
    say(f"embedding {len(texts):,} texts")
    embed_to(building / "vectors.npy", texts)
    np.save(building / "domains.npy", np.repeat(np.arange(len(counts)), counts))
    (building / "texts.json").write_text(json.dumps(texts, ensure_ascii=False), encoding="utf-8")
    origin = {
        "format": _FORMAT,
        "domains": dict(zip(domains, counts, strict=True)),
        "texts": len(texts),
        "characters": sum(map(len, texts)),
        "sha256 of the texts": hashlib.sha256("\n\n".join(texts).encode()).hexdigest(),
        "packages": [asdict(package) for package in packages],
        "seconds": round(time.perf_counter() - started),
    }
    (building / "origin.json").write_text(json.dumps(origin, indent=1) + "\n")
    shutil.rmtree(FOLDER / name, ignore_errors=True)
    building.rename(FOLDER / name)


def load(name: str) -> Corpus:
    """The corpus from the cache."""
    folder = FOLDER / name
    origin = json.loads((folder / "origin.json").read_text())
    return Corpus(
        json.loads((folder / "texts.json").read_text(encoding="utf-8")),
        np.load(folder / "domains.npy"),
        list(origin["domains"]),
        np.load(folder / "vectors.npy", mmap_mode="r"),
        origin["packages"],
    )


def origin_of(name: str) -> dict[str, Any]:
    """What the corpus was built from: counts, checksums, licences."""
    origin: dict[str, Any] = json.loads((FOLDER / name / "origin.json").read_text())
    return origin


def _hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
