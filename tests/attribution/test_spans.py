"""Verbatim spans against the definition, written out."""

from hypothesis import given
from hypothesis import strategies as st

from attribution.spans import maximal_runs, verbatim

WORDS = st.lists(st.sampled_from("abc"), max_size=14)


def by_definition(a: list[str], b: list[str], least: int) -> list[tuple[int, int]]:
    """Every run of ``a`` that stands in ``b``, less those that lie within a longer one."""
    stands = {tuple(b[i:j]) for i in range(len(b)) for j in range(i + 1, len(b) + 1)}
    runs = [
        (i, j)
        for i in range(len(a))
        for j in range(i + least, len(a) + 1)
        if tuple(a[i:j]) in stands
    ]
    return [
        (i, j - i)
        for i, j in runs
        if not any(x <= i and j <= y and (x, y) != (i, j) for x, y in runs)
    ]


@given(WORDS, WORDS, st.integers(1, 4))
def test_runs_are_those_of_the_definition(a: list[str], b: list[str], least: int) -> None:
    assert maximal_runs(a, b, least) == by_definition(a, b, least)


def test_a_span_is_cut_from_the_answer() -> None:
    texts = ["nothing here", "a b c d e f g h, i", "x. In the beginning God created the heaven and"]
    answer = "He said:\nin the beginning God  created the heaven and the earth."
    assert verbatim(answer, texts) == ()
    (span,) = verbatim(answer, texts, least=7)
    assert (span.row, span.words) == (2, 7)
    assert answer[span.start : span.stop] == "the beginning God  created the heaven and"


def test_punctuation_and_case_count() -> None:
    assert len(verbatim("a b c d e f g, h", ["a b c d e f g, h"])) == 1
    assert verbatim("a b c d e f g h i", ["a b c d e f g, h i"]) == ()
    assert verbatim("A b c d e f g h", ["a b c d e f g h"]) == ()
