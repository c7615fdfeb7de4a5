"""What payer and host each keep of a channel: sums by asset, and what is still open between them.

A voucher signs the sums of *all* assets of a channel, cumulative, so both sides must hold the same
list; neither ever falls below what the chain has settled. One row a channel, one task at a time.
"""

from dataclasses import dataclass
from typing import TypeVar

import trio

from node.context import Context
from protocol.codec import pack, unpack
from protocol.ids import Hash
from protocol.messages import InferAnswer, InferRequest, VoucherNote
from settlement.vouchers import SignedVoucher, Usage

INFER_PROTOCOL = "/openledger/infer/1"
VOUCHER_PROTOCOL = "/openledger/voucher/1"
RULE_VERSION = 1  # InferenceChannels splits by what it was deployed with
MAX_TOKENS = 2_048  # of one answer
MAX_PROMPT = 8_192  # characters, as InferRequest limits them

Sums = tuple[Usage, ...]


@dataclass(frozen=True, slots=True)
class HostTab:
    """The host's side: one answer at a time is open until the payer acknowledges it."""

    sums: Sums  # all that was delivered
    voucher: SignedVoucher  # the last acknowledgement, or the ceiling of the open request
    request: Hash
    adapter: Hash
    answer: InferAnswer
    acknowledged: bool
    since: int  # unix seconds of the answer


@dataclass(frozen=True, slots=True)
class PayerTab:
    """The payer's side: at most one request without an answer, one acknowledgement on its way."""

    sums: Sums = ()  # all that was acknowledged
    asked: InferRequest | None = None
    note: VoucherNote | None = None


T = TypeVar("T", HostTab, PayerTab)


async def load(ctx: Context, cls: type[T], channel: bytes) -> T | None:
    """What this node keeps of a channel, None before its first request."""
    rows = await ctx.seams.store.query("select tab from channels where id = ?", (channel,))
    return unpack(cls, bytes(rows[0][0])) if rows else None


async def save(ctx: Context, channel: bytes, tab: HostTab | PayerTab) -> None:
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


def grown(sums: Sums, asset: bytes, amount: int) -> Sums:
    """The sums with ``amount`` more for one asset, in the order that a voucher hashes."""
    known = {each.key: each.cumulative for each in sums}
    key = (asset, RULE_VERSION)
    known[key] = known.get(key, 0) + amount
    return tuple(Usage(*key, known[key]) for key in sorted(known))


def settled(ctx: Context, channel: bytes) -> int:
    """What the chain has paid out of a channel."""
    return sum(fee.amount for fee in ctx.board.fees if fee.channel == channel)


def at_least_settled(ctx: Context, channel: bytes, sums: Sums) -> Sums:
    """The sums, each raised to what the chain has settled of its asset."""
    paid: Sums = ()
    for fee in ctx.board.fees:
        if fee.channel == channel:
            paid = grown(paid, fee.asset, fee.amount)
    known = {each.asset: each.cumulative for each in sums}
    for each in paid:
        sums = grown(sums, each.asset, max(0, each.cumulative - known.get(each.asset, 0)))
    return sums
