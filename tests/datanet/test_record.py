"""One text has one normal form and one id; what has none is refused with the reason."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datanet.record import MAX_RECORD_BYTES, Record, check_record, make_record, record_id
from protocol.errors import Reject

texts = st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=40)


@given(texts, texts.filter(lambda text: text.strip()))
def test_normal_form_is_a_fixed_point(prompt: str, completion: str) -> None:
    record = make_record(prompt, completion)
    assert make_record(record.prompt, record.completion) == record
    check_record(record)


def test_spellings_of_one_text_are_one_record() -> None:
    composed, decomposed = "caf\u00e9\nbar", " cafe\u0301\r\nbar\n"
    assert make_record("", composed) == make_record("", decomposed)


def test_a_received_second_spelling_is_refused() -> None:
    with pytest.raises(Reject, match="normal form"):
        check_record(Record("", "cafe\u0301"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (" \n\t", "empty"),
        ("bell \x07", r"U\+0007"),
        ("del \x7f", r"U\+007F"),
        ("half \ud800", r"U\+D800"),
        ("x" * (MAX_RECORD_BYTES + 1), "at most 65536"),
    ],
)
def test_what_cannot_be_a_record_says_why(text: str, reason: str) -> None:
    with pytest.raises(Reject, match=reason):
        make_record("", text)


def test_the_limit_counts_bytes_of_both_fields() -> None:
    half = "\u00e9" * (MAX_RECORD_BYTES // 4)
    make_record(half, half)
    with pytest.raises(Reject):
        make_record(half + "x", half)


def test_the_id_tells_prompt_from_completion() -> None:
    assert record_id(Record("ab", "c")) != record_id(Record("a", "bc"))
    assert len(record_id(Record("", "c"))) == 32
