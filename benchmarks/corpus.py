"""Real text for the benchmarks, and its embeddings: `python -m benchmarks.corpus`.

Documentation and dictionaries from Debian packages (about 92 MB, fetched once with `apt-get download`, not installed),
cut into some 570,000 passages of 120 to 350 characters, each embedded by the project's static model. Where packages
cannot be had, passages are composed from the words of the installed Python documentation. Nothing of it is kept in the
repository.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import itertools
import json
import random
import shutil
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.passages import LONGEST, SHORTEST, package_passages
from tsds_stream.embedding import create
from tsds_stream.embedding.settings import StaticSettings
from tsds_stream.selection.arithmetic import Float32

CACHE = Path(__file__).resolve().parent.parent / ".benchmarks-cache"
PACKAGES = {
    "apache2-doc": "webserver",
    "cmake-doc": "building",
    "dict-foldoc": "computing",
    "dict-gcide": "dictionary",
    "dict-wn": "thesaurus",
    "fortunes": "quotes",
    "git-doc": "versions",
    "libboost1.74-doc": "c++",
    "libgtk-3-doc": "desktop",
    "libreoffice-help-en-us": "office",
    "nodejs-doc": "javascript",
    "openjdk-17-doc": "java",
    "perl-doc": "perl",
    "postgresql-doc-15": "sql",
    "python-django-doc": "web",
    "python3.11-doc": "python",
}
TARGETS = {"sql": 128, "perl": 77, "webserver": 51}  # held out of the pool
_MOST_OF_A_DOMAIN = 75_000
_EMBEDDED_AT_ONCE = 2048
_SEED = 20_241_011


@dataclass(frozen=True)
class Corpus:
    """Passages in a fixed random order, without the targets.

    Attributes:
        documents: (N, 256) float32, a read-only memory map; targets: (256, 256) float32.
        texts: the file of the N passages, one per line.
        origin: where the text is from, with what is needed to tell two corpora apart.
    """

    documents: Float32
    targets: Float32
    texts: Path
    origin: dict[str, object]

    def lines(self, count: int | None = None) -> list[str]:
        """The first passages."""
        with open(self.texts, encoding="utf-8") as file:
            return [line.rstrip("\n") for line in itertools.islice(file, count)]


def corpus(limit: int | None = None) -> Corpus:
    """The corpus, built on first use; at most `limit` documents of it (then only a part is built).

    A small corpus is cut from the few smallest packages, so that a smoke test fetches little.
    """
    folder = CACHE / ("corpus" if limit is None else "corpus-small")
    if not (folder / "origin.json").exists():
        _build(folder, small=limit is not None)
    documents = np.load(folder / "documents.npy", mmap_mode="r")
    origin = json.loads((folder / "origin.json").read_text())
    return Corpus(documents[:limit], np.load(folder / "targets.npy"), folder / "passages.txt", origin)


def _build(folder: Path, small: bool) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    started = time.perf_counter()
    packages = {name: domain for name, domain in PACKAGES.items() if not small or domain in TARGETS}
    try:
        archives = fetch(packages)
        domains = dict(zip(packages.values(), _read(list(archives.values())), strict=True))
        origin: dict[str, object] = {
            "kind": "Debian packages",
            "packages": {path.name: sha256(path) for path in archives.values()},
        }
    except (OSError, subprocess.CalledProcessError) as error:
        say(f"no Debian packages ({error}): composing passages from the words of the Python documentation")
        domains = _composed(30_000 if small else 190_000)
        origin = {"kind": "composed from the words of the Python documentation"}
    pool, targets = _split(domains)
    origin["passages"] = {domain: len(texts) for domain, texts in domains.items()}
    say(f"{len(pool):,} passages; embedding them")
    np.save(folder / "targets.npy", create(StaticSettings()).embed(targets))
    embed_to(folder / "documents.npy", pool)
    with open(folder / "passages.txt", "w", encoding="utf-8") as file:
        file.writelines(f"{text}\n" for text in pool)
    origin["seconds to build"] = round(time.perf_counter() - started)
    (folder / "origin.json").write_text(json.dumps(origin, indent=1))
    say(f"corpus ready after {origin['seconds to build']} s")


def fetch(packages: Iterable[str]) -> dict[str, Path]:
    """Archives of these packages, downloaded where they are not cached."""
    folder = CACHE / "packages"
    folder.mkdir(parents=True, exist_ok=True)
    packages = list(packages)
    missing = [name for name in packages if not list(folder.glob(f"{name}_*.deb"))]
    if missing:
        say(f"fetching {len(missing)} packages")
        if subprocess.run(["apt-get", "download", *missing], cwd=folder, capture_output=True).returncode:
            subprocess.run(["apt-get", "update"], check=True, capture_output=True)
            subprocess.run(["apt-get", "download", *missing], cwd=folder, check=True, capture_output=True)
    return {name: next(iter(sorted(folder.glob(f"{name}_*.deb")))) for name in packages}


def _read(archives: list[Path]) -> Iterator[list[str]]:
    with ProcessPoolExecutor(2) as pool:
        for archive, texts in zip(archives, pool.map(_distinct, archives), strict=True):
            say(f"{archive.name}: {len(texts):,} passages")
            yield texts


def _distinct(archive: Path) -> list[str]:
    """Different passages of one package."""
    found: dict[str, None] = {}
    for text in package_passages(archive):
        found[text] = None
        if len(found) == _MOST_OF_A_DOMAIN:
            break
    return list(found)


def _split(domains: dict[str, list[str]]) -> tuple[list[str], list[str]]:
    """Pool and targets, both in random order."""
    choice = random.Random(_SEED)
    pool, targets = [], []
    for domain, texts in domains.items():
        mixed = choice.sample(texts, len(texts))
        count = TARGETS.get(domain, 0)
        targets += mixed[:count]
        pool += mixed[count:]
    choice.shuffle(targets)
    choice.shuffle(pool)
    return pool, targets


def embed_to(path: Path, texts: list[str]) -> None:
    """Write the embeddings of texts, (n, 256) float32, as the embedder gives them; two processes."""
    blocks = [texts[start : start + _EMBEDDED_AT_ONCE] for start in range(0, len(texts), _EMBEDDED_AT_ONCE)]
    vectors = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(len(texts), 256))
    with ProcessPoolExecutor(2, initializer=_start_embedder) as pool:
        done = 0
        for part in pool.map(_embed_block, blocks):
            vectors[done : done + len(part)] = part
            done += len(part)
            if done % (50 * _EMBEDDED_AT_ONCE) == 0:
                say(f"{done:,} embedded")
    vectors.flush()


def _start_embedder() -> None:
    global _embedder
    _embedder = create(StaticSettings())


def _embed_block(texts: list[str]) -> Float32:
    return _embedder.embed(texts)


def _composed(count: int) -> dict[str, list[str]]:
    """Text with the look of documentation: a chain of words, each drawn from those that followed the one before."""
    choice = random.Random(_SEED)
    words = _documentation_words()
    domains = {}
    for k, domain in enumerate(TARGETS):
        own = words[k * len(words) // len(TARGETS) : (k + 1) * len(words) // len(TARGETS)]
        follows: dict[str, list[str]] = {}
        for word, following in itertools.pairwise(own):
            follows.setdefault(word, []).append(following)
        texts: dict[str, None] = {}
        while len(texts) < count:
            size, text = choice.randint(SHORTEST, LONGEST), []
            word = choice.choice(own)
            while size > 0:
                text.append(word)
                size -= len(word) + 1
                word = choice.choice(follows.get(word, own))
            texts[" ".join(text)[:LONGEST]] = None
        domains[domain] = list(texts)
    return domains


def _documentation_words() -> list[str]:
    words: list[str] = []
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if len(words) > 1_000_000:
            break
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"))
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                words += (ast.get_docstring(node) or "").split()
    return words


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def say(what: str) -> None:
    print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--small", action="store_true", help="the few packages that the smoke test uses")
    found = corpus(20_000 if parser.parse_args().small else None)
    print(
        f"{len(found.documents):,} documents, {len(found.targets)} targets, {found.texts.stat().st_size / 1e6:.0f} MB"
    )
