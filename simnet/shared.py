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
    ("node.data", "reserved_of", LARGE),
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
    ("settlement.simchain", "address_of", SMALL),
)
# Of large values, which nodes share because they decoded the same bytes or folded the same event, so that
# they are told apart by identity: to hash them would cost as much. With how many arguments are of that kind.
OF_LARGE = (
    ("datanet.credit", "earned_rows", 1),
    ("node.answers", "answer_noise", 3),
    ("node.answers", "judged", 2),
    ("node.answers", "row_credits", 1),
    ("node.pots", "judged", 2),
    ("node.pots", "row_credits", 1),
    ("tasks.board", "said", 1),
)
# Of the shards of a job, which their entries on chain name.
ARRANGED = ("node.data", "arranged")


def by_identity(function: Callable[..., T], large: int) -> Callable[..., T]:
    """Remembers what a pure function returned of the very same immutable values, which it keeps alive."""
    known: OrderedDict[tuple[Any, ...], tuple[tuple[Any, ...], T]] = OrderedDict()

    def remembered(*args: Any) -> T:
        key = (*map(id, args[:large]), *args[large:])
        if key not in known:
            known[key] = args, function(*args)
            if len(known) > SMALL:
                known.popitem(last=False)
        return known[key][1]

    return remembered


def by_shards(function: Callable[..., T]) -> Callable[..., T]:
    """Remembers what a pure function returned of opened shards: an entry names all that a shard holds."""
    known: OrderedDict[tuple[Any, ...], T] = OrderedDict()

    def remembered(shards: tuple[Any, ...], owners: Any, void: dict[Any, Any], most: int) -> T:
        key = tuple(shard.entry for shard in shards), owners, tuple(void.items()), most
        if key not in known:
            known[key] = function(shards, owners, void, most)
            if len(known) > LARGE:
                known.popitem(last=False)
        return known[key]

    return remembered


@contextmanager
def sharing() -> Iterator[None]:
    """Within, the pure functions above remember what they returned."""
    names = [*(entry[:2] for entry in (*PURE, *OF_LARGE)), ARRANGED]
    before = [(import_module(module), name) for module, name in names]
    originals = [getattr(module, name) for module, name in before]
    left = iter(originals)
    memos: list[Callable[..., Any]] = [lru_cache(maxsize=size)(next(left)) for *_, size in PURE]
    memos += [by_identity(next(left), large) for *_, large in OF_LARGE]
    memos.append(by_shards(next(left)))
    try:
        for (module, name), memo in zip(before, memos, strict=True):
            setattr(module, name, memo)
        yield
    finally:
        for (module, name), original in zip(before, originals, strict=True):
            setattr(module, name, original)
