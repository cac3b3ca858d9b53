"""Documentation in Python sources, read without importing or running them."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from textwrap import dedent

SHORTEST = 100  # characters; "Return the name." says nothing
LONGEST = 1500  # characters; the rest of a long text is left out
_SPACE = re.compile(r"[ \t]+\n")
_COMMENTS = re.compile(r"(?:^[ \t]*#.*\n){3,}", re.MULTILINE)
_LEGAL = re.compile(r"copyright|licen[sc]e|warrant", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Page:
    """One document: a docstring, a block of comments or a part of a text file.

    Attributes:
        id: dotted name of what is documented, `urllib3.response.HTTPResponse.read`.
        source: the package that it comes from.
    """

    id: str
    text: str
    source: str


def docstrings(code: bytes, module: str, source: str) -> list[Page]:
    """The docstrings of a module, its classes and their methods, and its functions; none where it cannot be parsed."""
    if b'"""' not in code and b"'''" not in code:  # saves the parsing, which is what takes time
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # other people's invalid escapes
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    return _pages(((name, text) for name, text in _documented(tree, module) if text is not None), source)


def comments(code: bytes, module: str, source: str) -> list[Page]:
    """Blocks of at least three lines of comments."""
    blocks = (match[0] for match in _COMMENTS.finditer(code.decode("utf-8", "replace").replace("\r\n", "\n")))
    texts = (re.sub(r"^[ \t]*#+ ?", "", block, flags=re.MULTILINE) for block in blocks)
    return _pages(((f"{module}#{number}", dedent(text)) for number, text in enumerate(texts, 1)), source)


def passages(text: str, name: str, source: str) -> list[Page]:
    """Paragraphs of a text file, joined up to `LONGEST` characters."""
    parts: list[str] = []
    for paragraph in re.split(r"\n\s*\n", text.replace("\r\n", "\n")):
        if parts and len(parts[-1]) + len(paragraph) < LONGEST:
            parts[-1] += "\n\n" + paragraph
        else:
            parts.append(paragraph)
    return _pages(((f"{name}#{number}", part) for number, part in enumerate(parts, 1)), source)


def _documented(node: ast.Module | ast.ClassDef, name: str) -> Iterator[tuple[str, str | None]]:
    yield name, ast.get_docstring(node)
    waiting: list[ast.AST] = list(reversed(node.body))
    while waiting:
        child = waiting.pop()
        if isinstance(child, ast.ClassDef):
            yield from _documented(child, f"{name}.{child.name}")
        elif isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef):
            yield f"{name}.{child.name}", ast.get_docstring(child)
        elif isinstance(child, ast.If | ast.Try | ast.With):  # definitions that depend on the platform
            waiting.extend(reversed(list(ast.iter_child_nodes(child))))


def _pages(named: Iterator[tuple[str, str]], source: str) -> list[Page]:
    """Those that say something; a name that occurs again (setters, overloads) gets a number."""
    found: dict[str, Page] = {}
    for name, raw in named:
        body = _shortened(_SPACE.sub("\n", raw).strip())
        if len(body) < SHORTEST or _LEGAL.search(body) or not body.isascii():
            continue
        number, unique = 1, name
        while unique in found:
            number += 1
            unique = f"{name}@{number}"
        found[unique] = Page(unique, f"{name.partition('#')[0]}\n\n{body}", source)
    return list(found.values())


def _shortened(text: str) -> str:
    if len(text) <= LONGEST:
        return text
    end = max(text.rfind(mark, 0, LONGEST) for mark in ("\n\n", ". ", ".\n", "\n"))
    return text[: end + 1 if end > SHORTEST else LONGEST].rstrip()
