"""Splits of a corpus: what is asked of a method, and what it must not see."""

from __future__ import annotations

from random import Random

import numpy as np
import pytest

from benchmarks.evidence import mixes
from benchmarks.evidence.copies import EDITED, FEWEST, MOST, copies_of, edited
from benchmarks.evidence.corpora import Corpus
from benchmarks.evidence.measuring import measured
from benchmarks.evidence.trials import Split
from tsds_stream.comparison.methods import method_of

MIX = {"fish": 0.6, "stars": 0.4}
DEVELOPED_ON = (  # the mixes of text on which rules and defaults were developed
    "sql astronomy perl",
    "music office algebra",
    "bible python gis",
    "erlang computing sympy",
    "kernel webserver numeric",
    "java gis numeric",
    "dictionary network desktop",
    "kernel graphics quotes",
    "perl office biology",
    "python webserver music",
)


def split(corpus: Corpus, seed: int = 0, copied: float = 0.1) -> Split:
    return Split(corpus, MIX, seed, documents=200, targets=30, held_out=20, copied=copied)


def test_a_copy_differs_in_as_many_words_as_were_edited_and_keeps_its_white_space():
    text = "def f(x):\n    return x\n\n\tpass  # the end " + "word " * 90
    for share in EDITED:
        words = edited(text, share, ["NEW"], Random(0)).split()
        assert 0 < abs(len(words) - len(text.split())) + words.count("NEW") <= 2 * round(share * len(text.split()))
    assert edited("  a\n\tb", 0.1, ["c"], Random(1)).startswith("  ")


def test_every_chosen_document_gets_ten_to_a_hundred_copies():
    copies = copies_of([f"this is text number {number}" for number in range(40)], [3, 5, 7], Random(0))
    counts = [copies.sources.count(source) for source in (3, 5, 7)]
    assert sorted(set(copies.sources)) == [3, 5, 7]
    assert all(FEWEST <= count <= MOST for count in counts)


def test_targets_held_out_targets_and_pool_share_no_text(small_corpus: Corpus):
    trial = split(small_corpus, copied=0.0).trial(20, 30)
    task = trial.task
    parts = [{row.tobytes() for row in vectors} for vectors in (task.targets.vectors, trial.held_out.vectors)]
    parts.append({row.tobytes() for row in task.pool.vectors})
    assert not parts[0] & parts[1]
    assert not (parts[0] | parts[1]) & parts[2]
    assert (len(task.targets), len(trial.held_out), len(task.pool)) == (30, 20, 200)


def test_more_targets_than_a_domain_has_are_refused(small_corpus: Corpus):
    with pytest.raises(ValueError, match="fish has 150 texts, and 192 were asked for"):
        Split(small_corpus, MIX, 0, documents=10, targets=300, held_out=20)


def test_a_split_is_a_function_of_its_seed(small_corpus: Corpus):
    one, again, other = (split(small_corpus, seed).trial(20, 30, 0.1).task.pool for seed in (4, 4, 5))
    assert one.vectors.tobytes() == again.vectors.tobytes()
    assert one.vectors.tobytes() != other.vectors.tobytes()


def test_more_copies_contain_the_fewer_and_more_targets_the_fewer(small_corpus: Corpus):
    of_seed = split(small_corpus)
    few, many = of_seed.trial(20, 10, 0.05), of_seed.trial(20, 30, 0.1)
    assert set(few.task.pool.ids) < set(many.task.pool.ids)
    assert set(few.task.targets.ids) < set(many.task.targets.ids)
    assert few.task.budget == many.task.budget


def test_a_copy_lies_nearer_to_its_source_than_other_documents_do(small_corpus: Corpus):
    trial = split(small_corpus).trial(20, 30, 0.1)
    vectors, sources = trial.task.pool.vectors.astype(np.float64), trial.sources
    copied = np.flatnonzero(np.bincount(sources)[sources] > 1)
    products = vectors[copied] @ vectors.T
    products[np.arange(len(copied)), copied] = -1
    assert (sources[products.argmax(1)] == sources[copied]).mean() > 0.9


def test_random_selects_copies_and_deduplication_none(small_corpus: Corpus):
    trial = split(small_corpus).trial(40, 30, 0.1)
    found = {name: measured(trial, method_of(name)) for name in ("random", "dedup+round_robin", "nearest")}
    assert found["dedup+round_robin"]["distinct"] > found["random"]["distinct"]
    assert found["nearest"]["on target"] > found["random"]["on target"]
    assert found["dedup+round_robin"]["loss"] < found["random"]["loss"]


def test_the_rare_share_of_a_pool_is_in_equal_parts_of_the_domains_of_the_mix(small_corpus: Corpus):
    mix = {"fish": 0.6, "stars": 0.4}
    trial = Split(small_corpus, mix, 0, documents=100, targets=10, held_out=10, rare=0.2).trial(10, 10)
    assert np.bincount(trial.domains).tolist() == [10, 80, 10]


@pytest.mark.parametrize("mixed", [*mixes.TEXT, *mixes.CODE, mixes.digits(3)], ids=lambda mix: "/".join(mix))
def test_the_shares_of_a_mix_sum_to_one(mixed: mixes.Mix):
    assert sum(mixed.values()) == pytest.approx(1)
    assert len(mixed) >= 3


@pytest.mark.parametrize("mixed", mixes.TEXT, ids=lambda mix: "/".join(mix))
def test_no_two_domains_of_a_mix_stood_together_in_an_old_one(mixed: mixes.Mix):
    assert all(len(set(mixed) & set(old.split())) < 2 for old in DEVELOPED_ON)


def test_no_two_seeds_of_a_round_have_the_same_mix():
    assert len({tuple(sorted(mixes.text(seed).items())) for seed in range(len(mixes.TEXT))}) == len(mixes.TEXT)
    assert len({tuple(sorted(mixes.code(seed).items())) for seed in range(len(mixes.CODE))}) == len(mixes.CODE)
    assert all({"c", "lisp", "tcl"} & set(mix) for mix in mixes.CODE)
    assert len({tuple(mixes.digits(seed).items()) for seed in range(10)}) == 10
    assert mixes.text(len(mixes.TEXT)) == mixes.text(0)


def test_smoke_tests_use_no_mix_of_the_tables():
    assert mixes.TRIED not in mixes.TEXT
    assert mixes.TRIED_CODE not in mixes.CODE
    assert mixes.TRIED_DIGITS not in [mixes.digits(seed) for seed in range(10)]
