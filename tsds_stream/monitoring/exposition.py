"""A status document in the text format of Prometheus or, for clients that ask for it, in OpenMetrics."""

from __future__ import annotations

import math
from collections.abc import Iterator

from prometheus_client.core import Metric as Family
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from tsds_stream.monitoring.catalogue import METRICS, Json, Metric

_BASE_UNITS = ("seconds", "bytes", "ratio")  # those that names end in; the others are words for the reference


def render(status: Json, accept: str = "") -> tuple[bytes, str]:
    """The metrics of a status document; equal documents give equal bytes.

    Args:
        accept: the header of the request, which decides between the formats.

    Returns:
        The body and its content type.
    """
    try:
        encode, content_type = choose_encoder(accept)
    except (ValueError, TypeError):  # a version that is no number
        encode, content_type = choose_encoder("")
    return encode(_Collected(status)), content_type


class _Collected(Collector):
    def __init__(self, status: Json) -> None:
        self._status = status

    def collect(self) -> Iterator[Family]:
        return (family(metric, self._status) for metric in METRICS)


def family(metric: Metric, status: Json) -> Family:
    """One metric with its samples."""
    base = metric.full_name.removesuffix("_total" if metric.kind == "counter" else "_info")
    unit = metric.unit if metric.unit in _BASE_UNITS else ""
    built = Family(base, metric.help, metric.kind, unit)
    names = [label.name for label in metric.labels]
    for values, value in metric.samples(status).items():
        labels = dict(zip(names, values, strict=True))
        if isinstance(value, dict):
            _add_histogram(built, labels, value)
        else:
            built.add_sample(metric.full_name, labels, value)
    return built


def _add_histogram(built: Family, labels: dict[str, str], histogram: Json) -> None:
    total = 0
    for bound, count in zip((*histogram["bounds"], float("inf")), histogram["counts"], strict=True):
        total += count
        built.add_sample(f"{built.name}_bucket", {**labels, "le": _bound(bound)}, total)
    built.add_sample(f"{built.name}_count", labels, total)
    built.add_sample(f"{built.name}_sum", labels, histogram["sum"])


def _bound(bound: float) -> str:
    return "+Inf" if math.isinf(bound) else repr(float(bound))
