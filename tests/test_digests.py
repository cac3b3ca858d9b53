"""The digest follows its written definition, in any order, for any id."""

from __future__ import annotations

import hashlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tsds_stream.digests import digest_of


def by_definition(members: dict[str, tuple[float, float]]) -> str:
    h = hashlib.blake2b(digest_size=16)
    for name in sorted(members, key=lambda text: text.encode()):
        encoded = name.encode()
        h.update(struct.pack("<I", len(encoded)) + encoded + struct.pack("<dd", *members[name]))
    return h.hexdigest()


_IDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(_IDS, st.tuples(st.floats(0, 1), st.floats(0, 1e9)), max_size=30), st.randoms())
def test_the_digest_is_the_defined_one_in_any_order(members, shuffler):
    rows = list(members.items())
    shuffler.shuffle(rows)
    got = digest_of([i for i, _ in rows], [v[0] for _, v in rows], [v[1] for _, v in rows])
    assert got == by_definition(members)


def test_an_empty_selection_has_the_digest_of_nothing():
    assert digest_of([], [], []) == hashlib.blake2b(digest_size=16).hexdigest()


def test_one_changed_bit_changes_the_digest():
    assert digest_of(["a"], [0.5], [1.0]) != digest_of(["a"], [0.5 + 2**-53], [1.0])


def test_an_id_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="'a' is there twice"):
        digest_of(["a", "b", "a"], [0.1, 0.2, 0.3], [1, 1, 1])


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="2 ids"):
        digest_of(["a", "b"], [0.5], [1, 1])
