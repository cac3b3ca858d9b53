"""Whether an expression asks for what exists: its metrics, their labels, and the values that these can have.

`problems(expression, recorded)` says what is wrong in sentences; `recorded` are the recording rules with the labels
that they keep, as `labels_in` finds them. Variables of dashboards are filled in before: `filled_in` knows Grafana's.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final, NamedTuple

import promql_parser as promql

from tsds_stream.monitoring.catalogue import METRICS, Metric

OF_THE_TARGET: Final = frozenset({"job", "instance"})  # Prometheus itself adds them
OF_PROMETHEUS: Final = {
    "up": OF_THE_TARGET,
    "scrape_duration_seconds": OF_THE_TARGET,
    "scrape_samples_scraped": OF_THE_TARGET,
    "ALERTS": OF_THE_TARGET | {"alertname", "alertstate", "severity", "target_set"},
    "ALERTS_FOR_STATE": OF_THE_TARGET | {"alertname", "severity", "target_set"},
}
OF_GRAFANA: Final = {"__rate_interval": "5m", "__interval": "1m", "__range": "6h"}
_METRICS: Final[dict[str, Metric]] = {name: metric for metric in METRICS for name in metric.series}
_OPERATORS: Final = (
    (promql.MatchOp.Equal, "="),
    (promql.MatchOp.NotEqual, "!="),
    (promql.MatchOp.Re, "=~"),
    (promql.MatchOp.NotRe, "!~"),
)
_CHOOSING: Final = ("topk", "bottomk", "limitk", "limit_ratio")  # series stay as they are
_CREATING: Final = ("label_replace", "label_join")
_CHILDREN: Final = ("lhs", "rhs", "expr", "param", "args", "vector_selector")


class Matcher(NamedTuple):
    """`label op "value"`; op is one of = != =~ !~."""

    label: str
    op: str
    value: str


class Selector(NamedTuple):
    """What one vector selector of an expression asks for."""

    metric: str
    matchers: tuple[Matcher, ...]


def filled_in(expression: str, variables: Mapping[str, str]) -> str:
    """The expression with these variables, written `$name` or `${name}`, and with those that Grafana always has."""
    for name, value in sorted({**OF_GRAFANA, **variables}.items(), key=lambda item: -len(item[0])):
        expression = expression.replace(f"${{{name}}}", value)
        expression = re.sub(rf"\${re.escape(name)}\b", lambda _, value=value: value, expression)
    return expression


def selectors(expression: str) -> list[Selector]:
    """Everything that an expression asks for. Raises `ValueError` where it is no PromQL."""
    return [_selector(node) for node in _nodes(promql.parse(expression)) if isinstance(node, promql.VectorSelector)]


def labels_in(expression: str, recorded: Mapping[str, Collection[str]] | None = None) -> frozenset[str]:
    """The labels that its result may have. Raises `ValueError` where it is no PromQL."""
    return _labels_from(promql.parse(expression), recorded or {})


def problems(expression: str, recorded: Mapping[str, Collection[str]] | None = None) -> list[str]:
    """What is wrong with an expression, in sentences; nothing when all that it names exists.

    Args:
        recorded: the names of recording rules, each with its labels.
    """
    known = recorded or {}
    try:
        tree = promql.parse(expression)
    except ValueError as error:
        return [f"{expression}: {error}"]
    found = [f"{expression}: {problem}" for one in selectors(expression) for problem in _wrong_with(one, known)]
    for node in _nodes(tree):
        strange = _labels_named_by(node) - _labels_into(node, known)
        found += [f"{expression}: nothing there has the label {label}" for label in sorted(strange)]
    return found


def _wrong_with(selector: Selector, recorded: Mapping[str, Collection[str]]) -> Iterator[str]:
    labels = _labels_of(selector.metric, recorded)
    if labels is None:
        yield f"there is no metric {selector.metric or '(without a name)'}"
        return
    metric = _METRICS.get(selector.metric)
    values = {label.name: label.values for label in metric.labels} if metric else {}
    for matcher in selector.matchers:
        if matcher.label not in labels:
            yield f"{selector.metric} has no label {matcher.label}; it has {', '.join(sorted(labels))}"
        elif possible := values.get(matcher.label):
            yield from _impossible(selector.metric, matcher, possible)


def _impossible(metric: str, matcher: Matcher, possible: Collection[str]) -> Iterator[str]:
    if matcher.op in ("=", "!="):
        wanted = [matcher.value] if matcher.value else []  # an empty value asks for series without the label
        missing = [value for value in wanted if value not in possible]
    else:
        parts = [matcher.value] if "(" in matcher.value else matcher.value.split("|")
        missing = [part for part in parts if not any(re.fullmatch(part, one) for one in possible)]
    for value in missing:
        yield f"{metric} never has {matcher.label}={value!r}; it can be {', '.join(possible)}"


def _labels_of(name: str, recorded: Mapping[str, Collection[str]]) -> frozenset[str] | None:
    if name in _METRICS:
        own = {label.name for label in _METRICS[name].labels} | ({"le"} if name.endswith("_bucket") else set())
        return OF_THE_TARGET | own
    if name in recorded:
        return OF_THE_TARGET | frozenset(recorded[name])
    return OF_PROMETHEUS.get(name)


def _labels_from(node: Any, recorded: Mapping[str, Collection[str]]) -> frozenset[str]:
    """The labels that the result of a part of an expression may have."""
    if isinstance(node, promql.VectorSelector):
        return _labels_of(_selector(node).metric, recorded) or frozenset()
    into, named = _labels_into(node, recorded), _labels_named_by(node)
    if isinstance(node, promql.AggregateExpr):
        if str(node.op) in _CHOOSING:
            return into
        return into - named if _is(node.modifier, promql.AggModifierType.Without) else into & named
    if isinstance(node, promql.Call):
        if node.func.name in _CREATING:
            return into | {node.args[1].val}
        return into - {"le"} if node.func.name == "histogram_quantile" else into
    if isinstance(node, promql.BinaryExpr) and str(node.op) in ("and", "unless"):
        return _labels_from(node.lhs, recorded)
    return into


def _labels_into(node: Any, recorded: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Those of everything directly below it."""
    return frozenset[str]().union(*(_labels_from(child, recorded) for child in _children(node)))


def _labels_named_by(node: Any) -> frozenset[str]:
    modifier = getattr(node, "modifier", None)
    if modifier is None:
        return frozenset()
    if isinstance(node, promql.AggregateExpr):
        return frozenset(modifier.labels)
    return frozenset([*(modifier.matching.labels if modifier.matching else ()), *(modifier.group_labels or ())])


def _is(modifier: Any, kind: Any) -> bool:
    return modifier is not None and bool(modifier.type == kind)


def _selector(node: Any) -> Selector:
    matchers = tuple(
        Matcher(one.name, next(sign for op, sign in _OPERATORS if op == one.op), one.value)
        for one in node.matchers.matchers
    )
    named = [one.value for one in matchers if one.label == "__name__" and one.op == "="]
    return Selector(node.name or "".join(named[:1]), tuple(one for one in matchers if one.label != "__name__"))


def _nodes(node: Any) -> Iterator[Any]:
    """A node and everything below it."""
    yield node
    for child in _children(node):
        yield from _nodes(child)


def _children(node: Any) -> list[Any]:
    below = [getattr(node, name, None) for name in _CHILDREN]
    return [child for one in below for child in (one if isinstance(one, list) else [one]) if child is not None]
