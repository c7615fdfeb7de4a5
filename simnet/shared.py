"""What all nodes of one simulation would compute alike is computed once.

Only pure functions are shared, by their full inputs: which bytes decode to which value, which signature
is whose, what a record keeps. A real node computes each for itself; here one process plays them all.
Nothing that a node knows or decides is shared, and a run without sharing has the same trace
(``tests/simnet/test_shared.py``).
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module

SMALL, LARGE = 1 << 15, 1 << 9  # values that are kept: of the small kind, and of the large
PURE = (
    ("protocol.codec", "decoded", SMALL),
    ("protocol.signing", "genuine", SMALL),
    ("protocol.typed_data", "recovered", SMALL),
    ("node.mail", "_opened", SMALL),
    ("node.mail", "_signed", SMALL),
    ("node.data", "check_training", LARGE),
    ("node.data", "open_commitment", LARGE),
    ("node.published", "record_id", SMALL),
    ("datanet.record", "value_id", SMALL),
    ("node.receipts", "verbatim", LARGE),
    ("simnet.learner_scores", "index_scores", LARGE),
    ("datanet.precedence", "place_all", LARGE),
    ("settlement.claims", "sum_tree", LARGE),
)


@contextmanager
def sharing() -> Iterator[None]:
    """Within, the pure functions above remember what they returned."""
    before = [(import_module(module), name) for module, name, _ in PURE]
    originals = [getattr(module, name) for module, name in before]
    try:
        for (module, name), (_, _, size), original in zip(before, PURE, originals, strict=True):
            setattr(module, name, lru_cache(maxsize=size)(original))
        yield
    finally:
        for (module, name), original in zip(before, originals, strict=True):
            setattr(module, name, original)
