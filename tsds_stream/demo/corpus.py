"""Real documents that are already there: the documentation of the standard library and of the installed packages."""

from __future__ import annotations

import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path

from tsds_stream.demo.pages import Page, comments, docstrings, passages

ENOUGH = 4_000  # documents; with fewer, comments are read too, and the reader is told
TOPIC = "networking"
TOPIC_MODULES = (
    "socket", "socketserver", "ssl", "http", "urllib", "ftplib", "smtplib", "smtpd", "imaplib", "poplib", "nntplib",
    "telnetlib", "xmlrpc", "webbrowser", "asyncio.streams", "asyncio.transports", "asyncio.protocols",
    "asyncio.sslproto", "asyncio.selector_events", "asyncio.base_events",
)  # fmt: skip
_NOT_DOCUMENTATION = frozenset({"test", "tests", "idle_test", "testing", "_testing", "__pycache__", "lib2to3"})
_TEXTS = frozenset({".txt", ".rst", ".md"})
_TEXT_NAMES = frozenset({"METADATA"})  # the README of an installed package
_NO_PROSE = ("licen", "copying", "notice", "authors", "top_level", "entry_points", "requires", "sources", "namespace")
_LARGEST = 400_000  # bytes; larger sources are tables of numbers
_OURSELVES = "tsds_stream"

Show = Callable[[int], object]


@dataclass(frozen=True, slots=True)
class Root:
    """A folder of packages."""

    path: Path
    is_library: bool = False  # the standard library, which holds the topic


@dataclass(frozen=True, slots=True)
class Corpus:
    """What was found.

    Attributes:
        documents: everything but the topic.
        topic: the documentation of the topic's modules in the standard library.
        packages: how many packages the documents come from; files: how many files were read.
    """

    documents: list[Page]
    topic: list[Page]
    packages: int
    files: int


def installed_roots() -> list[Root]:
    """The standard library and the folders of installed packages of this interpreter."""
    paths = sysconfig.get_paths()
    roots = [Root(Path(paths["stdlib"]), is_library=True)]
    roots += [Root(Path(path)) for path in dict.fromkeys((paths["purelib"], paths["platlib"]))]
    return roots


def collect(roots: Sequence[Root], limit: int, seed: int, show: Show = lambda count: None) -> Corpus:
    """Read until there are `limit` documents, taking turns among the packages, so that no large one crowds out others.

    Args:
        seed: decides in which order the files of a package are read.
        show: told the number of documents now and then.
    """
    topic: list[Page] = []
    packages: dict[str, list[_File]] = {}
    for file in _files(roots):
        if file.is_topic:
            topic += file.pages()
        else:
            packages.setdefault(file.package, []).append(file)
    for files in packages.values():
        files.sort(key=lambda file: blake2b(f"{seed}/{file.name}".encode()).digest())
    queue = [file for turn in zip_longest(*packages.values()) for file in turn if file is not None]
    found: dict[str, Page] = {}
    read = _read(queue, limit, found, _File.pages, show)
    if len(found) < min(ENOUGH, limit):
        _read(queue, limit, found, _File.comments, show)
    documents = list(found.values())[:limit]
    return Corpus(documents, topic, len({page.source for page in documents}), read)


def _read(
    queue: Sequence[_File], limit: int, found: dict[str, Page], pages: Callable[[_File], list[Page]], show: Show
) -> int:
    """Add pages to `found` by id until there are `limit`; how many files were read."""
    for number, file in enumerate(queue):
        if len(found) >= limit:
            return number
        for page in pages(file):
            found.setdefault(page.id, page)
        show(len(found))
    return len(queue)


@dataclass(frozen=True, slots=True)
class _File:
    path: Path
    name: str  # dotted
    package: str
    is_topic: bool

    def pages(self) -> list[Page]:
        code = self._content()
        if self.path.suffix == ".py":
            return docstrings(code, self.name, self.package)
        text = code.decode("utf-8", "replace")
        if self.path.name in _TEXT_NAMES:
            text = text.partition("\n\n")[2]  # behind the headers
        return passages(text, self.name, self.package)

    def comments(self) -> list[Page]:
        return comments(self._content(), self.name, self.package) if self.path.suffix == ".py" else []

    def _content(self) -> bytes:
        try:
            return self.path.read_bytes() if self.path.stat().st_size <= _LARGEST else b""
        except OSError:
            return b""  # not ours to read


def _files(roots: Sequence[Root]) -> Iterator[_File]:
    for root in roots:
        for path in _walk(root.path):
            parts = path.relative_to(root.path).with_suffix("").parts
            if path.suffix == ".py":
                name = ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)
            else:
                name = "/".join((*parts[:-1], path.name))
            topic = root.is_library and any(name == one or name.startswith(f"{one}.") for one in TOPIC_MODULES)
            yield _File(path, name, _package(parts), topic)


def _walk(folder: Path) -> Iterator[Path]:
    """Files of documentation below a folder, in order of name."""
    try:
        entries = sorted(folder.iterdir())
    except OSError:
        return
    for path in entries:
        if path.name.startswith((".", "test_", _OURSELVES)):
            continue
        if path.is_dir():
            if path.name not in _NOT_DOCUMENTATION and path.name not in ("site-packages", "dist-packages"):
                yield from _walk(path)
        elif path.suffix == ".py" or _is_prose(path):
            yield path


def _is_prose(path: Path) -> bool:
    fits = path.suffix in _TEXTS or path.name in _TEXT_NAMES
    return fits and not path.name.lower().startswith(_NO_PROSE)


def _package(parts: Sequence[str]) -> str:
    """`urllib3`; packages that another one carries are told apart from it: `pip/urllib3`."""
    if "_vendor" in parts[1:-1]:
        return f"{parts[0]}/{parts[parts.index('_vendor') + 1]}"
    return parts[0].partition("-")[0] if parts[0].endswith((".dist-info", ".data")) else parts[0]
