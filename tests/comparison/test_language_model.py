"""The Kneser-Ney trigram: hand-computed probabilities, sums to 1, and a vocabulary that favours nobody."""

from __future__ import annotations

from collections import Counter
from math import exp, log

import numpy as np
import pytest

from tsds_stream.comparison.language_model import DISCOUNT, KneserNey
from tsds_stream.comparison.vocabulary import BEGIN, END, UNKNOWN, Vocabulary
from tsds_stream.comparison.words import Lexicon, Words, split


def model_of(training: list[str], test: list[str], size: int = 30_000) -> tuple[KneserNey, Vocabulary, Words]:
    lexicon = Lexicon()
    learnt, asked = lexicon.encode(training), lexicon.encode(test)
    vocabulary = Vocabulary.of(asked, learnt, size)
    return KneserNey(vocabulary, learnt), vocabulary, asked


def test_probabilities_are_those_computed_by_hand():
    """Training: "a b" and "a c", with begin B and end E: trigrams BBa x2, Bab, abE, Bac, acE."""
    model, vocabulary, asked = model_of(["a b", "a c"], ["a b c"])
    a, b, c = vocabulary.numbers[asked.flat].tolist()
    assert vocabulary.size == 6  # begin, end, unknown, a, b, c

    def p(*words: int) -> float:
        return exp(model.log_probabilities(np.array([words]))[0])

    # Different bigrams: Ba, ab, bE, ac, cE: five. Words by how many different words precede them: a 1, b 1, c 1, E 2.
    uniform = DISCOUNT * 4 / 5 / 5  # what is taken from four kinds of word, shared by the five that can come
    p_a, p_b, p_c, p_end = 0.25 / 5 + uniform, 0.25 / 5 + uniform, 0.25 / 5 + uniform, 1.25 / 5 + uniform
    assert p(b, a, a) == pytest.approx(DISCOUNT * 2 / 2 * p_a)  # "b a" was never seen; after a: b and c, once each
    assert p(c, a, b) == pytest.approx(0.25 / 2 + DISCOUNT * 2 / 2 * p_b)
    p_ab = 0.25 / 2 + DISCOUNT * p_b  # P(b | a)
    assert p(BEGIN, a, b) == pytest.approx(0.25 / 2 + DISCOUNT * 2 / 2 * p_ab)
    # Ba follows B only, so it counts once; B B was seen twice, both times before a.
    p_ba = 0.25 / 1 + DISCOUNT * p_a
    assert p(BEGIN, BEGIN, a) == pytest.approx(1.25 / 2 + DISCOUNT * 1 / 2 * p_ba)
    assert p(a, b, END) == pytest.approx(0.25 + DISCOUNT * (0.25 + DISCOUNT * p_end))
    assert p(b, c, END) == pytest.approx(0.25 + DISCOUNT * p_end)  # "b c" never seen: c alone
    assert p(UNKNOWN, UNKNOWN, c) == pytest.approx(p_c)  # nothing is known of the context
    assert p(UNKNOWN, UNKNOWN, UNKNOWN) == pytest.approx(uniform)


def test_probabilities_are_those_of_counting_in_dictionaries():
    random = np.random.default_rng(5)
    texts = [" ".join(f"w{k}" for k in random.integers(0, 6, random.integers(0, 9)).tolist()) for _ in range(25)]
    model, vocabulary, asked = model_of(texts[:20], texts[20:])
    learnt = [vocabulary.numbers[asked.lexicon.encode([text]).flat].tolist() for text in texts[:20]]
    seen: Counter[tuple[int, ...]] = Counter()
    for words in learnt:
        padded = [BEGIN, BEGIN, *words, END]
        seen.update(zip(padded, padded[1:], padded[2:], strict=False))
    after: Counter[tuple[int, ...]] = Counter((b, c) for _, b, c in seen)
    alone: Counter[tuple[int, ...]] = Counter((c,) for _, c in after)
    tables = [alone, after, seen]

    def probability(context: tuple[int, ...], word: int) -> float:
        shorter = probability(context[1:], word) if context else 1 / (vocabulary.size - 1)
        table = tables[len(context)]
        total = sum(count for gram, count in table.items() if gram[:-1] == context)
        if not total:
            return shorter
        kinds = sum(gram[:-1] == context for gram in table)
        return (max(table[(*context, word)] - DISCOUNT, 0) + DISCOUNT * kinds * shorter) / total

    numbers = range(vocabulary.size)
    trigrams = [(a, b, c) for a in numbers for b in numbers for c in numbers if c != BEGIN]
    expected = [log(probability((a, b), c)) for a, b, c in trigrams]
    np.testing.assert_allclose(model.log_probabilities(np.array(trigrams)), expected, rtol=1e-12)


def test_the_probabilities_of_all_words_sum_to_1_in_any_context():
    random = np.random.default_rng(0)
    texts = [" ".join(f"w{k}" for k in (random.integers(0, 30, 12) ** 2 // 29).tolist()) for _ in range(60)]
    model, vocabulary, _ = model_of(texts[:40], texts[40:], size=20)
    predictable = np.delete(np.arange(vocabulary.size), BEGIN)
    for context in [(BEGIN, BEGIN), (UNKNOWN, END), *random.integers(0, vocabulary.size, (200, 2)).tolist()]:
        trigrams = np.column_stack([np.tile(context, (len(predictable), 1)), predictable])
        logs = model.log_probabilities(trigrams)
        assert np.isfinite(logs).all()
        assert np.exp(logs).sum() == pytest.approx(1.0, abs=1e-12)


def test_a_text_scores_the_sum_over_its_words_and_its_end():
    model, vocabulary, asked = model_of(["the cat sat", "the dog sat down"], ["the dog", "", "a cat sat"])
    logs, predictions = model.score(asked)
    assert predictions.tolist() == [3, 1, 4]
    a, cat, sat = vocabulary.numbers[asked.take(np.array([2])).flat].tolist()
    trigrams = [[BEGIN, BEGIN, a], [BEGIN, a, cat], [a, cat, sat], [cat, sat, END]]
    assert logs[2] == pytest.approx(model.log_probabilities(np.array(trigrams)).sum())


def test_without_anything_to_learn_from_all_words_are_equally_likely():
    lexicon = Lexicon()
    asked = lexicon.encode(["one two"])
    vocabulary = Vocabulary.of(asked, lexicon.encode([]))
    logs, predictions = KneserNey(vocabulary, lexicon.encode([])).score(asked)
    assert logs.tolist() == pytest.approx([3 * -log(vocabulary.size - 1)])
    assert predictions.tolist() == [3]


def test_reading_the_right_texts_helps_and_reading_them_in_another_order_changes_nothing():
    random = np.random.default_rng(2)

    def texts(topic: str, n: int) -> list[str]:
        return [" ".join(f"{topic}{k}" for k in random.integers(0, 9, 15).tolist()) for _ in range(n)]

    right, wrong, test = texts("r", 50), texts("w", 50), texts("r", 20)
    lexicon = Lexicon()
    asked, good, bad = (lexicon.encode(some) for some in (test, right, wrong))
    vocabulary = Vocabulary.of(asked, lexicon.encode(right + wrong))
    scores = [KneserNey(vocabulary, words).score(asked)[0] for words in (good, bad, good.take(np.arange(50)[::-1]))]
    assert scores[0].sum() > scores[1].sum() + 100
    assert scores[0].tolist() == scores[2].tolist()


def test_no_word_of_a_target_is_unknown_and_the_rest_are_the_most_frequent():
    lexicon = Lexicon()
    targets = lexicon.encode(["rare one"])
    documents = lexicon.encode(["x x x x", "z y y", "z b b", "one one one one one one"])
    vocabulary = Vocabulary.of(targets, documents, size=4)
    known = {word for word, number in zip(lexicon.words, vocabulary.numbers.tolist(), strict=True) if number > UNKNOWN}
    assert known == {"rare", "one", "x", "b"}  # b, y and z occur twice: the first by its letters
    assert vocabulary.size == 3 + 4
    assert Vocabulary.of(targets, documents, size=1).size == 3 + 2
    assert sorted(vocabulary.numbers.tolist()) == [2, 2, 3, 4, 5, 6]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat's 2 mats_x!", ["the", "cat", "'", "s", "2", "mats_x", "!"]),
        ("f(x) += 1;", ["f", "(", "x", ")", "+", "=", "1", ";"]),
        ("Über naïve", ["über", "naïve"]),
        ("東京は big市", ["東", "京", "は", "big", "市"]),
        (" \n\t", []),
    ],
)
def test_words_are_runs_of_letters_and_single_signs(text: str, words: list[str]):
    assert split(text) == words


def test_texts_taken_out_of_many_keep_their_words():
    lexicon = Lexicon()
    words = lexicon.encode(["a b", "", "c", "a c b b"])
    taken = words.take(np.array([3, 1, 0]))
    spelt = [lexicon.words[k] for k in taken.flat.tolist()]
    assert spelt == ["a", "c", "b", "b", "a", "b"]
    assert taken.lengths.tolist() == [4, 0, 2]
    assert len(lexicon.hashes) == len(set(lexicon.hashes.tolist())) == 3
    lexicon.encode(["d"])
    assert len(lexicon.hashes) == 4
