"""The board: the chain's events folded into what has been committed, in order. Every node gets the same.

Stake is kept with its history, because draws use the snapshot of a height, never of now.
"""

from bisect import bisect_right
from collections import OrderedDict, defaultdict
from dataclasses import replace
from typing import Any

from protocol import messages, roles
from protocol.errors import ChainError
from protocol.ids import address_bytes
from protocol.seams import Event
from tasks.assets import AssetFold
from tasks.court import Court
from tasks.entries import (
    POOL,
    ChannelEntry,
    ClaimEntry,
    DatanetEntry,
    DemandEntry,
    EpochEntry,
    FeeEntry,
    NodeEntry,
    PayoutEntry,
    Posted,
    PotEntry,
    ShardEntry,
    SlashEntry,
    UnitEntry,
    UsageEntry,
    said,
)
from tasks.epochs import EpochFold
from tasks.peers import Peers
from tasks.rulebook import RuleBook

ROSTERS = 256  # that are kept: every look at a job asks for the same ones
HANDED_BACK, SETTLED = 0, 3  # AttributionPool's Release enum


class Board(RuleBook, EpochFold, AssetFold):
    """Fold of contract events. ``apply`` is the only way in, ``unfold`` the way back; the rest reads."""

    def __init__(self, seats: tuple[bytes, ...], quorum: int) -> None:
        super().__init__()
        self.seats = seats  # aggregators' operator addresses
        self.quorum = quorum
        self.owners: list[bytes] = []  # operator by owner index
        self.payouts: dict[bytes, list[PayoutEntry]] = defaultdict(list)  # in order of effect
        self.nodes: dict[bytes, list[NodeEntry]] = defaultdict(list)
        self.stakes: dict[bytes, list[tuple[int, int]]] = defaultdict(list)  # (block, stake)
        self.datanets: dict[bytes, DatanetEntry] = {}  # by asset id
        self.shards: dict[bytes, ShardEntry] = {}  # by commitment, in commit order
        self.pots: dict[bytes, PotEntry] = {}
        self.units: dict[bytes, UnitEntry] = {}
        self.posts: dict[tuple[str, bytes], list[Posted]] = defaultdict(list)
        self.slashes: list[SlashEntry] = []
        self.epochs: list[EpochEntry] = []  # that are not voided; at most the last is not active
        self.commits: list[EpochEntry] = []  # all of them as they were made, voided ones too
        self.voided: EpochEntry | None = None  # whose draws are not restored; ``time``: of the void
        self.voids = 0  # epochs ever voided: a number may be committed again
        self.demands: dict[bytes, DemandEntry] = {}  # open ones
        self._foreign: set[bytes] = set()  # pots and units of other pools
        self._drawing: dict[int, list[tuple[bytes, int]]] = defaultdict(list)
        self.claims: list[ClaimEntry] = []
        self._claimed: dict[int, int] = defaultdict(int)  # owner index -> sum of its claims
        self.channels: dict[bytes, ChannelEntry] = {}
        self.used: list[UsageEntry] = []  # claimed of vouchers
        self.fees: list[FeeEntry] = []  # paid out of what was claimed
        self.models: dict[bytes, int] = {}  # asset id of a registered model -> owner index
        self.court = Court()
        self.ignored: dict[str, int] = defaultdict(int)
        self.changes = 0  # grows with whatever is folded or unfolded
        self._indices: dict[bytes, int] = {}  # operator -> owner index
        self._peers = Peers()
        self._rosters: OrderedDict[tuple[str, int, int], dict[bytes, int]] = OrderedDict()
        self._times: list[tuple[int, int]] = []  # (block, its time) of blocks with events
        self._folded: list[tuple[Event, int]] = []

    def apply(self, event: Event, time: int) -> None:
        """Fold one event; ``time`` is its block's (seconds). Unknown events are counted and left alone.

        Raises ChainError ``impossible-event`` for one that our contracts cannot emit after those
        before: the endpoint left one out, or invents. What was folded of it ``unfold`` takes back.
        """
        self._folded.append((event, time))
        self.changes += 1
        if not self._times or self._times[-1][0] < event.block:
            self._times.append((event.block, time))
        handler = getattr(self, f"_on_{event.name}", None)
        try:
            known = self.court.apply(event)
            if handler is not None:
                handler(event, time, event.args)
            elif not known:
                self.ignored[event.name] += 1
        except (LookupError, AssertionError) as error:
            raise ChainError(
                "impossible-event", f"{event.contract}.{event.name} in block {event.block}: {error}"
            ) from error

    def unfold(self, block: int) -> None:
        """Forget all events after a block, as if they had never been.

        Everything is folded again: rare, and no handler has to know how to undo itself.
        """
        kept = Board(self.seats, self.quorum)
        for event, time in self._folded:
            if event.block <= block:
                kept.apply(event, time)
        vars(self).update(vars(kept), changes=self.changes + 1)

    # -- reading ---

    def index_of(self, operator: bytes) -> int | None:
        """The owner index of an operator, None when it is not registered."""
        for index in range(len(self._indices), len(self.owners)):
            self._indices[self.owners[index]] = index
        return self._indices.get(operator)

    def node(self, operator: bytes, block: int | None = None) -> NodeEntry | None:
        """The registration of an operator in force at a block (default: now)."""
        entries = [e for e in self.nodes[operator] if block is None or e.block <= block]
        return entries[-1] if entries else None

    def operator_of_peer(self, peer_key: bytes) -> bytes | None:
        """Whose peer key this is: the first operator that registered it with the key's own proof."""
        return self._peers.operator_of(peer_key)

    def stake(self, operator: bytes, block: int | None = None) -> int:
        """Stake at the end of a block (default: now), smallest units."""
        history = [s for at, s in self.stakes[operator] if block is None or at <= block]
        return history[-1] if history else 0

    def roster(self, role: str, block: int, least: int) -> dict[bytes, int]:
        """Operators with a role and at least ``least`` stake at a block, with their stake."""
        key = (role, block, least)
        if key in self._rosters:
            return dict(self._rosters[key])
        found = {}
        for operator in list(self.nodes):
            entry = self.node(operator, block)
            stake = self.stake(operator, block)
            if entry is not None and roles.has(entry.roles, role) and stake >= least:
                found[operator] = stake
        if self._times and block < self._times[-1][0]:  # no event of it is still to come
            self._rosters[key] = dict(found)
            if len(self._rosters) > ROSTERS:
                self._rosters.popitem(last=False)
        return found

    def payout(self, operator: bytes, block: int | None = None) -> bytes | None:
        """Where an operator was paid at the end of a block (default: now), None for no owner.

        A scheduled change counts from the first block with events at or after its time: the board
        knows the time of no other block, and every node knows the same ones.
        """
        history = self.payouts.get(operator, ())
        if len(history) == 1:  # as registered, in force at once
            first = history[0]
            return first.address if block is None or first.block <= block else None
        now = self._time_of(block) if history else 0
        known = [e for e in history if (block is None or e.block <= block) and e.since <= now]
        return known[-1].address if known else None

    def pending_payout(self, operator: bytes) -> PayoutEntry | None:
        """A scheduled change that has not come into force."""
        now = self._time_of(None)
        waiting = [entry for entry in self.payouts.get(operator, ()) if entry.since > now]
        return waiting[-1] if waiting else None

    def same_party(self, one: bytes, other: bytes, block: int | None = None) -> bool:
        """Whether two operators were one party at a block: equal, or one payout address."""
        payout = self.payout(one, block)
        return one == other or (payout is not None and payout == self.payout(other, block))

    def posted(self, kind: str, subject: bytes) -> list[Posted]:
        """All posts of a kind about a subject, in chain order."""
        return self.posts[(kind, subject)]

    def agreed(self, kind: str, subject: bytes) -> Posted | None:
        """The post with which a quorum of aggregator seats first said the same value."""
        voices: dict[bytes, set[bytes]] = defaultdict(set)
        for post in self.posted(kind, subject):
            if post.operator in self.seats:
                voices[post.value].add(post.operator)
                if len(voices[post.value]) >= self.quorum:
                    return post
        return None

    def suspended(self, block: int) -> set[bytes]:
        """Who is given no work at a block: slashed before, or with an order against it."""
        slashed = {slash.operator for slash in self.slashes if slash.block <= block}
        return slashed | self.court.suspended(block)

    def releasable(self, now: int) -> list[UnitEntry]:
        """Units whose pay and stake anyone may free: slashed, or past their deadline unanchored."""
        slashed = {slash.unit for slash in self.slashes}
        return [
            unit
            for unit in self.units.values()
            if not unit.released and (unit.unit in slashed or 0 < unit.expires < now)
        ]

    def _time_of(self, block: int | None) -> int:
        """Time of the last block with events up to ``block`` (default: of all), 0 before the first."""
        if block is None:
            return self._times[-1][1] if self._times else 0
        place = bisect_right(self._times, block, key=lambda entry: entry[0])
        return self._times[place - 1][1] if place else 0

    # -- folding ---

    def _on_OwnerRegistered(self, event: Event, time: int, args: dict[str, Any]) -> None:
        operator = address_bytes(args["operator"])
        assert args["index"] == len(self.owners), "owner indices are dense and in order"
        self.owners.append(operator)
        self._pay_to(operator, PayoutEntry(event.block, time, address_bytes(args["payout"])), time)

    def _on_PayoutChanged(self, event: Event, time: int, args: dict[str, Any]) -> None:
        entry = PayoutEntry(event.block, time, address_bytes(args["payout"]))
        self._pay_to(self.owners[args["index"]], entry, time)

    def _on_PayoutScheduled(self, event: Event, time: int, args: dict[str, Any]) -> None:
        entry = PayoutEntry(event.block, args["effectiveAt"], address_bytes(args["payout"]))
        self._pay_to(self.owners[args["index"]], entry, time)

    def _pay_to(self, operator: bytes, entry: PayoutEntry, time: int) -> None:
        """A change takes the place of one that was still waiting."""
        stands = [known for known in self.payouts[operator] if known.since <= time]
        self.payouts[operator] = [*stands, entry]

    def _on_StakeDeposited(self, event: Event, time: int, args: dict[str, Any]) -> None:
        self._stake(event, address_bytes(args["operator"]), args["amount"])

    def _on_StakeUnbonded(self, event: Event, time: int, args: dict[str, Any]) -> None:
        self._stake(event, address_bytes(args["operator"]), -args["amount"])

    def _stake(self, event: Event, operator: bytes, change: int) -> None:
        # unbonding stake no longer counts here but can still be slashed, hence the floor
        self.stakes[operator].append((event.block, max(0, self.stake(operator) + change)))

    def _on_Slashed(self, event: Event, time: int, args: dict[str, Any]) -> None:
        operator, reporter = address_bytes(args["operator"]), address_bytes(args["reporter"])
        facts = args["unit"], args["amount"], args["evidence"], reporter
        self._stake(event, operator, -args["amount"])
        self.slashes.append(SlashEntry(operator, *facts, tx=event.tx, block=event.block))

    _on_Seized = _on_StakeUnbonded

    def _on_Accused(self, event: Event, time: int, args: dict[str, Any]) -> None:
        finding = args["finding"].rstrip(b"\x00").decode("ascii", "replace")
        accuser, place = address_bytes(args["accuser"]), (event.block, time, event.log_index)
        post = Posted(accuser, args["evidence"], finding, *place, staked=True)
        if args["unit"] in self.units:
            self._finding(self.units[args["unit"]], messages.VERDICT, post)

    def _on_Committed(self, event: Event, time: int, args: dict[str, Any]) -> None:
        kind, subject, post = said(event, time)
        if kind == messages.NODE:
            self._node(subject, post)
        elif kind == messages.NODE_PROOF:
            self._peers.show(post.operator, (subject, post.value))
        elif kind == messages.SHARD:
            self._shard(subject, post)
        elif kind == messages.REVEAL:
            self._reveal(subject, post)
        elif kind in (messages.VERDICT, messages.RULING) and subject in self.units:
            self._finding(self.units[subject], kind, post)
        else:
            self.posts[(kind, subject)].append(post)

    def _finding(self, unit: UnitEntry, kind: str, post: Posted) -> None:
        if post.finding not in messages.FINDINGS:
            self.ignored["unknown-finding"] += 1
            return
        (unit.verdicts if kind == messages.VERDICT else unit.rulings).append(post)

    def _node(self, peer_key: bytes, post: Posted) -> None:
        if reason := self._peers.register(peer_key, post.operator):
            self.ignored[reason] += 1
            return
        bits = int.from_bytes(post.value, "big")
        self.nodes[post.operator].append(NodeEntry(post.operator, peer_key, bits, post.block))

    def _shard(self, datanet: bytes, post: Posted) -> None:
        if datanet not in self.datanets or post.value in self.shards:
            self.ignored["shard-unknown-or-repeated"] += 1
            return
        self.shards[post.value] = ShardEntry(
            datanet, post.operator, post.value, post.block, post.time, post.log_index
        )

    def _reveal(self, commitment: bytes, post: Posted) -> None:
        shard = self.shards.get(commitment)
        if shard is None or shard.owner != post.operator or shard.reveal is not None:
            self.ignored["reveal-without-commitment"] += 1
            return
        self.shards[commitment] = replace(shard, reveal=post)

    def _on_PotFunded(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if args["pool"] != POOL:
            self._foreign.add(args["pot"])
            self.ignored["other-pool"] += 1
            return
        self.pots[args["pot"]] = PotEntry(
            pot=args["pot"],
            funder=address_bytes(args["funder"]),
            amount=args["amount"],
            unit_pay=args["unitPay"],
            unit_seconds=args["unitSeconds"],
            spec=args["spec"],
            block=event.block,
            time=time,
        )

    def _on_PotToppedUp(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if self._elsewhere(args["pot"]):
            return
        entry = self.pots[args["pot"]]
        self.pots[entry.pot] = replace(entry, amount=entry.amount + args["amount"])

    def _on_UnitReserved(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if self._elsewhere(args["pot"], args["unit"]):
            return
        operator = address_bytes(args["operator"])
        new = UnitEntry(args["unit"], args["pot"], operator, event.block, time)
        unit = self.units.setdefault(new.unit, new)
        if unit is not new:
            self.ignored["unit-reserved-again"] += 1
        unit.expires, unit.released = args["deadline"], False

    def _on_UnitAnchored(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if self._elsewhere(args["unit"]):
            return
        unit = self.units[args["unit"]]
        unit.expires = 0
        if unit.ended:  # of a later reservation
            self.ignored["unit-anchored-again"] += 1
            return
        unit.root, unit.adapter = args["root"], args["adapter"]
        unit.anchor_block, unit.anchor_time = event.block, time

    def _on_UnitReleased(self, event: Event, time: int, args: dict[str, Any]) -> None:
        if self._elsewhere(args["unit"]):
            return
        unit = self.units[args["unit"]]
        unit.expires, unit.released = 0, True
        unit.settled = args["reason"] == SETTLED
        if not unit.root and not unit.ended:
            unit.ended = "handed-back" if args["reason"] == HANDED_BACK else "expired"

    def _on_ChannelOpened(self, event: Event, time: int, args: dict[str, Any]) -> None:
        payer, host = address_bytes(args["payer"]), address_bytes(args["host"])
        channel = args["channel"]
        self.channels[channel] = ChannelEntry(
            channel, payer, host, args["amount"], event.block, hosting=args["hosting"]
        )

    def _on_ChannelToppedUp(self, event: Event, time: int, args: dict[str, Any]) -> None:
        entry = self.channels[args["channel"]]
        self.channels[entry.channel] = replace(entry, deposit=entry.deposit + args["amount"])

    def _on_ChannelClosing(self, event: Event, time: int, args: dict[str, Any]) -> None:
        entry = self.channels[args["channel"]]
        self.channels[entry.channel] = replace(entry, closing=True)

    def _on_UsageBooked(self, event: Event, time: int, args: dict[str, Any]) -> None:
        self.used.append(
            UsageEntry(
                channel=args["channel"],
                asset=args["asset"],
                version=args["ruleVersion"],
                under=args["bookedUnder"],
                amount=args["delta"],
                block=event.block,
                time=time,
            )
        )

    def _on_FeeSplit(self, event: Event, time: int, args: dict[str, Any]) -> None:
        self.fees.append(
            FeeEntry(
                channel=args["channel"],
                asset=args["asset"],
                amount=args["delta"],
                host=args["host"],
                owner=args["owner"],
                contributors=args["contributors"],
                treasury=args["treasury"],
                block=event.block,
                tx=event.tx,
                lineage=args["lineage"],
                version=args["ruleVersion"],
            )
        )
