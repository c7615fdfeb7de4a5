"""Where loss begins, and what is cut."""

import pytest

from lora.base import Base
from lora.tokens import Example, encode, prompt_ids
from protocol.compute import RecordText


def text(base: Base, ids: tuple[int, ...]) -> str:
    return str(base.tokenizer.decode(ids))


def test_text_carries_loss_on_all_but_the_first_token(base: Base) -> None:
    example = encode(base.tokenizer, RecordText("", "In the beginning"), 64)
    assert text(base, example.ids) == "In the beginning"
    assert (example.start, example.targets) == (1, 15)
    assert encode(base.tokenizer, RecordText("", "In the beginning"), 4).ids == example.ids[:4]


def test_an_answer_alone_carries_loss(base: Base) -> None:
    example = encode(base.tokenizer, RecordText("Who?", "Me."), 64)
    assert text(base, example.ids[: example.start]) == "Who?\n"
    assert text(base, example.ids[example.start :]) == "Me.<end>"


def test_a_long_question_loses_its_head(base: Base) -> None:
    example = encode(base.tokenizer, RecordText("a" * 50 + "bcd", "x" * 40), 16)
    assert text(base, example.ids) == "aaaabcd\n" + "x" * 8


def test_a_short_answer_leaves_its_room_to_the_question(base: Base) -> None:
    example = encode(base.tokenizer, RecordText("a" * 50, "yes"), 16)
    assert text(base, example.ids) == "a" * 11 + "\nyes<end>"
    assert example == Example(example.ids, 12)


@pytest.mark.parametrize("limit", range(2, 70))
def test_the_window_is_never_exceeded_and_always_has_loss(base: Base, limit: int) -> None:
    for record in (RecordText("q" * 30, "a" * 30), RecordText("q", ""), RecordText("", "a" * 66)):
        example = encode(base.tokenizer, record, limit)
        assert len(example.ids) <= limit
        assert example.targets >= 1
        assert example.start >= 1


def test_the_shortest_text_predicts_its_end(base: Base) -> None:
    """One odd record must not stop a job that it is part of."""
    example = encode(base.tokenizer, RecordText("", "x"), 8)
    assert example.targets == 1
    assert example.ids[-1] == base.tokenizer.eos_token_id


def test_the_chat_template_frames_the_prompt(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    template = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}"
    monkeypatch.setattr(base.tokenizer, "chat_template", template)
    assert text(base, prompt_ids(base.tokenizer, "Hi")) == "<user>Hi"
