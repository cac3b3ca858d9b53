"""What a mixture serves: every share at every moment, every document of an epoch, and errors that name the source."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loader.selections import Selection, ids
from tests.loader.tools import WORKERS_ARE_FINE, needed

needed("torch")

from torch.utils.data import DataLoader  # noqa: E402

from tests.loader.mixing import Lines, encode, lengths, of_three, selected, served  # noqa: E402
from tsds_stream.loader.loader import SelectedLoader  # noqa: E402
from tsds_stream.loader.mixture import Mixture  # noqa: E402
from tsds_stream.loader.packed import Packed  # noqa: E402
from tsds_stream.loader.reading import LoaderError  # noqa: E402
from tsds_stream.loader.tokenizing import Tokenized  # noqa: E402

pytestmark = WORKERS_ARE_FINE


@pytest.fixture(scope="module")
def selection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Selection]:
    found = Selection(tmp_path_factory.mktemp("selection"), ids(13), ids(24, 9))
    yield found
    found.close()


def first(mixture: Mixture, count: int) -> list[dict[str, Any]]:
    return [document for _, document in zip(range(count), mixture, strict=False)]


@settings(max_examples=30)
@given(
    st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4),
    st.integers(0, 2**32),
    st.lists(st.integers(0, 30), min_size=4, max_size=40).filter(lambda sizes: min(sizes[:4]) > 0),
    st.sampled_from(["tokens", "documents"]),
)
def test_every_share_is_met_at_every_prefix(shares: list[float], seed: int, sizes: list[int], unit: Any) -> None:
    """Sources of other lengths each, over several epochs of theirs."""
    sources = {str(k): ([{"text": "x" * size} for size in sizes[k:]], share) for k, share in enumerate(shares)}
    mixture = Mixture(sources, unit, seed, count=lambda document: len(document["text"]), exhausted="repeat")
    had, longest = Counter[str](), 0
    for document in first(mixture, 120):
        size = len(document["text"]) if unit == "tokens" else 1
        had[document["served"]["source"]] += size
        longest = max(longest, size)
        for k, share in enumerate(shares):
            off = abs(share / sum(shares) * sum(had.values()) - had[str(k)])
            assert off < longest if unit == "documents" else off <= longest * (1 + share / sum(shares))


def test_several_target_sets_come_in_the_proportions_asked_for(tmp_path_factory: pytest.TempPathFactory) -> None:
    made = [
        Selection(tmp_path_factory.mktemp(name), ids(20, first)) for name, first in (("m", 0), ("l", 40), ("c", 80))
    ]
    shares = {"mathematics": 0.6, "law": 0.3, "code": 0.1}
    sources = {name: (selected(one.path), share) for (name, share), one in zip(shares.items(), made, strict=True)}
    loader = SelectedLoader(Mixture(sources, "documents", exhausted="repeat"), 10, 2)
    for batch in served(loader, 12):
        assert Counter(source for source, _, _ in batch) == {"mathematics": 6, "law": 3, "code": 1}
    loader.close()
    for one in made:
        one.close()


def test_the_sequence_is_a_function_of_the_seed(selection: Selection) -> None:
    def names(seed: int) -> list[str]:
        return [document["id"] for document in first(of_three(selection.path, seed=seed), 40)]

    assert names(1) == names(1)
    assert len({tuple(names(seed)) for seed in range(4)}) == 4


def test_every_epoch_of_a_list_holds_every_document_in_another_order() -> None:
    found = [
        document["id"] for document in first(Mixture({"a": (lengths(20), 1)}, "documents", exhausted="repeat"), 60)
    ]
    epochs = [tuple(found[k : k + 20]) for k in (0, 20, 40)]
    assert len(set(epochs)) == 3
    assert all(Counter(epoch) == Counter(f"b{k}" for k in range(20)) for epoch in epochs)


def test_a_source_that_ends_stops_the_mixture_repeats_or_leaves_its_share_to_the_others(selection: Selection) -> None:
    def counts(exhausted: Any, loader: bool) -> Counter[str]:
        sources = {"few": (Lines(4), 0.5), "some": (lengths(10), 0.25), "most": (selected(selection.path), 0.25)}
        mixture = Mixture(sources, "documents", exhausted=exhausted)
        batches = SelectedLoader(mixture, 5) if loader else [list(mixture)]
        return Counter(document["served"]["source"] for batch in batches for document in batch)

    for loader in (False, True):
        stopped = counts("stop", loader)
        assert stopped["few"] == 4
        assert abs(stopped["some"] - 2) <= 1
        assert counts("drop", loader) == {"few": 4, "some": 10, "most": 13}
        assert counts({"few": "repeat", "some": "stop"}, loader)["some"] == 10
        both = counts({"few": "repeat", "some": "drop", "most": "stop"}, loader)
        assert (both["some"], both["most"]) == (10, 13)
        assert both["few"] > 20


def test_after_the_end_sources_that_were_through_begin_anew_and_others_go_on() -> None:
    loader = SelectedLoader(Mixture({"few": (lengths(4), 0.5), "many": (lengths(100), 0.5)}, "documents"), 2)
    rounds = [[document for batch in loader for document in batch] for _ in range(3)]
    assert loader.epoch == 3
    many = [document["id"] for one in rounds for document in one if document["served"]["source"] == "many"]
    assert len(many) == len(set(many)) >= 12
    few = [[d["served"]["epoch"] for d in one if d["served"]["source"] == "few"] for one in rounds]
    assert few == [[0] * 4, [1] * 4, [2] * 4]


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_workers_of_a_plain_loader_share_every_source(selection: Selection, workers: int) -> None:
    sources = {"selected": (selected(selection.path), 0.5), "base": (lengths(20), 0.5)}
    loader = DataLoader(Mixture(sources, "documents", exhausted="drop"), 4, num_workers=workers, collate_fn=_names)
    assert Counter(name for batch in loader for name in batch) == Counter([*ids(13), *(f"b{k}" for k in range(20))])


def _names(batch: list[dict[str, Any]]) -> list[str]:
    return [document["id"] for document in batch]


def test_documents_tell_where_they_come_from(selection: Selection) -> None:
    sources = {"selected": (selected(selection.path, shuffle=False), 0.5), "texts": (["one", "two"], 0.5)}
    document, text = sorted(first(Mixture(sources, "documents"), 2), key=lambda one: one["served"]["source"])
    assert document["id"] == "d00000"
    assert document["weight"] == 0.25
    assert document["served"] == {"source": "selected", "revision": 1, "epoch": 0, "place": 0}
    place = text["served"]["place"]
    assert text == {
        "id": str(place),
        "text": ["one", "two"][place],
        "served": {"source": "texts", "revision": 0, "epoch": 0, "place": place},
    }


@pytest.mark.parametrize("packed", [False, True])
def test_the_served_log_hears_of_every_document_with_its_source(selection: Selection, packed: bool) -> None:
    class Log:
        def __init__(self) -> None:
            self.lines: list[Any] = []

        def begin(self, step: int) -> None:
            self.lines.append(("begin", step))

        def write(self, step: int, time_ms: int, source: str, revision: int, epoch: int, ids: list[str]) -> None:
            assert time_ms > 1_600_000_000_000
            self.lines.append((step, source, revision, epoch, list(ids)))

        def sync(self) -> None:
            self.lines.append("sync")

        def close(self) -> None:
            self.lines.append("close")

    log = Log()
    sources = {"selected": (selected(selection.path), 0.5), "base": (lengths(20, 1), 0.5)}
    mixture = Mixture(sources, "documents", exhausted="drop")
    loader = SelectedLoader(Packed(mixture, encode, 10) if packed else mixture, 3, 1, served=log)
    batches = list(loader)
    loader.state_dict()
    loader.close()
    assert (log.lines[0], log.lines[-2:]) == (("begin", 0), ["sync", "close"])
    lines = log.lines[1:-2]
    assert {line[0] for line in lines} == set(range(len(batches)))
    assert {(source, revision, epoch) for _, source, revision, epoch, _ in lines} == {
        ("selected", 1, 0),
        ("base", 0, 0),
    }
    noted = Counter(name for line in lines for name in line[4])
    empty = {one["id"] for one in lengths(20, 1) if not one["text"]} if packed else set()
    assert noted == Counter({*ids(13), *(one["id"] for one in lengths(20, 1))} - empty)


def test_what_is_not_a_mixture_is_refused(selection: Selection) -> None:
    some = lengths(3)
    for arguments, kind, says in (
        (({},), ValueError, "at least one source"),
        (({"a": (some, 0)},), ValueError, "the share of 'a' is a number above 0, not 0"),
        (({"a": (some, float("nan"))},), ValueError, "the share of 'a'"),
        (({"a": some[0]},), TypeError, "'a' is a pair of a data set and its share, not a dict"),
        (({"a": (iter(some), 1)},), TypeError, "'a' can be read only once: a list_iterator"),
        (({"a": (7, 1)},), TypeError, "'a' is no data set: a int"),
        (({"a": (Mixture({"b": (some, 1)}), 1)},), TypeError, "'a' is a Mixture: mix its data sets"),
        (({"a": (some, 1)}, "words"), ValueError, "unit is tokens or documents, not 'words'"),
    ):
        with pytest.raises(kind, match=says):
            Mixture(*arguments)
    with pytest.raises(ValueError, match="exhausted is stop, repeat, drop, not 'end'"):
        Mixture({"a": (some, 1)}, exhausted="end")
    with pytest.raises(ValueError, match="exhausted names 'b', which is no source; there are 'a'"):
        Mixture({"a": (some, 1)}, exhausted={"b": "stop"})
    with pytest.raises(ValueError, match="is of rank 1 of 2, and the mixture of rank 0 of 1"):
        Mixture({"a": (selected(selection.path, rank=1, world_size=2), 1)}, rank=0, world_size=1)
    with pytest.raises(TypeError, match="a loader of a Mixture has no length"):
        len(SelectedLoader(Mixture({"a": (some, 1)})))
    with pytest.raises(LoaderError, match="Workers cannot agree on a newer revision of 'a'"):
        iter(Mixture({"a": (selected(selection.path, follow="step:3"), 1)}))


def test_an_empty_source_is_an_error_that_names_it() -> None:
    some = lengths(3)
    with pytest.raises(LoaderError, match="Source 'b' is empty: there is nothing to mix"):
        Mixture({"a": (some, 1), "b": ([], 1)})
    with pytest.raises(LoaderError, match=r"'a' has 3 documents, fewer than there are ranks .4."):
        Mixture({"a": (some, 1)}, rank=0, world_size=4)
    with pytest.raises(LoaderError, match="Source 'b' has nothing to serve: an epoch of it has no documents"):
        list(Mixture({"a": (some, 1), "b": (Lines(0), 1)}, "documents", exhausted="repeat"))
    with pytest.raises(LoaderError, match="Source 'a' has no tokens: all documents of an epoch are empty"):
        list(Packed(Mixture({"a": ([{"text": ""}] * 3, 1)}, exhausted="repeat"), encode, 8))


class Broken:
    """Fails at the eighth."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> Any:
        if i == 7:
            raise OSError("no such shard")
        return {"text": f"{i}"}


@pytest.mark.parametrize("workers", [0, 1])
def test_a_failure_names_source_and_document_and_what_came_before_is_served_and_kept(workers: int) -> None:
    def letters(text: str) -> list[int]:
        if text == "11":
            raise ValueError("odd text")
        return encode(text)

    for dataset, tokenizer, says in (
        (Broken(), encode, "Source 'a' failed at 7: OSError: no such shard"),
        (
            [str(k) for k in range(20)],
            letters,
            "Source 'a': The tokenizer failed on document '11': ValueError: odd text",
        ),
        ([3] * 20, encode, "Source 'a' gives a int at"),
        ([{"id": "x"}] * 20, encode, "Source 'a': Document 'x' has no 'text', which is to be tokenized"),
    ):
        loader = SelectedLoader(Packed(Mixture({"a": (dataset, 1)}), tokenizer, 2), 1, workers)
        batches: list[Any] = []
        with pytest.raises(LoaderError, match=says):
            batches.extend(loader)
        assert loader.step == len(batches) == loader.state_dict()["step"]
        with pytest.raises(LoaderError, match=says):
            next(iter(loader))
        loader.close()


class WithEncode:
    def encode(self, text: str) -> list[int]:
        return encode(text)


def test_tokens_are_counted_as_told() -> None:
    documents = [{"id": str(k), "text": "x" * k, "tokens": 3 * k} for k in range(1, 9)]
    tokenized = Tokenized(encode)
    for count, sizes in (
        ("tokens", [3 * k for k in range(1, 9)]),
        (tokenized, list(range(1, 9))),
        (WithEncode(), list(range(1, 9))),
        (lambda document: 2, [2] * 8),
    ):
        mixture = Mixture({"a": (documents, 1)}, count=count)
        list(mixture)
        assert mixture.state_dict()["served"] == [sum(sizes)]
    assert all(len(one["input_ids"]) == int(one["id"]) for one in Mixture({"a": (documents, 1)}, count=tokenized))
    for count, says in (
        (None, "Document '.' has no 'input_ids', and the shares are of tokens: give count="),
        ("size", "has no 'size'"),
        ("id", "a whole number from 0 on, not '.'"),
        (lambda document: 1 // 0, "count failed on document '.': ZeroDivisionError"),
    ):
        with pytest.raises(LoaderError, match=says):
            list(Mixture({"a": (documents, 1)}, count=count))
