from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tsds_stream.embedding.batching import batches, estimated_tokens
from tsds_stream.embedding.text import first_bytes, valid_unicode


@given(st.lists(st.text(max_size=40)), st.integers(1, 5), st.integers(1, 30))
def test_batches_keep_the_order_and_both_limits(texts: list[str], max_count: int, max_tokens: int) -> None:
    texts = [valid_unicode(text) for text in texts]
    found = list(batches(texts, max_count, max_tokens))
    assert [i for batch in found for i in batch] == list(range(len(texts)))
    for batch in found:
        assert 1 <= len(batch) <= max_count
        assert len(batch) == 1 or sum(estimated_tokens(texts[i]) for i in batch) <= max_tokens


def test_a_text_over_the_limit_stands_alone() -> None:
    assert [list(b) for b in batches(["a", "b" * 100, "c", "d"], 10, 4)] == [[0], [1], [2, 3]]


@given(st.text(st.characters()), st.integers(0, 50))
def test_cutting_to_bytes_never_cuts_a_character(text: str, limit: int) -> None:
    text = valid_unicode(text)
    cut = first_bytes(text, limit)
    assert text.startswith(cut)
    assert len(cut.encode()) <= limit
    assert cut == text or len(text[: len(cut) + 1].encode()) > limit


def test_lone_surrogates_become_replacement_characters() -> None:
    assert valid_unicode("a\ud800b\udc00") == "a�b�"
    assert valid_unicode("plain") == "plain"
    assert valid_unicode("\N{GRINNING FACE} é") == "\N{GRINNING FACE} é"
