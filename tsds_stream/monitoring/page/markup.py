"""HTML and SVG from function calls: whatever is not `Html` already is escaped, here and nowhere else."""

from __future__ import annotations

import re
from html import escape

_EMPTY = frozenset({"br", "hr", "input", "link", "meta"})  # have no end tag; shapes of SVG have one
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]*")
# What HTML does not allow in a document, or a browser would show as nothing at all; line ends and tabs stay.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


class Html(str):
    """Markup that is not escaped again. Only this module makes it; `+`, `%` and f-strings give plain text back."""

    __slots__ = ()


def text(value: object) -> Html:
    """A value as text of a page: escaped, characters that cannot be shown replaced by �."""
    if isinstance(value, Html):
        return value
    return Html(escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", str(value)), quote=True))


def tag(name: str, /, *children: object, **attributes: object) -> Html:
    """An element.

    Args:
        children: `Html` as it is, anything else as text, nothing for None.
        attributes: `class_` and `for_` lose their underscore, others become dashes; True has no value, None and False
            leave the attribute out.
    """
    parts = [f"<{_named(name)}"]
    for key, value in attributes.items():
        if value is None or value is False:
            continue
        attribute = _named(key.rstrip("_").replace("_", "-"))
        parts.append(f" {attribute}" if value is True else f' {attribute}="{text(str(value))}"')
    if name in _EMPTY:
        return Html("".join([*parts, "/>"]))  # in SVG, what is not closed would be the parent of what follows
    parts.append(">")
    parts += [text(child) for child in children if child is not None]
    parts.append(f"</{name}>")
    return Html("".join(parts))


def join(*children: object) -> Html:
    """Elements and texts one behind the other; None is nothing."""
    return Html("".join(text(child) for child in children if child is not None))


def _named(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an element or an attribute")
    return name
