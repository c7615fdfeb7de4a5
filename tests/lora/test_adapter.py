"""Adapter bytes are canonical, strict, readable by safetensors, and tied to their base."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from peft import LoraConfig, get_peft_model

from lora.adapter import Adapter, Spec, parse
from lora.attach import attached, entries_of, leaf, new_adapter, open_adapter
from lora.base import Base
from lora.vectors import pack, unpack
from protocol.errors import ComputeError, DecodeError


def test_round_trip(adapter: Adapter) -> None:
    again = parse(adapter.body())
    assert again.w.tobytes() == adapter.w.tobytes()
    assert (again.base, again.spec, again.entries) == (adapter.base, adapter.spec, adapter.entries)
    assert again.body() == adapter.body()
    assert again.digest == adapter.digest


def test_the_safetensors_library_reads_the_same(adapter: Adapter) -> None:
    tensors = safetensors.numpy.load(adapter.body())
    flat = np.concatenate([tensors[name].ravel() for name in sorted(tensors)])
    assert flat.tobytes() == adapter.w.tobytes()


@settings(max_examples=50, deadline=None)
@given(data=st.data())
def test_any_changed_byte_of_the_header_is_refused(adapter: Adapter, data: st.DataObject) -> None:
    body = bytearray(adapter.body())
    size = 8 + int.from_bytes(body[:8], "little")
    place = data.draw(st.integers(0, size - 1))
    body[place] ^= data.draw(st.integers(1, 255))
    try:
        other = parse(bytes(body))
    except DecodeError:
        return
    # What still parses is another adapter's canonical bytes, never a second form of this one.
    assert other.body() == bytes(body) != adapter.body()


@pytest.mark.parametrize("cut", [0, 7, 8, 100, -1])
def test_truncated_bytes_are_refused(adapter: Adapter, cut: int) -> None:
    with pytest.raises(DecodeError):
        parse(adapter.body()[:cut])


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_non_finite_weights_are_refused(adapter: Adapter, value: float) -> None:
    w = adapter.w.copy()
    w[5] = value
    with pytest.raises(DecodeError, match="NaN or infinity"):
        parse(adapter.with_weights(w).body())


def test_shapes_must_fit_the_rank(adapter: Adapter) -> None:
    tensors, metadata = unpack(adapter.body())
    name = adapter.entries[0].name
    with pytest.raises(DecodeError, match="does not fit rank"):
        parse(pack(tensors | {name: tensors[name].T}, metadata))
    with pytest.raises(DecodeError, match="no matrices"):
        parse(pack({}, metadata))


@pytest.mark.parametrize(
    "change",
    [{"rank": "04"}, {"rank": "0"}, {"alpha": "x"}, {"base": "00"}, {"more": "1"}, {"format": "2"}],
)
def test_metadata_is_strict(adapter: Adapter, change: dict[str, str]) -> None:
    tensors, metadata = unpack(adapter.body())
    with pytest.raises(DecodeError, match="metadata"):
        parse(pack(tensors, metadata | change))


def test_adapter_for_another_base(base: Base, adapter: Adapter) -> None:
    assert open_adapter(base, adapter.body()).digest == adapter.digest
    stranger = dataclasses.replace(adapter, base=bytes(32))
    with pytest.raises(ComputeError, match=r"made for base 0000.*choose another adapter") as caught:
        open_adapter(base, stranger.body())
    assert caught.value.code == "wrong-base"


def test_adapter_whose_layers_do_not_exist(base: Base, adapter: Adapter) -> None:
    fewer = adapter.entries[2:]
    size = sum(entry.size for entry in fewer)
    partial = dataclasses.replace(adapter, entries=fewer, w=adapter.w[:size])
    with pytest.raises(ComputeError, match="do not fit the layers"):
        open_adapter(base, partial.body())


def test_unknown_target_names_the_choices(base: Base) -> None:
    with pytest.raises(ComputeError, match=r"c_attn; choose among: .*q_proj"):
        new_adapter(base, Spec(4, 8, ("c_attn",)), seed=0)


def test_new_adapter_changes_nothing_yet(base: Base) -> None:
    spec = Spec(4, 8, ("q_proj", "down_proj"))
    fresh = new_adapter(base, spec, seed=3)
    ids = torch.arange(1, 9)[None]
    with torch.no_grad(), attached(base, fresh, leaf(base, fresh.w)):
        with_adapter = base.model(input_ids=ids).logits
    assert torch.equal(with_adapter, base.model(input_ids=ids).logits)
    assert np.abs(fresh.w).max() > 0
    assert new_adapter(base, spec, seed=3).w.tobytes() == fresh.w.tobytes()
    assert new_adapter(base, spec, seed=4).w.tobytes() != fresh.w.tobytes()


# peft 0.21 asks transformers 5.23 by a name that it deprecates.
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")
def test_equals_peft(base: Base, tiny_folder: object, adapter: Adapter) -> None:
    """Same names, same logits, same gradients as peft's LoRA."""
    ids = torch.tensor([[5, 9, 2, 40, 41, 7]])
    w = leaf(base, adapter.w)
    with attached(base, adapter, w):
        ours = base.model(input_ids=ids, labels=ids)
    ours.loss.backward()
    plain = type(base.model).from_pretrained(tiny_folder)
    spec = adapter.spec
    config = LoraConfig(r=spec.rank, target_modules=list(spec.targets), lora_alpha=spec.alpha)
    model = get_peft_model(plain, config)
    matrices: dict[str, Any] = {
        name.replace(".default", ""): parameter
        for name, parameter in model.named_parameters()
        if "lora_" in name
    }
    assert sorted(matrices) == [entry.name for entry in adapter.entries]
    with torch.no_grad():
        for entry, where in zip(adapter.entries, adapter.slices, strict=True):
            values = torch.tensor(adapter.w[where]).view(entry.rows, entry.columns)
            matrices[entry.name].copy_(values)
    theirs = model(input_ids=ids, labels=ids)
    theirs.loss.backward()
    grads = torch.cat([matrices[entry.name].grad.ravel() for entry in adapter.entries])
    torch.testing.assert_close(ours.logits, theirs.logits)
    torch.testing.assert_close(w.grad, grads)


def test_the_base_is_left_as_it_was(base: Base, adapter: Adapter) -> None:
    ids = torch.arange(1, 9)[None]
    before = base.model(input_ids=ids).logits
    with torch.no_grad(), attached(base, adapter, leaf(base, adapter.w)):
        assert not torch.equal(base.model(input_ids=ids).logits, before)
    assert torch.equal(base.model(input_ids=ids).logits, before)
    assert entries_of(base, adapter.spec) == adapter.entries
