"""What all nodes of one simulation would compute alike is computed once.

Only pure functions are shared, by their full inputs: which bytes decode to which value, which signature
is whose, what a record keeps. A real node computes each for itself; here one process plays them all.
Nothing that a node knows or decides is shared, and a run without sharing has the same trace
(``tests/simnet/test_shared.py``).
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from importlib import import_module
from typing import Any, TypeVar

T = TypeVar("T")
SMALL, LARGE = 1 << 15, 1 << 9  # values that are kept: of the small kind, and of the large
PURE = (
    ("protocol.codec", "decoded", SMALL),
    ("protocol.signing", "genuine", SMALL),
    ("protocol.typed_data", "recovered", SMALL),
    ("node.mail", "_opened", SMALL),
    ("node.mail", "_signed", SMALL),
    ("node.data", "check_training", LARGE),
    ("node.data", "open_commitment", LARGE),
    ("node.data", "_tokens", SMALL),
    ("node.data", "record_id", SMALL),
    ("node.published", "record_id", SMALL),
    ("tasks.draw", "_drawn", SMALL),
    ("tasks.draw", "permutation", SMALL),
    ("tasks.draw", "batches", SMALL),
    ("datanet.record", "value_id", SMALL),
    ("node.receipts", "verbatim", LARGE),
    ("simnet.learner_scores", "index_scores", LARGE),
    ("datanet.precedence", "place_all", LARGE),
    ("settlement.claims", "sum_tree", LARGE),
)
# Of one large value, which nodes share because they decoded the same bytes: to hash it would cost as much.
OF_ONE = (("datanet.credit", "earned_rows", LARGE),)


def by_identity(function: Callable[[Any], T], size: int) -> Callable[[Any], T]:
    """Remembers what a pure function returned of the very same immutable value, which it keeps alive."""
    known: OrderedDict[int, tuple[Any, T]] = OrderedDict()

    def remembered(value: Any) -> T:
        if id(value) not in known:
            known[id(value)] = value, function(value)
            if len(known) > size:
                known.popitem(last=False)
        return known[id(value)][1]

    return remembered


@contextmanager
def sharing() -> Iterator[None]:
    """Within, the pure functions above remember what they returned."""
    before = [(import_module(module), name) for module, name, _ in (*PURE, *OF_ONE)]
    originals = [getattr(module, name) for module, name in before]
    pure, of_one = originals[: len(PURE)], originals[len(PURE) :]
    memos: list[Callable[..., Any]] = []
    memos += [lru_cache(maxsize=size)(f) for f, (_, _, size) in zip(pure, PURE, strict=True)]
    memos += [by_identity(f, size) for f, (_, _, size) in zip(of_one, OF_ONE, strict=True)]
    try:
        for (module, name), memo in zip(before, memos, strict=True):
            setattr(module, name, memo)
        yield
    finally:
        for (module, name), original in zip(before, originals, strict=True):
            setattr(module, name, original)
