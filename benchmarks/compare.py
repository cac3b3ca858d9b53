"""`tsds-stream compare` as a user runs it, on 50,000 passages: `python -m benchmarks.compare`.

The documents are of seven of the packages of `benchmarks.evidence`, 200 targets of three of them (half, three tenths,
one fifth). What the command prints, and how long it took, goes to `benchmarks/results/compare.md`.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path
from typing import Final

import numpy as np
import orjson

from benchmarks.corpus import CACHE
from benchmarks.evidence.corpora.text import text_corpus
from benchmarks.measuring import load, machine
from benchmarks.report import RESULTS

_DOMAINS: Final = ("java", "sql", "kernel", "music", "office", "webserver", "sympy")
_TARGETS: Final = {"java": 100, "music": 60, "office": 40}
_DOCUMENTS: Final = 50_000
_SECONDS: Final = 120


def main() -> int:
    """Write the files, run the command, keep what it says."""
    folder = CACHE / "compare"
    folder.mkdir(parents=True, exist_ok=True)
    documents, targets = folder / "documents.jsonl", folder / "targets.jsonl"
    _write(documents, targets)
    words = ["--documents", str(documents), "--targets", str(targets), "--budget", "1000", "--seeds", "5"]
    before, began = load(), time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "tsds_stream", "compare", *words], check=True, capture_output=True, text=True
    )
    seconds = time.perf_counter() - began
    described = machine()
    reached = "" if seconds < _SECONDS else ": **missed**"
    page = (
        f"# compare on {_DOCUMENTS:,} documents\n\n`python -m benchmarks.compare` on {described['cores']} cores, "
        f"Python {described['python']}, load {before}: {seconds:.0f} s in all, to reach {_SECONDS} s{reached}. "
        f"{sum(_TARGETS.values())} targets of three of seven packages, nine methods, five splits.\n\n"
        f"```\n{done.stdout.rstrip()}\n```\n"
    )
    (RESULTS / "compare.md").write_text(page)
    print(page)
    return 0


def _write(documents: Path, targets: Path) -> None:
    corpus, chance = text_corpus(), np.random.default_rng(20)
    rows = {name: chance.permutation(np.flatnonzero(corpus.domains == corpus.names.index(name))) for name in _DOMAINS}
    asked = [int(row) for name, count in _TARGETS.items() for row in rows[name][:count]]
    rest = np.concatenate([rows[name][_TARGETS.get(name, 0) :] for name in _DOMAINS])
    for path, chosen in ((targets, asked), (documents, chance.permutation(rest)[:_DOCUMENTS].tolist())):
        lines = (orjson.dumps({"id": f"passage-{row}", "text": corpus.texts[row]}) for row in chosen)
        path.write_bytes(b"\n".join(lines) + b"\n")


if __name__ == "__main__":
    sys.exit(main())
