"""The status page as the README shows it: `python -m benchmarks.monitoring.pictures`, about three minutes.

A daemon follows a file that grows by the documentation of the installed Python packages. After two thirds of it the
stream changes: most documents come from a single package. One picture is from before, one from after the change. Needs
Chromium and Pillow, and as many installed packages as a working environment has.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from tests.kafka.node import free_port
from tests.monitoring.page.chromium import Chromium, chromium, installed
from tsds_stream.demo.corpus import collect, installed_roots
from tsds_stream.demo.pages import Page

IMAGES = Path(__file__).resolve().parents[2] / "deploy" / "images"
GROUPS = {
    "networking": ("socket", "ssl", "http", "urllib", "smtplib", "ftplib"),
    "files and archives": ("zipfile", "tarfile", "shutil", "pathlib", "tempfile", "os"),
    "dates and times": ("datetime", "calendar", "zoneinfo", "dateutil"),
    "text": ("re", "html", "json", "csv", "textwrap", "email"),
}
_EXAMPLES = 25  # of each group, at most
_BEFORE, _AFTER = 100, 50  # seconds of writing
_PER_SECOND = 120
_WIDTH = 900
_SETTINGS = """
[source]
path = "{root}/documents"
follow = true
[sink]
path = "{root}/selection"
[[target_sets]]
name = "standard-library"
targets = "{root}/targets.jsonl"
budget = 500
calibration = 2000
[state]
directory = "{root}/state"
checkpoint_interval = "10s"
[monitoring]
listen = "127.0.0.1:{port}"
[monitoring.drift]
rate = 1000
warmup = 500
baseline = 3000
short_window = 300
long_window = 2000
"""


def main() -> None:
    """Make both pictures anew."""
    browser = installed()
    if browser is None:
        sys.exit("Chromium is not installed (Debian: chromium)")
    IMAGES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, chromium(browser) as one:
        root, chosen = Path(folder), random.Random(4)
        targets, ordinary, other = _texts(chosen)
        (root / "targets.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in targets))
        with _daemon(root) as url:
            lines = _lines(ordinary)
            _write(root, lines, _BEFORE)
            _picture(one, url, "status-page.png", height=1200)
            others = _lines(other)
            _write(root, (next(others if chosen.random() < 0.8 else lines) for _ in iter(int, 1)), _AFTER)
            _picture(one, url, "status-page-drift.png", height=1040, dark=True, anchor="drift")


def _texts(chosen: random.Random) -> tuple[list[dict[str, str]], list[Page], list[Page]]:
    """Target examples by group; documents of all packages; documents of the largest one, in any order."""
    found = collect(installed_roots(), 1_000_000, seed=1)
    pages = found.documents + found.topic
    chosen.shuffle(pages)
    targets: dict[str, dict[str, str]] = {}
    for group, modules in GROUPS.items():
        of = [page for page in pages if page.source in modules or page.id.split(".")[0] in modules]
        targets |= {page.id: {"id": page.id, "text": page.text, "group": group} for page in of[:_EXAMPLES]}
    rest = [page for page in pages if page.id not in targets]
    sources = [page.source for page in rest]
    largest = max(set(sources), key=sources.count)
    other = [page for page in rest if page.source == largest]
    return list(targets.values()), [page for page in rest if page.source != largest], other


def _lines(pages: list[Page]) -> Iterator[str]:
    """Records without end; those that come again are new documents."""
    turn = 0
    while True:
        for page in pages:
            name = f"{page.id}~{turn}" if turn else page.id
            record = {"id": name, "text": page.text, "meta": {"source": page.source}}
            yield json.dumps({**record, "timestamp": int(time.time() * 1000)})
        turn += 1


def _write(root: Path, lines: Iterator[str], seconds: int) -> None:
    folder = root / "documents"
    folder.mkdir(exist_ok=True)
    began, written = time.monotonic(), 0
    with (folder / "stream.jsonl").open("a") as file:
        while (passed := time.monotonic() - began) < seconds:
            while written < passed * _PER_SECOND:
                file.write(f"{next(lines)}\n")
                written += 1
            file.flush()
            time.sleep(0.1)


@contextmanager
def _daemon(root: Path) -> Iterator[str]:
    """A run with a port; ends with the block."""
    port = free_port()
    (root / "tsds.toml").write_text(_SETTINGS.format(root=root, port=port))
    command = [sys.executable, "-m", "tsds_stream", "run", "--config", str(root / "tsds.toml")]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        yield f"http://127.0.0.1:{port}/"
    finally:
        process.terminate()
        process.wait(timeout=60)


def _picture(browser: Chromium, url: str, name: str, *, height: int, dark: bool = False, anchor: str = "") -> None:
    with browser.tab(width=_WIDTH, height=height, dark=dark) as tab:
        tab.open(url)
        if anchor:
            tab.run(f"document.getElementById('{anchor}').scrollIntoView({{ behavior: 'instant' }})")
            tab.run("window.scrollBy({ top: -24, behavior: 'instant' })")
        tab.picture(IMAGES / name, whole=False)
    with Image.open(IMAGES / name) as image:
        image.convert("RGB").quantize(96, dither=Image.Dither.NONE).save(IMAGES / name, optimize=True)
    print(f"{IMAGES / name}: {(IMAGES / name).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
