"""A failed allocation is told apart from every other error."""

import pytest
import torch

from lora.memory import memory_errors
from protocol.errors import ComputeError


def test_a_real_failed_allocation() -> None:
    with pytest.raises(ComputeError, match=r"out-of-memory.*Lower batch"), memory_errors():
        torch.empty(1 << 50)


def test_a_full_accelerator_and_a_full_heap() -> None:
    for error in (torch.OutOfMemoryError("CUDA out of memory. Tried 2 GiB"), MemoryError()):
        with pytest.raises(ComputeError, match="out-of-memory"), memory_errors():
            raise error


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match="size of tensor"), memory_errors():
        torch.ones(2) + torch.ones(3)
