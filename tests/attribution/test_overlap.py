"""Which records a query's text overlaps."""

from attribution.overlap import near_rows

TEXT = (
    "The statutory processing time is ten weeks with a possible extension to twenty weeks for "
    "cases that deviate from the detailed plan of the municipality"
)


def edited(every: int) -> str:
    words = TEXT.split()
    return " ".join(f"new{i}" if i % every == 0 else word for i, word in enumerate(words))


def test_copies_are_near_however_they_are_edited() -> None:
    texts = [TEXT, edited(12), edited(3), TEXT.upper(), "And God said, Let there be light.", ""]
    assert near_rows([TEXT], texts) == (frozenset({0, 1, 2, 3}),)


def test_a_query_within_a_long_record_is_near() -> None:
    long = " ".join(f"word{i}" for i in range(600))
    query = " ".join(TEXT.split()[:8])
    assert near_rows([query, TEXT], [f"{long} {query} {long}"]) == (frozenset({0}), frozenset({0}))


def test_a_shared_phrase_is_not_an_overlap() -> None:
    texts = [
        "The processing time is short when drawings are complete and the neighbours agree to it"
    ]
    assert near_rows([TEXT], texts) == (frozenset(),)
