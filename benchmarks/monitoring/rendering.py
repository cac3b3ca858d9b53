"""How long one scrape takes to be written, apart from the stream and from HTTP."""

from __future__ import annotations

from benchmarks.corpus import Corpus
from benchmarks.measuring import best
from benchmarks.report import Part
from tests.monitoring.samples import two_sets
from tsds_stream.monitoring.exposition import render

_PARTITIONS = 32
_TIMES = 20


def measure(corpus: Corpus, quick: bool) -> Part:
    """A status document of two target sets and 32 partitions, in both formats. It is rendered once per document."""
    part = Part()
    status = two_sets()
    status["flow"]["partition_lag"] = {f"documents/{number}": number for number in range(_PARTITIONS)}
    for name, accept in (("text", ""), ("OpenMetrics", "application/openmetrics-text; version=1.0.0")):
        took = best(lambda accept=accept: [render(status, accept) for _ in range(_TIMES)], 5)
        body, _ = render(status, accept)
        part.details[name] = {"bytes": len(body), "samples": sum(line[:1] != b"#" for line in body.splitlines())}
        part.details[name] |= took.as_dict()
        part.add(
            f"/metrics written as {name}, two target sets, {_PARTITIONS} partitions",
            "≤ 5 ms",
            f"{1000 * took.wall / _TIMES:.1f} ms for {part.details[name]['samples']:,} samples",
            took.wall / _TIMES <= 0.005,
        )
    return part
