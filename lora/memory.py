"""Out of memory, in one family of error whatever the device: the unit can be handed back."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from protocol.errors import ComputeError

CPU_ALLOCATOR = "DefaultCPUAllocator"  # torch names no exception class for it


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turns a failed allocation within the context into ComputeError ``out-of-memory``."""
    try:
        yield
    except MemoryError as error:
        raise _exhausted("Python") from error
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and CPU_ALLOCATOR not in str(error):
            raise
        raise _exhausted(str(error).strip().split("\n")[0]) from error


def _exhausted(what: str) -> ComputeError:
    return ComputeError(
        "out-of-memory", f"{what}. Lower batch or max_tokens, or free memory, and try again."
    )
