"""The learners of the training tables."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.evidence import classification
from benchmarks.evidence.classification import labelled, macro_f1, taught
from benchmarks.evidence.corpora import Corpus
from benchmarks.evidence.learning.latent import Latent
from benchmarks.evidence.trials import Split
from tsds_stream.comparison.words import Lexicon

TEXTS = ["red blue red", "blue red", "cat dog", "dog cat cat", "green"]


def test_macro_f1_is_the_mean_over_classes():
    answers, labels = np.array([0, 0, 1, 2]), np.array([0, 1, 1, 1])
    # class 0: 1 right of 2 answered and 1 labelled; class 1: 1 of 1 and 3; class 2: none
    assert macro_f1(answers, labels, 3) == pytest.approx((2 / 3 + 2 / 4 + 0) / 3)


def test_latent_directions_are_those_of_the_singular_value_decomposition():
    lexicon = Lexicon()
    texts = lexicon.encode(TEXTS)
    latent = Latent(texts, directions=2)
    # Words in two texts: red, blue, cat, dog, each with the rarity log(5/2), which the length of a row takes away.
    two = 1 + np.log(2)
    rows = np.array([[two, 1, 0, 0], [1, 1, 0, 0], [0, 0, two, 1], [0, 0, 1, 1], [0, 0, 0, 0]])
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.divide(rows, lengths, out=np.zeros_like(rows), where=lengths > 0)
    scores = rows @ np.linalg.svd(rows)[2][:2].T
    found = latent.features(texts)
    lengths = np.linalg.norm(scores, axis=1, keepdims=True)
    wanted = np.divide(scores, lengths, out=np.zeros_like(scores), where=lengths > 1e-12)
    np.testing.assert_allclose(found @ found.T, wanted @ wanted.T, atol=1e-5)  # up to rotations


def test_words_that_were_met_later_are_unknown():
    lexicon = Lexicon()
    latent = Latent(lexicon.encode(TEXTS), directions=2)
    assert not latent.features(lexicon.encode(["something else", ""])).any()


def test_labels_are_the_domains_of_the_examples_and_can_be_learnt(small_corpus: Corpus):
    mix = {"fish": 0.6, "music": 0.4}
    trial = Split(small_corpus, mix, 0, 100, 60, 30).trial(50, 60)
    sizes = [54, 36]
    known, asked = labelled(trial.task.targets, sizes), labelled(trial.held_out, sizes)
    assert np.bincount(known[1]).tolist() == [36, 24]
    assert np.bincount(asked[1]).tolist() == [18, 12]
    assert trial.task.pool.words is not None
    assert taught(trial.task.pool.words, known, asked) > 0.9


def test_no_two_mixes_are_joined_twice_and_shares_sum_to_one():
    joined = [classification.joined(seed) for seed in range(classification.TABLE.seeds)]
    assert len({tuple(sorted(mix.items())) for mix in joined}) == len(joined)
    assert all(sum(mix.values()) == pytest.approx(1) and 5 <= len(mix) <= 6 for mix in joined)


def test_a_transformer_learns_what_it_reads_and_is_a_function_of_the_seed():
    pytest.importorskip("torch", reason="torch is not installed")
    from benchmarks.evidence.learning.transformer import BATCH, CONTEXT, Coding, fresh, loss_of, trained

    lexicon = Lexicon()
    texts = lexicon.encode(["one two three four five six seven eight"] * 40 + ["other"])
    coding = Coding.of(texts, words=8, buckets=3)
    stream = coding.stream(texts)
    assert stream[:11].tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 0, 1]
    assert 9 <= stream[-2] < coding.size == 12
    start = fresh(coding.size, 1)
    before = [value.clone() for value in start.parameters()]
    once, again = (trained(start, stream, 40 * BATCH * CONTEXT, seed=2) for _ in range(2))
    assert loss_of(once, stream) == loss_of(again, stream) < 0.6 * loss_of(start, stream)
    assert all(bool((old == new).all()) for old, new in zip(before, start.parameters(), strict=True))


def test_a_prediction_does_not_see_what_follows():
    torch = pytest.importorskip("torch", reason="torch is not installed")
    from benchmarks.evidence.learning.transformer import fresh

    model = fresh(20, 0).eval()
    words = torch.arange(10)[None]
    changed = words.clone()
    changed[0, 6:] = 3
    with torch.no_grad():
        torch.testing.assert_close(model(words)[0, :6], model(changed)[0, :6])
