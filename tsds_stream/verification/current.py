"""The selection as consumers hold it now, against the last revision record and what is computed from the documents."""

from __future__ import annotations

from tsds_stream.digests import digest_of
from tsds_stream.records import Json
from tsds_stream.verification.evidence import Current
from tsds_stream.verification.recomputation import Recomputed
from tsds_stream.verification.report import Report

FEW = 5  # ids that a sentence names


def check_current(
    name: str, current: Current, record: Json, recomputed: Recomputed | None, weight_change: float, report: Report
) -> None:
    """Faults of the selection as it is.

    Args:
        record: of the last revision.
        recomputed: the same revision from the documents, where it could be computed.
        weight_change: share by which what was sent may lie off what is exact.
    """
    number = int(record["revision"])
    if current.revision != number:
        sentence = f"the selection of {name!r} is that of revision {current.revision}, and the last one is {number}"
        report.fault("selection", sentence, name, number)
        return
    ids = sorted(current.members)
    sent = [current.members[name] for name in ids]
    digest = digest_of(ids, [one.probability for one in sent], [one.weight for one in sent])
    if digest != record["published_digest"]:
        expected = record["published_digest"]
        sentence = (
            f"the selection of {name!r} ({len(ids)} members) has the digest {digest}, and revision {number} "
            f"({record['size']} members) says {expected}"
        )
        report.fault("published_digest", sentence, name, number, found=digest, expected=expected)
    if recomputed is not None and recomputed.digest == record["digest"]:
        _check_members(name, current, number, recomputed, weight_change, report)


def differing(found: list[str], expected: list[str]) -> tuple[list[str], list[str]]:
    """The first ids that are there and should not be, and that should be and are not."""
    return sorted(set(found) - set(expected))[:FEW], sorted(set(expected) - set(found))[:FEW]


def _check_members(
    name: str, current: Current, number: int, recomputed: Recomputed, weight_change: float, report: Report
) -> None:
    more, less = differing(sorted(current.members), list(recomputed.ids))
    if more or less:
        sentence = (
            f"the selection of {name!r} holds {_named(more)} too many and lacks {_named(less)}, "
            f"against what the documents give for revision {number}"
        )
        report.fault("members", sentence, name, number, too_many=more, missing=less)
        return
    exact = recomputed.revision
    if exact is None:
        return
    columns = zip(
        exact.ids,
        exact.keys,
        exact.probabilities.tolist(),
        exact.weights.tolist(),
        exact.multiplicities.tolist(),
        strict=True,
    )
    for identifier, key, probability, weight, multiplicity in columns:
        sent = current.members[identifier]
        what = ""
        if sent.key != key:
            what = "stands for another point than the documents say"
        elif sent.multiplicity != multiplicity:
            what = f"has multiplicity {sent.multiplicity}, and {multiplicity} is right"
        elif abs(probability - sent.probability) > weight_change * abs(sent.probability):
            what = f"has p = {sent.probability:.6g}, and {probability:.6g} is right"
        elif abs(weight - sent.weight) > weight_change * abs(sent.weight):
            what = f"has weight {sent.weight:.6g}, and {weight:.6g} is right"
        if what:
            report.fault("values", f"{identifier!r} in the selection of {name!r} {what}", name, number, id=identifier)


def _named(ids: list[str]) -> str:
    return ", ".join(map(repr, ids)) or "none"
