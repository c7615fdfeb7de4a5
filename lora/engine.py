"""A minimal engine: one answer from a base with one adapter, and held-out losses.

Sampling takes its uniforms from H(request, position), so that an answer can be re-run elsewhere.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from blake3 import blake3

from lora.adapter import Adapter
from lora.attach import attached, leaf
from lora.base import Base
from lora.gradient import record_losses
from lora.tokens import Example, prompt_ids
from protocol.errors import ComputeError


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer's text and token ids (its end token left out), and the prompt's token count."""

    text: str
    tokens: tuple[int, ...]
    prompt_tokens: int


def generate(
    base: Base,
    adapter: Adapter | None,
    prompt: str,
    max_tokens: int,
    request: bytes,
    temperature: float = 0.0,
) -> Answer:
    """Answer ``prompt`` in at most ``max_tokens`` tokens; temperature 0 is greedy."""
    asked = prompt_ids(base.tokenizer, prompt)
    if not asked:
        raise ComputeError("bad-input", "an empty prompt.")
    tokens: list[int] = []
    feed, cache = torch.tensor([asked], device=base.device), None
    with torch.no_grad(), _with(base, adapter):
        while len(tokens) < max_tokens:
            out = base.model(input_ids=feed, past_key_values=cache, use_cache=True)
            token = _choose(out.logits[0, -1], temperature, request, len(tokens))
            if token == base.tokenizer.eos_token_id:
                break
            tokens.append(token)
            feed, cache = torch.tensor([[token]], device=base.device), out.past_key_values
    text = base.tokenizer.decode(tokens, skip_special_tokens=True)
    return Answer(text.strip(), tuple(tokens), len(asked))


def losses(
    base: Base, adapter: Adapter | None, examples: Sequence[Example], batch: int = 8
) -> list[tuple[float, int]]:
    """(mean negative log-likelihood in nats, target tokens) of each example.

    Computed shortest first: padding is 6 % of the demo's queries in their own order, 2.5 % so.
    """
    means: dict[int, float] = {}
    order = sorted(range(len(examples)), key=lambda i: len(examples[i].ids))
    with torch.no_grad(), _with(base, adapter):
        for start in range(0, len(order), batch):
            part = order[start : start + batch]
            found = record_losses(base, [examples[i] for i in part]).tolist()
            means |= zip(part, found, strict=True)
    return [(means[i], example.targets) for i, example in enumerate(examples)]


@contextmanager
def _with(base: Base, adapter: Adapter | None) -> Iterator[None]:
    if adapter is None:
        yield
        return
    with attached(base, adapter, leaf(base, adapter.w)):
        yield


def _choose(logits: torch.Tensor, temperature: float, request: bytes, position: int) -> int:
    """Greedy, or the inverse of the cumulative distribution (fp64, vocabulary order)."""
    if temperature == 0.0:
        return int(logits.argmax())
    chances = torch.softmax(logits.double() / temperature, dim=0).cumsum(0)
    aim = torch.tensor([_uniform(request, position) * chances[-1].item()], dtype=torch.float64)
    return int(torch.searchsorted(chances.cpu(), aim).clamp(max=len(chances) - 1))


def _uniform(request: bytes, position: int) -> float:
    """53 bits of H(request, position) in [0, 1)."""
    stream = blake3(request + position.to_bytes(4, "big")).digest()
    return float(int.from_bytes(stream[:8], "big") >> 11) / float(2**53)
