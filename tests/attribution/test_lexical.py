"""BM25 as Robertson and Zaragoza give it."""

import math

import pytest

from attribution.lexical import bm25


def test_the_formula_by_hand() -> None:
    texts = ["light light day", "night"]
    rarity = math.log(1 + 1.5 / 1.5)
    expected = rarity * 2 * 2.2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 2))
    assert bm25("Light?", texts) == (pytest.approx(expected), 0.0)


def test_rare_words_and_short_texts_win() -> None:
    texts = ["the permit", "the permit " + "and more " * 20, "the day", "the night"]
    scores = bm25("the permit", texts)
    assert scores[0] > scores[1] > scores[2] > 0
    assert bm25("anything", []) == ()
