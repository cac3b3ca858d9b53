"""What a page shows, compared with what /status.json says: read back by rules that the page does not share."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

Json = dict[str, Any]

# Every element that names its place, and every text with a digit in it that is in no such element.
COLLECT = r"""(() => {
  const main = document.getElementById("main");
  const named = [...main.querySelectorAll("[data-value]")].map((one) => ({
    path: one.dataset.value, raw: one.dataset.raw ?? null, text: one.textContent, tag: one.localName,
    sum: "sum" in one.dataset, length: "length" in one.dataset, moment: one.getAttribute("datetime"),
  }));
  const walker = document.createTreeWalker(main, NodeFilter.SHOW_TEXT);
  const bare = [];
  while (walker.nextNode()) {
    const home = walker.currentNode.parentElement;
    if (/\d/.test(walker.currentNode.data) && !home.closest("[data-value], bdi, time, svg, .marks, [data-calculated]"))
      bare.push(walker.currentNode.data);
  }
  return { named, bare };
})()"""

# Numbers that are no measurements.
_CONSTANT = re.compile(
    r" alarm at 1|.*1 is the alarm line\..*|.*\(1 − Jaccard\)\.|.* 99% of |.*: 1 is all of them|: 1 means that .*|"
    r"\d+ more|The other \d+ groups|The first \d+ of "
)
_UNITS = {
    "": 1.0, "%": 0.01, "bytes": 1.0, "kB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12, "ms": 1e-3, "s": 1.0,
    "minute": 60.0, "minutes": 60.0, "hour": 3600.0, "hours": 3600.0, "day": 86400.0, "days": 86400.0,
}  # fmt: skip
_ROUNDED_DOWN = {"minute", "minutes", "hour", "hours", "day", "days"}


def differences(seen: Json, status: Json) -> list[str]:
    """Sentences about whatever the page shows and the document does not say."""
    found = [f"{one!r} stands on the page and names no place" for one in seen["bare"] if not _CONSTANT.fullmatch(one)]
    for one in seen["named"]:
        value = resolve(status, one["path"])
        if not _agrees(one, value):
            found.append(f"{one['path']}: the page says {one['text']!r} (raw {one['raw']}), the document {value!r}")
    return found


def resolve(document: Any, pointer: str) -> Any:
    """The value that a JSON Pointer leads to; None where there is none."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, list):
            document = document[int(key)] if int(key) < len(document) else None
        else:
            document = document.get(key) if isinstance(document, dict) else None
    return document


def _agrees(one: Json, value: Any) -> bool:
    if one["length"]:
        return int(re.findall(r"\d+", one["text"])[0]) == len(value)
    if one["raw"] is not None and json.loads(one["raw"]) != value:
        return False
    if one["sum"]:
        value = sum(value.values())
    if one["tag"] == "time":
        return bool(abs(datetime.fromisoformat(one["moment"].replace("Z", "+00:00")).timestamp() * 1000 - value) < 1)
    if one["text"] == "never":
        return value in (0, None)
    if one["text"] == "–":
        return value is None
    if isinstance(value, bool):
        return one["text"] == "Exact" and value
    if isinstance(value, (int, float)):
        return reads_as(one["text"], value)
    return one["raw"] is not None or one["text"] == value


def reads_as(text: str, value: float) -> bool:
    """Whether a number as people write it may be this one: it has no digit that is wrong."""
    if text == "<0.01%":
        return 0 < value < 1e-4
    found = re.fullmatch(r"([+−-]?)([\d,]+(?:\.(\d+))?(?:e[+-]\d+)?) ?(\D*)", text)
    if found is None or found[4] not in _UNITS:
        return False
    unit = _UNITS[found[4]]
    shown = float(found[2].replace(",", "")) * unit * (-1 if found[1] in ("−", "-") else 1)
    step = unit * 10.0 ** -len(found[3] or "")
    if "e" in found[2]:
        step = abs(shown) / 100
    return abs(shown - value) <= step * (1.0 if found[4] in _ROUNDED_DOWN else 0.5) * (1 + 1e-9) + abs(value) * 1e-12
