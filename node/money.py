"""What a person does with coins through its node: stake, pots, channels, claims for many, challenges.

The operator key signs all of it; coins for it may as well come from another account, which then acts
by itself (``openledger stake --keystore``). Amounts are OPEN as decimal text, results are JSON.
"""

from collections.abc import Iterable
from string import hexdigits
from typing import Any

from node import actions, hosting, tabs
from node.cases import on_trial
from node.committed import active, active_bodies, active_epochs, root_of, tree
from node.context import Context
from node.facade import Json
from node.guard import challenge
from node.outbox import OutboxChain
from node.review import review
from protocol.errors import OperatorError, Reverted
from protocol.ids import ZERO, address_bytes, checksum, content_id
from protocol.seams import TxReceipt
from settlement.abi import CONTRACTS
from settlement.claims import GENESIS_POOL, claim_args
from settlement.vouchers import channel_id
from tasks.entries import EpochEntry

BATCH = 20  # claims in one transaction: about 1.4 million gas

SHORT = 8  # hex digits of an id that tables show

CLOSES_AT = 4  # position in what InferenceChannels.channelOf returns


class Money:
    """The money half of the facade over one running context."""

    def __init__(self, ctx: Context, outbox: OutboxChain) -> None:
        self._ctx = ctx
        self._outbox = outbox

    # -- stake ---

    async def stake(self, amount: str) -> Json:
        """Deposit coins of the operator account as its own stake."""
        self._ctx.check_current("WorkerStake")
        units, me = open_units(amount), checksum(self._ctx.operator)
        done = await self._pay("WorkerStake", units, "deposit", me, units)
        return {**done, "stake": str(self._ctx.board.stake(self._ctx.operator))}

    async def unstake(self, amount: str) -> Json:
        """Start the way out of free stake."""
        me = checksum(self._ctx.operator)
        done = await self._act("WorkerStake", "unbond", me, open_units(amount))
        return {**done, **await self.unbonding()}

    async def withdraw(self) -> Json:
        """Send what has unbonded to the payout address."""
        before = await self.unbonding()
        done = await self._act("WorkerStake", "withdraw", checksum(self._ctx.operator))
        return {**done, "withdrawn": before["unbonding"], "payout": checksum(self._ctx.payout)}

    async def unbonding(self) -> Json:
        """Base units on their way out, unix seconds from which they may leave, base units locked."""
        read, me = self._ctx.seams.chain.read, checksum(self._ctx.operator)
        amount, since = await read("WorkerStake", "unbondingOf", me)
        locked = await read("WorkerStake", "lockedOf", me)
        return {"unbonding": str(amount), "release_at": since, "locked": str(locked)}

    # -- pots and channels ---

    async def fund(self, pot: str, amount: str) -> Json:
        """Add coins to an open pot."""
        units, name = open_units(amount), _named("pot", pot, self._ctx.board.pots)
        if name is None:
            raise OperatorError("no-pot", f"No pot {pot} is funded.", "See `openledger job list`.")
        return await self._pay("AttributionPool", units, "topUp", name, units)

    async def channels(self) -> list[Json]:
        """All channels that this operator pays or serves."""
        found, me = [], self._ctx.operator
        for entry in list(self._ctx.board.channels.values()):
            if me in (entry.payer, entry.host):
                facts = await self._ctx.seams.chain.read(
                    "InferenceChannels", "channelOf", entry.channel
                )
                tab = (
                    await tabs.load(self._ctx, tabs.OwnerTab, entry.channel)
                    if entry.hosting
                    else None
                )
                mine = tab if tab is not None and entry.payer == me else None
                found.append({**_channel(entry.channel, facts), "terms": mine and _terms(mine)})
        return found

    async def open_channel(self, host: str, amount: str, rate: str = "", every: int = 0) -> Json:
        """Open the next free channel to a host; with a ``rate``, one that pays it for hosting."""
        units, ctx = open_units(amount), self._ctx
        ctx.check_current("InferenceChannels")
        operator = checksum(_address(host))
        if rate:
            return await self._open_hosting(_address(host), units, open_units(rate), every)
        number = sum(e.payer == ctx.operator for e in ctx.board.channels.values())
        salt = content_id(b"openledger/opened" + number.to_bytes(4, "big"))
        done = await self._pay("InferenceChannels", units, "open", salt, operator, units)
        channel = channel_id(checksum(ctx.operator), salt)
        return {**done, "channel": channel.hex()}

    async def _open_hosting(self, host: bytes, units: int, rate: int, every: int) -> Json:
        ctx = self._ctx
        try:
            channel, receipt = await hosting.open_hosting(ctx, host, units, rate, every)
        except Reverted as error:
            raise _refused(ctx, error, "InferenceChannels", "openHosting") from error
        return {"tx": "0x" + receipt.tx.hex(), "block": receipt.block, "channel": channel.hex()}

    async def top_up(self, channel: str, amount: str) -> Json:
        """Add coins to an open channel."""
        units, name = open_units(amount), self._own(channel)
        done = await self._pay("InferenceChannels", units, "topUp", name, units)
        return {**done, "channel": name.hex()}

    async def close_channel(self, channel: str) -> Json:
        """Start the close, or, once its delay is over, end it: the rest comes back to the payer."""
        name, chain = self._own(channel), self._ctx.seams.chain
        closes_at = (await chain.read("InferenceChannels", "channelOf", name))[CLOSES_AT]
        if closes_at > self._ctx.head.time:
            text = (
                f"The host may claim its last voucher for {closes_at - self._ctx.head.time} s more."
            )
            raise OperatorError("closing", text, "Close it again after that.")
        done = await self._act("InferenceChannels", "close" if closes_at else "startClose", name)
        facts = await chain.read("InferenceChannels", "channelOf", name)
        return {**done, **_channel(name, facts)}

    def _own(self, channel: str) -> bytes:
        entries = self._ctx.board.channels.values()
        own = [entry.channel for entry in entries if entry.payer == self._ctx.operator]
        name = _named("channel", channel, own)
        if name is None:
            remedy = "See `openledger channel list`."
            raise OperatorError("no-channel", f"{channel} is no channel of this node's.", remedy)
        return name

    # -- claims ---

    async def claim_batch(self) -> Json:
        """Claim for every owner what the active root owes it; each is paid to its payout address."""
        ctx = self._ctx
        if not active_epochs(ctx):
            return {"owners": 0, "claimed": "0", "txs": []}
        body = (await active_bodies(ctx))[-1]
        paid: dict[int, int] = {}
        for claim in ctx.board.claims:
            paid[claim.index] = paid.get(claim.index, 0) + claim.amount
        owed = [i for i, earned in enumerate(body.cumulative) if earned > paid.get(i, 0)]
        grown, amount, txs = tree(ctx, body), 0, []
        root = root_of(ctx.board.epochs[body.epoch - 1])
        for at in range(0, len(owed), BATCH):
            items = [claim_args(grown, index) for index in owed[at : at + BATCH]]
            receipt = await ctx.write("AttributionPool", "claimBatch", GENESIS_POOL, root, items)
            await ctx.reached(receipt.block)
            amount += sum(e.args["amount"] for e in receipt.events if e.name == "Claimed")
            txs.append("0x" + receipt.tx.hex())
        return {"owners": len(owed), "claimed": str(amount), "txs": txs}

    # -- epochs ---

    async def review(self) -> Json:
        """The newest epoch held against what this node derives of its pots."""
        entry = self._newest()
        found = await review(self._ctx, entry)
        bond: int = await self._ctx.seams.chain.read(
            "Arbiter", "bondFor", GENESIS_POOL, entry.epoch
        )
        return {
            "epoch": entry.epoch,
            "active": active(self._ctx, entry),
            "on_trial": on_trial(self._ctx, entry),
            "fault": found.fault,
            "bond": str(bond),
        }

    async def challenge(self, epoch: int, anyway: bool) -> Json:
        """Bring a pending epoch before a jury, with a bond; ``anyway``: although we derive the same."""
        entry = self._newest()
        if entry.epoch != epoch or active(self._ctx, entry):
            text = f"Epoch {epoch} is not pending: the newest is {entry.epoch}."
            raise OperatorError("not-pending", text, "Only the newest can be challenged, in time.")
        if on_trial(self._ctx, entry):
            text = f"Epoch {epoch} was challenged already."
            raise OperatorError("on-trial", text, "Wait for its jury: openledger challenge.")
        found = await review(self._ctx, entry)
        if not found.fault and not anyway:
            text = f"This node derives the same epoch {epoch}: jurors would, and the bond be lost."
            raise OperatorError("nothing-found", text, "If you know better: --anyway.")
        blob = self._ctx.put(found.own)
        await self._ctx.share(blob)
        try:
            receipt = await challenge(self._ctx, epoch, blob)
        except Reverted as error:
            raise _refused(self._ctx, error, "Arbiter", "challenge") from error
        await self._ctx.reached(receipt.block)
        return {"tx": "0x" + receipt.tx.hex(), "block": receipt.block, "fault": found.fault}

    def _newest(self) -> EpochEntry:
        if not self._ctx.board.epochs:
            raise OperatorError("no-epoch", "No epoch is committed.", "See `openledger job list`.")
        return self._ctx.board.epochs[-1]

    # -- the chain ---

    async def chain(self) -> Json:
        """Head, contracts, what is on its way, what failed."""
        ctx, now = self._ctx, self._ctx.seams.clock.now()
        head = await ctx.seams.chain.head()
        pending = [
            {
                "nonce": parcel.nonce,
                "tx": "0x" + parcel.last.hash.hex(),
                "forms": len(parcel.attempts),
                "age": round(now - parcel.attempts[0].at),
            }
            for parcel in self._outbox.pending()
        ]
        return {
            "chain_id": ctx.network.chain_id,
            "head": {"number": head.number, "time": head.time, "age": round(now - head.time)},
            "folded": ctx.head.number,
            "operator": checksum(ctx.operator),
            "pending": pending,
            "faults": dict(self._outbox.all_faults()),
            "contracts": {name: ctx.seams.chain.address(name) for name in CONTRACTS},
        }

    # -- sending ---

    async def _pay(self, spender: str, units: int, function: str, *args: Any) -> Json:
        """Allow a contract to take the coins, then let it."""
        await self._send("OpenToken", "approve", self._ctx.seams.chain.address(spender), units)
        return await self._act(spender, function, *args)

    async def _act(self, contract: str, function: str, *args: Any) -> Json:
        receipt = await self._send(contract, function, *args)
        await self._ctx.reached(receipt.block)
        return {"tx": "0x" + receipt.tx.hex(), "block": receipt.block}

    async def _send(self, contract: str, function: str, *args: Any) -> TxReceipt:
        try:
            return await self._ctx.write(contract, function, *args)
        except Reverted as error:
            raise _refused(self._ctx, error, contract, function) from error


def _refused(ctx: Context, error: Reverted, contract: str, function: str) -> OperatorError:
    return OperatorError(
        error.code,
        f"{contract} refused {function}.",
        f"Check the amount, and what the operator {checksum(ctx.operator)} holds: openledger status.",
    )


def open_units(text: str) -> int:
    """OPEN as decimal text -> base units. Raises OperatorError ``bad-amount``."""
    try:
        return actions.amount(text)
    except OperatorError as error:
        raise OperatorError(
            "bad-amount", f"{text!r} is no amount of OPEN.", "Write it like 12.5."
        ) from error


def _named(what: str, text: str, known: Iterable[bytes]) -> bytes | None:
    """The one id that begins (and ends, as tables show it) like the text, None when no known one does.

    Raises OperatorError ``bad-...`` for what is no beginning of an id, or of several.
    """
    begins, _, ends = text.lower().removeprefix("0x").partition("…")
    if not SHORT <= len(begins) <= 2 * len(ZERO) or set(begins + ends) - set(hexdigits):
        remedy = f"It has 64 hex digits; the first {SHORT} do."
        raise OperatorError(f"bad-{what}", f"{text!r} is no id of a {what}.", remedy)
    found = [n for n in known if n.hex().startswith(begins) and n.hex().endswith(ends)]
    if len(found) > 1:
        remedy = "Write more of its digits."
        raise OperatorError(f"bad-{what}", f"{len(found)} of them begin with {begins}.", remedy)
    return found[0] if found else None


def _address(text: str) -> bytes:
    try:
        return address_bytes(text)
    except ValueError as error:
        raise OperatorError(
            "bad-address", f"{text!r} is no address.", "See `openledger peers` for operators."
        ) from error


def _channel(channel: bytes, facts: tuple[str, str, int, int, int, bool, bool]) -> Json:
    payer, host, deposit, spent, closes_at, closed, hosting = facts
    state = "closed" if closed else "closing" if closes_at else "open"
    return {
        "channel": channel.hex(),
        "payer": payer,
        "host": host,
        "hosting": hosting,
        "deposit": str(deposit),
        "spent": str(spent),
        "closes_at": closes_at or None,
        "state": state,
    }


def _terms(tab: tabs.OwnerTab) -> Json:
    """What an owner pays a host for, and how that went."""
    return {
        "rate": str(tab.rate),
        "every": tab.every,
        "served": tab.served,
        "missed": tab.missed,
        "now": tab.now.state,
    }
