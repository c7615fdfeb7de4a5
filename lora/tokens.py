"""Records as token ids, with the first position that carries loss.

Text: loss on every token after the first. Question and answer: loss on the answer alone, which
keeps at least half of the window when the question is long: the question loses its head, so what a
chat template puts first (a system prompt) goes first. Answers end with the end token.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from protocol.compute import RecordText


@dataclass(frozen=True, slots=True)
class Example:
    """Token ids; ``ids[start:]`` are the targets."""

    ids: tuple[int, ...]
    start: int

    @property
    def targets(self) -> int:
        return len(self.ids) - self.start


def encode(tokenizer: Any, record: RecordText, max_tokens: int) -> Example:
    """At most ``max_tokens`` tokens, at least one of them a target."""
    completion = _ids(tokenizer, record.completion)
    if record.prompt:
        question = prompt_ids(tokenizer, record.prompt)
        answer = (*completion, tokenizer.eos_token_id)
        answer = answer[: max(max_tokens // 2, max_tokens - len(question))]
        question = question[-(max_tokens - len(answer)) :]
        return Example((*question, *answer), len(question))
    while len(completion) < 2:  # one odd record must not stop a job: its end is what it predicts
        completion = (*completion, tokenizer.eos_token_id)
    return Example(completion[:max_tokens], 1)


def prompt_ids(tokenizer: Any, prompt: str) -> tuple[int, ...]:
    """The prompt as a model reads it before it answers: through its chat template if it has one."""
    if tokenizer.chat_template is None:
        return _ids(tokenizer, prompt + "\n")
    messages = [{"role": "user", "content": prompt}]
    text = tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
    return _ids(tokenizer, text)


def _ids(tokenizer: Any, text: str) -> tuple[int, ...]:
    encoded: Mapping[str, list[int]] = tokenizer(text, add_special_tokens=False)
    return tuple(encoded["input_ids"])
