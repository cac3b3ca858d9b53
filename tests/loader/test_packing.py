"""What stands where in packed sequences, against the slowest way to write it down."""

from __future__ import annotations

import json
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tsds_stream.loader.packing import (
    IGNORED,
    Concat,
    FirstFit,
    Packer,
    Piece,
    left_over_as_json,
    left_over_of,
    sequence_of,
)

LENGTHS = st.lists(st.integers(1, 23), max_size=40)


def documents(lengths: list[int]) -> list[Piece]:
    """Token k of document n is 1000 n + k."""
    return [Piece(np.arange(size, dtype=np.int32) + 1000 * n, 0, {"id": str(n)}) for n, size in enumerate(lengths)]


def packed(packer: Packer, lengths: list[int], interrupted: bool = False) -> Iterator[list[Piece]]:
    for piece in documents(lengths):
        packer.add(piece)
        while True:
            if interrupted:
                packer.restore(left_over_of(json.loads(json.dumps(left_over_as_json(packer.state())))))
            sequence = packer.next()
            if sequence is None:
                break
            yield sequence
    while (sequence := packer.rest()) is not None:
        yield sequence


def plain(sequences: list[list[Piece]]) -> list[list[tuple[str, int, list[int]]]]:
    return [[(piece.origin["id"], piece.start, piece.tokens.tolist()) for piece in one] for one in sequences]


@given(LENGTHS, st.integers(1, 16))
def test_concatenated_sequences_hold_every_token_once_in_order_and_all_but_the_last_are_full(
    lengths: list[int], length: int
) -> None:
    sequences = list(packed(Concat(length), lengths))
    whole = [token for n, size in enumerate(lengths) for token in range(1000 * n, 1000 * n + size)]
    expected = [whole[k : k + length] for k in range(0, len(whole), length)]
    assert [[token for piece in one for token in piece.tokens.tolist()] for one in sequences] == expected
    for one in sequences:
        for piece in one:
            assert piece.tokens[0] == 1000 * int(piece.origin["id"]) + piece.start


@given(LENGTHS, st.integers(1, 16), st.integers(1, 6))
def test_first_fit_cuts_no_document_that_fits_and_loses_no_token(lengths: list[int], length: int, most: int) -> None:
    sequences = list(packed(FirstFit(length, most), lengths))
    found: dict[int, list[int]] = {n: [] for n in range(len(lengths))}
    for one in sequences:
        assert 0 < sum(len(piece.tokens) for piece in one) <= length
        for piece in one:
            n = int(piece.origin["id"])
            if lengths[n] <= length:
                assert len(piece.tokens) == lengths[n]
            else:
                assert len(piece.tokens) in (length, lengths[n] % length)
            found[n] += piece.tokens.tolist()
    assert {n: sorted(tokens) for n, tokens in found.items()} == {
        n: list(range(1000 * n, 1000 * n + size)) for n, size in enumerate(lengths)
    }


@given(LENGTHS, st.integers(1, 16), st.sampled_from(["concat", "first_fit"]))
def test_what_is_left_over_goes_on_after_any_sequence(lengths: list[int], length: int, mode: str) -> None:
    def made() -> Packer:
        return Concat(length) if mode == "concat" else FirstFit(length, 3)

    assert plain(list(packed(made(), lengths, interrupted=True))) == plain(list(packed(made(), lengths)))


@given(LENGTHS, st.integers(1, 16), st.sampled_from(["concat", "first_fit"]))
def test_every_position_is_as_written_out_by_hand(lengths: list[int], length: int, mode: str) -> None:
    for pieces in packed(Concat(length) if mode == "concat" else FirstFit(length, 3), lengths):
        expected: dict[str, list[int]] = {"input_ids": [], "labels": [], "position_ids": [], "document_ids": []}
        for n, piece in enumerate(pieces):
            for k, token in enumerate(piece.tokens.tolist()):
                for name, value in zip(expected, (token, token, k, n), strict=True):
                    expected[name].append(value)
        while len(expected["labels"]) < length:
            for name, value in zip(expected, (7, IGNORED, 0, -1), strict=True):
                expected[name].append(value)
        found = sequence_of(pieces, length, 7)
        assert {name: values.tolist() for name, values in found.items()} == expected
        assert {values.dtype for values in found.values()} == {np.dtype(np.int64)}


@settings(max_examples=20)
@given(st.integers(0, 2**32))
def test_first_fit_fills_nearly_as_much_as_concat(seed: int) -> None:
    """Lengths of texts as they are in the wild: half of them below 200 tokens, some longer than a sequence."""
    lengths = np.random.default_rng(seed).lognormal(5.3, 1.1, 600).astype(int) + 1
    length = 1024
    fill = {}
    for name, packer in (("concat", Concat(length)), ("first_fit", FirstFit(length, 16))):
        count = sum(1 for _ in packed(packer, lengths.tolist()))
        fill[name] = int(lengths.sum()) / (count * length)
    assert fill["concat"] > 0.99
    assert fill["first_fit"] > 0.9


def test_the_state_is_small() -> None:
    packer = FirstFit(1024, 16)
    for piece in documents(np.random.default_rng(0).integers(100, 900, 100).tolist()):
        packer.add(piece)
        while packer.next() is not None:
            pass
    held = sum(len(piece.tokens) for pieces in packer.state().sequences for piece in pieces)
    assert held > 5000
    assert len(json.dumps(left_over_as_json(packer.state()))) < 3 * held


@pytest.mark.parametrize("tokens", ["", "0", "~~~~~"])
def test_damaged_tokens_are_told(tokens: str) -> None:
    import zlib

    with pytest.raises((ValueError, zlib.error)):
        left_over_of({"complete": 0, "sequences": [[[tokens, 0, {}]]]})
