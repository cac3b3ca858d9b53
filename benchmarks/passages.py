"""From the files of a documentation package to passages: short pieces of running English text."""

from __future__ import annotations

import gzip
import html
import io
import re
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

SHORTEST, LONGEST = 120, 350  # characters of a passage
_SUFFIXES = (".html", ".htm", ".txt", ".pod", ".page", ".dict.dz", ".info", ".rst")
_LANGUAGES = "de|es|fr|ja|ko|pt|pt-br|ru|tr|zh-cn|da|it|sv"
_TRANSLATED = re.compile(rf"/({_LANGUAGES}|translations)/|\.({_LANGUAGES})(\.|$)")
_DROPPED = re.compile(r"(?is)<(script|style|nav|head|footer)\b.*?</\1\s*>|<!--.*?-->")
_BLOCK_TAG = re.compile(r"(?i)</?(p|div|li|dd|dt|td|th|tr|h\d|pre|br|section|table|ul|ol|dl|blockquote)\b[^>]*>")
_TAG = re.compile(r"<[^>]*>")
_BLANK_LINES = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(r"(?<=[.;:!?]) ")
_ENTRY = re.compile(r"\n(?=\S)")  # a dictionary's entries start in the first column
_LETTERS = re.compile(r"[A-Za-z ]")


def package_passages(archive: Path) -> Iterator[str]:
    """Passages of a Debian package, in the order of its files."""
    for name, content in package_files(archive, _wanted):
        yield from file_passages(name, content)


def package_files(archive: Path, wanted: Callable[[str], object]) -> Iterator[tuple[str, bytes]]:
    """The wanted files of a Debian package, in its order, and what is in them; .gz and .dz are unpacked.

    Nothing is installed or unpacked to disk.
    """
    command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE) as process,
        tarfile.open(fileobj=process.stdout, mode="r|") as files,
    ):
        for member in files:
            if member.isfile() and wanted(member.name):
                stream = files.extractfile(member)
                content = stream.read() if stream else b""
                if member.name.endswith((".gz", ".dz")):
                    content = gzip.GzipFile(fileobj=io.BytesIO(content)).read()
                yield member.name, content
    if process.returncode:
        raise OSError(f"dpkg-deb could not read {archive.name}")


def file_passages(name: str, content: bytes, shortest: int = SHORTEST, longest: int = LONGEST) -> Iterator[str]:
    """Passages of one file; its name tells its kind."""
    text = content.decode("utf-8", errors="ignore")
    if ".htm" in name or name.endswith(".page"):
        text = _BLOCK_TAG.sub("\n\n", _DROPPED.sub(" ", text))
        text = html.unescape(_TAG.sub("", text))
    paragraphs = _ENTRY.split(text) if ".dict" in name else _BLANK_LINES.split(text.replace("\n%\n", "\n\n"))
    yield from passages(paragraphs, shortest, longest)


def passages(paragraphs: list[str], shortest: int, longest: int) -> Iterator[str]:
    """Pieces of shortest .. longest characters: paragraphs joined when short, cut at sentence ends when long."""
    waiting = ""
    for paragraph in paragraphs:
        waiting = f"{waiting} {' '.join(paragraph.split())}".strip()
        while len(waiting) > longest:
            ends = [match.start() for match in _SENTENCE_END.finditer(waiting, shortest, longest)]
            cut = ends[-1] if ends else waiting.rfind(" ", shortest, longest)
            cut = longest if cut < 0 else cut
            if _is_prose(waiting[:cut], shortest // 10):
                yield waiting[:cut]
            waiting = waiting[cut:].strip()
        if len(waiting) >= shortest:
            if _is_prose(waiting, shortest // 10):
                yield waiting
            waiting = ""


def _wanted(name: str) -> bool:
    plain = name.removesuffix(".gz")
    if "copyright" in name or "changelog" in name.lower() or _TRANSLATED.search(plain):
        return False
    return plain.endswith(_SUFFIXES) or ("/games/fortunes/" in plain and "." not in plain.rpartition("/")[2])


def _is_prose(text: str, spaces: int) -> bool:
    """At least so many spaces, and words: not tables, code or another script."""
    if text.count(" ") < spaces:
        return False
    letters = len(_LETTERS.findall(text))
    return letters >= 0.75 * len(text) and sum(map(str.isascii, text)) >= 0.95 * len(text)
