"""Answers: cached equals uncached, greedy and sampled are re-runnable, adapters change them."""

import copy
from dataclasses import replace

import pytest
import torch

from lora import engine
from lora.adapter import Adapter
from lora.attach import attached, leaf
from lora.base import Base
from lora.engine import generate, losses
from lora.tokens import Example, prompt_ids
from protocol.errors import ComputeError


def test_greedy_equals_a_loop_without_cache(base: Base, adapter: Adapter) -> None:
    answer = generate(base, adapter, "Who pays?", 12, request=b"r")
    ids = list(prompt_ids(base.tokenizer, "Who pays?"))
    assert answer.prompt_tokens == len(ids)
    with torch.no_grad(), attached(base, adapter, leaf(base, adapter.w)):
        for token in answer.tokens:
            assert int(base.model(input_ids=torch.tensor([ids])).logits[0, -1].argmax()) == token
            ids.append(token)
    assert answer.text == base.tokenizer.decode(answer.tokens).strip()


def test_sampling_follows_the_request(base: Base, adapter: Adapter) -> None:
    runs = [generate(base, adapter, "Hi", 16, bytes([i]), 1.0).tokens for i in (1, 1, 2)]
    assert runs[0] == runs[1] != runs[2]


def test_samples_follow_the_distribution() -> None:
    logits = torch.tensor([0.0, 1.0, -30.0, 2.0])
    counts = torch.zeros(4)
    for i in range(2000):
        counts[engine._choose(logits, 1.0, i.to_bytes(4, "big"), 0)] += 1
    torch.testing.assert_close(counts / 2000, logits.softmax(0), atol=0.04, rtol=0)
    cold = [engine._choose(logits, 1e-3, bytes([i]), 0) for i in range(20)]
    assert cold == [3] * 20


def test_the_end_token_ends(base: Base) -> None:
    full = generate(base, None, "Hi", 8, b"")
    assert len(full.tokens) == 8
    tokenizer = copy.deepcopy(base.tokenizer)
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(full.tokens[3])
    first = full.tokens.index(full.tokens[3])
    ended = generate(replace(base, tokenizer=tokenizer), None, "Hi", 8, b"")
    assert ended.tokens == full.tokens[:first]


def test_losses_with_and_without_the_adapter(
    base: Base, adapter: Adapter, examples: list[Example]
) -> None:
    plain = losses(base, None, examples, batch=2)
    assert [tokens for _, tokens in plain] == [example.targets for example in examples]
    for (mean, _), (again, _) in zip(plain, losses(base, None, examples), strict=True):
        assert mean == pytest.approx(again, rel=1e-5)
    adapted = losses(base, adapter, examples)
    assert all(abs(a - b) > 1e-4 for (a, _), (b, _) in zip(plain, adapted, strict=True))


def test_an_empty_prompt(base: Base, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(base.tokenizer, "chat_template", "{{ messages[0].content }}")
    with pytest.raises(ComputeError, match="empty prompt"):
        generate(base, None, "", 4, b"")
