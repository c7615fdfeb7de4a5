"""What payer and host each keep of a channel: sums by asset, and what is still open between them.

A voucher signs the sums of *all* assets of a channel, cumulative, so both sides must hold the same
list; neither ever falls below what the chain has settled. One row a channel, one task at a time.
"""

from collections import Counter
from dataclasses import dataclass
from typing import TypeVar

import trio

from node.context import Context
from protocol.codec import pack, unpack
from protocol.ids import Hash, Name
from protocol.messages import InferAnswer, InferRequest, VoucherNote
from settlement.vouchers import SignedVoucher, Usage

INFER_PROTOCOL = "/openledger/infer/1"
VOUCHER_PROTOCOL = "/openledger/voucher/1"
MAX_TOKENS = 2_048  # of one answer
MAX_PROMPT = 8_192  # characters, as InferRequest limits them

Sums = tuple[Usage, ...]


@dataclass(frozen=True, slots=True)
class HostTab:
    """The host's side: one answer at a time is open until the payer acknowledges it."""

    sums: Sums  # all that was delivered
    voucher: SignedVoucher  # the last acknowledgement, or the ceiling of the open request
    request: Hash
    model: Hash
    answer: InferAnswer
    acknowledged: bool
    since: int  # unix seconds of the answer


@dataclass(frozen=True, slots=True)
class PayerTab:
    """The payer's side: at most one request without an answer, one acknowledgement on its way."""

    sums: Sums = ()  # all that was acknowledged
    asked: InferRequest | None = None
    note: VoucherNote | None = None


@dataclass(frozen=True, slots=True)
class Period:
    """What an owner knows of one period of hosting.

    ``state``: ``waiting`` for its moment ``due``, ``asked`` while verifiers re-run the answer, then
    ``served`` or ``missed``; ``nothing`` when no model could be asked for.
    """

    number: int = 0
    due: int = 0  # unix seconds, as is ``asked``
    state: Name = "waiting"
    receipt: Hash = bytes(32)
    model: Hash = bytes(32)
    asked: int = 0


@dataclass(frozen=True, slots=True)
class OwnerTab:
    """A model owner's side of a hosting channel; ``rate`` base units for ``every`` seconds."""

    rate: int
    every: int
    sums: Sums = ()  # all that was promised
    now: Period = Period()
    note: VoucherNote | None = None  # on its way to the host
    served: int = 0
    missed: int = 0


@dataclass(frozen=True, slots=True)
class HostedTab:
    """The host's side of a hosting channel: the last voucher promises all periods."""

    voucher: SignedVoucher


T = TypeVar("T", HostTab, PayerTab, OwnerTab, HostedTab)


async def load(ctx: Context, cls: type[T], channel: bytes) -> T | None:
    """What this node keeps of a channel, None before its first request."""
    rows = await ctx.seams.store.query("select tab from channels where id = ?", (channel,))
    return unpack(cls, bytes(rows[0][0])) if rows else None


async def save(
    ctx: Context, channel: bytes, tab: HostTab | PayerTab | OwnerTab | HostedTab
) -> None:
    """Keep a tab; on disk when this returns."""
    await ctx.seams.store.execute(
        "insert or replace into channels (id, tab) values (?, ?)", (channel, pack(tab))
    )


def lock(ctx: Context, channel: bytes) -> trio.Lock:
    """Held by whoever reads a tab to change it."""
    locks: dict[bytes, trio.Lock] = ctx.private.setdefault("channel-locks", {})
    return locks.setdefault(channel, trio.Lock())


def total(sums: Sums) -> int:
    return sum(each.cumulative for each in sums)


def grown(sums: Sums, asset: bytes, version: int, amount: int) -> Sums:
    """The sums with ``amount`` more of one asset under a rule version, as a voucher hashes them."""
    known = {each.key: each.cumulative for each in sums}
    key = (asset, version)
    known[key] = known.get(key, 0) + amount
    return tuple(Usage(*key, known[key]) for key in sorted(known))


def settled(ctx: Context, channel: bytes) -> int:
    """What the chain has claimed out of a channel."""
    return sum(used.amount for used in ctx.board.used if used.channel == channel)


def at_least_settled(ctx: Context, channel: bytes, sums: Sums) -> Sums:
    """The sums, each raised to what the chain has claimed of its entry."""
    claimed: Sums = ()
    for used in ctx.board.used:
        if used.channel == channel:
            claimed = grown(claimed, used.asset, used.version, used.amount)
    known = {each.key: each.cumulative for each in sums}
    for each in claimed:
        missing = max(0, each.cumulative - known.get(each.key, 0))
        sums = grown(sums, *each.key, missing)
    return sums


def due(ctx: Context, channel: bytes) -> dict[tuple[bytes, int], int]:
    """What was claimed of a channel and not paid out, by (asset, version that splits it)."""
    left: Counter[tuple[bytes, int]] = Counter()
    for used in ctx.board.used:
        if used.channel == channel:
            left[used.asset, used.under] += used.amount
    for fee in ctx.board.fees:
        if fee.channel == channel:
            left[fee.asset, fee.version] -= fee.amount
    return {part: amount for part, amount in sorted(left.items()) if amount}
