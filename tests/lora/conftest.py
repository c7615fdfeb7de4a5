"""A random two-layer Llama with a byte-level tokenizer, saved as a folder like any base model."""

from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from lora.adapter import Adapter, Spec
from lora.attach import new_adapter
from lora.base import Base, load_base
from lora.tokens import Example, encode
from protocol.compute import RecordText

SPEC = Spec(rank=4, alpha=8, targets=("q_proj", "v_proj"))
RECORDS = (
    RecordText("", "In the beginning God created the heaven and the earth."),
    RecordText("", "And God said, Let there be light."),
    RecordText("What is a permit?", "A decision that lets you build."),
    RecordText("Who pays?", "The builder."),
    RecordText("", "zzzz"),
)


def build_tiny(folder: Path) -> Path:
    """Write the tiny model; its weights follow from a fixed seed."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = {word: i for i, word in enumerate(["<end>", *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=words, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    fast: Any = PreTrainedTokenizerFast
    fast(tokenizer_object=tokenizer, eos_token="<end>").save_pretrained(folder)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        bos_token_id=None,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def tiny_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def base(tiny_folder: Path) -> Base:
    return load_base(str(tiny_folder), cache=tiny_folder.parent)


@pytest.fixture(scope="session")
def examples(base: Base) -> list[Example]:
    return [encode(base.tokenizer, record, 48) for record in RECORDS]


@pytest.fixture(scope="session")
def adapter(base: Base) -> Adapter:
    """Both A and B away from zero, so that every gradient is."""
    start = new_adapter(base, SPEC, seed=1)
    other = new_adapter(base, SPEC, seed=2)
    return start.with_weights(start.w + 0.1 * other.w[::-1].copy())
