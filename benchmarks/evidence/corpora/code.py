"""Chunks of source code in eleven languages, 300 to 900 characters each, white space as it was."""

from __future__ import annotations

import io
import re
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

from benchmarks.evidence.corpora import Corpus, exists, load, store
from benchmarks.evidence.corpora.packages import debian
from benchmarks.passages import package_files

SHORTEST, ENOUGH, LONGEST = 300, 400, 900  # characters; shorter pieces are joined until they are enough
_MOST = 12_000  # of a language
_LANGUAGES: Final = {  # language: package, and the files that are read, in the package or in an archive inside of it
    "c": ("glibc-source", r".*/(?!sysdeps)[a-z]+/[^/]*\.c"),
    "c++": ("libboost1.74-dev", r".*\.[hi]pp"),
    "erlang": ("erlang-src", r".*\.erl"),
    "go": ("golang-1.19-src", r".*(?<!_test)\.go"),
    "java": ("openjdk-17-source", r"java\.base/.*\.java"),
    "lisp": ("sbcl-source", r".*\.lisp"),
    "perl": ("perl-modules-5.36", r".*\.pm"),
    "python": ("libpython3.11-stdlib", r".*\.py"),
    "ruby": ("libruby3.1", r".*\.rb"),
    "rust": ("rust-src", r".*\.rs"),
    "tcl": ("tcllib", r".*\.tcl"),
}
_ARCHIVES: Final = re.compile(r".*/(src\.zip|glibc-[\d.]+\.tar\.xz)")
_BLANK_LINES: Final = re.compile(r"\n[ \t]*\n")
_LEGAL: Final = re.compile(r"copyright|licen[cs]e", re.IGNORECASE)

_Wanted = Callable[[str], object]


@cache
def code_corpus() -> Corpus:
    """The corpus, built on first use in some minutes from about 140 MB of packages."""
    if not exists("code"):
        found = debian([package for package, _ in _LANGUAGES.values()])
        archives = [found[package][0] for package, _ in _LANGUAGES.values()]
        with ProcessPoolExecutor(2) as pool:
            chunked = pool.map(_chunks_of, archives, [pattern for _, pattern in _LANGUAGES.values()])
            store(
                "code", dict(zip(_LANGUAGES, chunked, strict=True)), [package for _, package in found.values()], _MOST
            )
    return load("code")


def _chunks_of(archive: Path, pattern: str) -> list[str]:
    files = _source_files(archive, re.compile(pattern).fullmatch)
    return list(dict.fromkeys(chunk for content in files for chunk in chunks(content.decode(errors="ignore"))))


def _source_files(archive: Path, wanted: _Wanted) -> Iterator[bytes]:
    for name, content in package_files(archive, lambda name: wanted(name) or _ARCHIVES.fullmatch(name)):
        if name.endswith(".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as files:
                yield from (files.read(inner) for inner in files.namelist() if wanted(inner))
        elif name.endswith(".tar.xz"):
            with tarfile.open(fileobj=io.BytesIO(content), mode="r|xz") as files:
                for member in files:
                    stream = files.extractfile(member) if member.isfile() and wanted(member.name) else None
                    yield stream.read() if stream else b""
        else:
            yield content


def chunks(source: str) -> Iterator[str]:
    """Pieces of a source file, cut at blank lines and at line ends; what speaks of its licence is left out."""
    waiting = ""
    for paragraph in _BLANK_LINES.split(source.expandtabs().replace("\r", "")):
        if not paragraph.strip():
            continue
        waiting = f"{waiting}\n\n{paragraph.rstrip()}" if waiting else paragraph.rstrip()
        while len(waiting) > LONGEST:
            end = waiting.rfind("\n", SHORTEST, LONGEST)
            piece, waiting = (waiting[:end], waiting[end + 1 :]) if end > 0 else (waiting[:LONGEST], waiting[LONGEST:])
            if not _LEGAL.search(piece):
                yield piece
        if len(waiting) > ENOUGH:
            if not _LEGAL.search(waiting):
                yield waiting
            waiting = ""
