"""Real texts that every machine with Python has: the modules of its standard library, in pieces."""

from __future__ import annotations

import asyncio
import email
import json
import logging
import urllib
from pathlib import Path

AWKWARD = [
    "plain words",
    "tabs\tand\r\nline breaks\n\n",
    "   leading and trailing   ",
    "中文测试。日本語のテキスト",
    "\N{GRINNING FACE}\N{ZERO WIDTH JOINER}\N{FAMILY}",
    "NUL \x00 inside",
    "\x00",
    "lone \ud800 surrogate",
    "\udfff",
    "a",
    "<s> strike </s> <unk> <0x0A> <pad>",
    "▁ the mark itself ▁▁x",
    "e\N{COMBINING ACUTE ACCENT}" * 50,
    "x" * 5000,
    "1234567890 " * 400,
]


def pieces(size: int = 600, limit: int = 300) -> list[str]:
    """At most `limit` pieces of `size` characters of Python source."""
    folders = [Path(str(module.__file__)).parent for module in (asyncio, email, json, logging, urllib)]
    texts = [path.read_text(encoding="utf-8") for folder in folders for path in sorted(folder.glob("*.py"))]
    return [text[k : k + size] for text in texts for k in range(0, len(text), size)][:limit]
