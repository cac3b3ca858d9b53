"""What is exported of a document: the same fields in every format, in one order."""

from __future__ import annotations

from typing import Final, NamedTuple

import orjson

from tsds_stream.records import Json

FIELDS: Final = (
    "id", "text", "meta", "weight", "probability", "density", "multiplicity", "nearest", "source", "revision",
)  # fmt: skip


class Document(NamedTuple):
    """One document of an export.

    Attributes:
        fields: those of `FIELDS`; what the selection does not have is None.
        line: the same as a line of JSON.
    """

    fields: Json
    line: bytes


def document_of(record: Json) -> Document:
    """A selection record as it is exported.

    `nearest` becomes a list of objects, {"target", "distance"}: no column of a table holds both a name and a number.
    """
    fields = {name: record.get(name) for name in FIELDS}
    if fields["nearest"] is not None:
        fields["nearest"] = [{"target": target, "distance": distance} for target, distance in fields["nearest"]]
    return Document(fields, orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE))
