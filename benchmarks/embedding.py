"""How fast texts are embedded: `python -m benchmarks.embedding`.

The static embedder beside the `embed` of the package whose weights it uses, on the same real texts in the same run:
once through a corpus that neither has seen, as a stream is; the package in its own batches of 64, ours in batches of
256, as the engine does. The hashing embedder is there for comparison.
"""

from __future__ import annotations

import ast
import json
import logging
import sysconfig
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tsds_stream.embedding import Embedder, create
from tsds_stream.embedding.settings import HashingSettings, StaticSettings


def corpus(limit: int = 8000, size: int = 1500) -> dict[str, list[str]]:
    """Pieces of the installed Python sources, and the docstrings in them."""
    code: list[str] = []
    prose: list[str] = []
    for folder in (sysconfig.get_path("stdlib"), sysconfig.get_path("purelib")):
        for path in sorted(Path(folder).rglob("*.py")):
            if len(code) >= limit and len(prose) >= limit:
                break
            try:
                source = path.read_text(encoding="utf-8")
                tree = ast.parse(source)
            except (SyntaxError, ValueError):
                continue
            code += [source[k : k + size] for k in range(0, len(source), size)]
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    text = ast.get_docstring(node)
                    if text and len(text) > 150:
                        prose.append(text)
    return {"Python sources": code[:limit], "docstrings": prose[:limit]}


def in_batches(embed: Callable[[list[str]], Any], texts: Sequence[str], size: int) -> np.ndarray[Any, Any]:
    """(n, d) vectors of `texts`, `size` at a time."""
    return np.concatenate([embed(list(texts[k : k + size])) for k in range(0, len(texts), size)])


def timed(action: Callable[[], Any]) -> tuple[float, float, Any]:
    """Wall seconds, processor seconds and the result."""
    wall, cpu = time.perf_counter(), time.process_time()
    result = action()
    return time.perf_counter() - wall, time.process_time() - cpu, result


def measure() -> dict[str, Any]:
    """Texts per second of each embedder for each kind of text, and the ratios to the package."""
    import wordllama

    logging.getLogger().handlers.clear()  # the package adds one
    package = wordllama.WordLlama.load(cache_dir=Path(wordllama.__file__).parent, disable_download=True)
    package.embed(["warm up"])
    results: dict[str, Any] = {}
    for name, texts in corpus().items():
        fresh: dict[str, Embedder] = {
            "static": create(StaticSettings(max_tokens=None)),
            "hashing": create(HashingSettings()),
        }
        row: dict[str, Any] = {"texts": len(texts), "characters": sum(map(len, texts))}
        wall, cpu, theirs = timed(lambda texts=texts: package.embed(texts))
        row["package"] = {"texts_per_second": len(texts) / wall, "processor_seconds": cpu}
        for kind, embedder in fresh.items():
            ours_wall, ours_cpu, ours = timed(lambda e=embedder, texts=texts: in_batches(e.embed, texts, 256))
            row[kind] = {"texts_per_second": len(texts) / ours_wall, "processor_seconds": ours_cpu}
            row[kind]["speed_ratio"] = wall / ours_wall
            row[kind]["processor_ratio"] = cpu / ours_cpu
            if kind == "static":
                row["largest_difference"] = float(np.abs(ours - theirs).max())
        results[name] = row
    return results


if __name__ == "__main__":
    print(json.dumps(measure(), indent=2))
