"""Checkers: what must hold in every simulated world, judged from outside of the code under test.

They read the chain's events and views, the machines' blobs and the plan (who is honest); no node knows of
them. A checker sees each transaction as it is mined, and the whole world every few seconds and at the end.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from node import committed, data, jobs
from node.context import Context
from protocol import messages
from protocol.codec import unpack
from protocol.errors import DecodeError, LocalError
from protocol.ids import ZERO, address_bytes, checksum, content_id, short
from protocol.messages import EpochBody, VerdictBody
from protocol.params import in_open
from protocol.seams import TxReceipt
from protocol.typed_data import address_of
from simnet.coalitions import accounts, coalitions
from simnet.noise import noise
from simnet.oracle import chance, faked, unseen
from simnet.plan import Dice, Plan
from simnet.trials import Trials
from simnet.world import World, key
from tasks.entries import UnitEntry

# Noise earns at most one in so many of an equal part: its words are real, and words are all that a tiny
# learner learns.
GARBAGE = 2


class Violated(Exception):
    """A checker's finding: which rule, and what was seen."""

    def __init__(self, rule: str, what: str) -> None:
        super().__init__(f"{rule}: {what}")
        self.rule = rule


@dataclass(slots=True)
class Checks:
    """All checkers of one run."""

    plan: Plan
    world: World
    names: dict[bytes, str] = field(default_factory=dict)  # operator -> player
    seen: Counter[str] = field(default_factory=Counter)  # how often each checker looked
    earned: Counter[str] = field(default_factory=Counter)  # by their records, at the end
    _blobs: dict[str, int] = field(default_factory=dict)  # how many of a machine's were hashed
    _pot_of: dict[bytes, bytes] = field(default_factory=dict)  # unit -> pot
    _anchored: set[bytes] = field(default_factory=set)  # pots with delivered work, not yet drawn
    _total: int = 0  # of the last epoch
    _accounts: list[str] = field(default_factory=list)
    _posted: dict[bytes, str] = field(default_factory=dict)  # verdict blob -> finding
    _trials: Trials = field(default_factory=Trials)

    def __post_init__(self) -> None:
        self.names = {m.keys.operator: name for name, m in self.world.machines.items()}
        self.world.chain.watchers.append(self.after_transaction)

    # -- after every transaction ---

    def after_transaction(self, receipt: TxReceipt) -> None:
        """Money and evidence."""
        self._money(receipt)
        for event in receipt.events:
            self._trials.hear(event)
            match event.name:
                case "EpochChallenged":
                    self._challenge(event.args)
                case "Slashed":
                    self._slash(event.args)
                case "Committed":
                    self._post(event.args)
                case "Accused":
                    self._accuse(event.args)
                case "UnitReserved":
                    self._pot_of[event.args["unit"]] = event.args["pot"]
                case "UnitAnchored":
                    self._anchored.add(self._pot_of[event.args["unit"]])
                case "PotDrawn":
                    self._anchored.discard(event.args["pot"])
                case "PotReclaimed":
                    self._reclaim(event.args)
                case "EpochCommitted":
                    self._commit(event.args)

    def _money(self, receipt: TxReceipt) -> None:
        """money-conserved: no coin appears or vanishes but by burning; claims never pass the root."""
        self.seen["money-conserved"] += 1
        self._accounts = self._accounts or self._all_accounts()
        held = sum(self.world.chain.peek("OpenToken", "balanceOf", a) for a in self._accounts)
        supply = self.world.chain.peek("OpenToken", "totalSupply")
        if held != supply:
            raise Violated(
                "money-conserved", f"{held} held, supply {supply}, block {receipt.block}"
            )

    def _all_accounts(self) -> list[str]:
        chain, world = self.world.chain, self.world
        contracts = [chain.address(name) for name in chain.contracts]
        people = [checksum(operator) for operator in self.names]
        payouts = [checksum(address_of(key(world.seed, f"{n}/payout"))) for n in world.machines]
        treasury = checksum(address_of(world.treasury_key))
        return list(dict.fromkeys([*contracts, *people, *payouts, treasury]))

    def _reclaim(self, args: dict[str, Any]) -> None:
        """reserved-stays: what was reserved for delivered work does not go back to the funder."""
        self.seen["reserved-stays"] += 1
        if args["pot"] in self._anchored:
            raise Violated("reserved-stays", f"pot {short(args['pot'])} went back with work in it")

    def _commit(self, args: dict[str, Any]) -> None:
        """stake-limit: an epoch adds at most half of what a quorum of seats can lose."""
        self.seen["stake-limit"] += 1
        network, peek = self.world.network, self.world.chain.peek
        stakes = sorted(peek("WorkerStake", "stakeOf", checksum(s)) for s in network.seats)
        most = sum(stakes[-network.quorum :]) // 2
        added, self._total = args["total"] - self._total, args["total"]
        if added > most:
            raise Violated("stake-limit", f"{in_open(added)} added, {in_open(most)} at stake")

    def _slash(self, args: dict[str, Any]) -> None:
        """no-honest-slash, and evidence under every slash."""
        self.seen["no-honest-slash"] += 1
        who = self.names[address_bytes(str(args["operator"]))]
        if who in self.plan.honest:
            raise Violated(
                "no-honest-slash", f"{who} lost stake for {bytes(args['unit']).hex()[:8]}"
            )
        evidence = args["evidence"]
        upheld = self._trials.upheld(evidence)
        if not upheld if upheld is not None else self._posted.get(evidence, "ok") == "ok":
            raise Violated("evidence", f"{who} was slashed without a guilty verdict")

    def _challenge(self, args: dict[str, Any]) -> None:
        """evidence: who honestly challenges an epoch has another one to show."""
        self.seen["challenge"] += 1
        name, evidence = self.names[address_bytes(str(args["challenger"]))], args["evidence"]
        other = evidence != self._trials.committed[args["epoch"]]
        if name in self.plan.honest and not (
            self.world.machines[name].blobs.has(evidence) and other
        ):
            raise Violated(
                "evidence", f"{name} challenged epoch {args['epoch']} and shows no other"
            )

    def _post(self, args: dict[str, Any]) -> None:
        """evidence: a verdict's body is there, its author's, about that unit, and says the same."""
        topic = bytes(args["topic"]).rstrip(b"\x00").decode("ascii", "replace")
        kind, _, finding = topic.partition("/")
        operator = address_bytes(str(args["operator"]))
        if kind not in (messages.VERDICT, messages.RULING) or operator not in self.names:
            return
        self.seen["evidence"] += 1
        value, name = bytes(args["value"]), self.names[operator]
        self._copied(name, value)
        if name not in self.plan.honest:
            self._posted.setdefault(value, finding)
            return
        try:
            body = unpack(VerdictBody, self.world.machines[name].blobs.get(value))
        except (LocalError, DecodeError) as error:
            raise Violated("evidence", f"{name} posted {topic} without a body: {error}") from error
        said = next((step.finding for step in body.steps if step.finding), "ok")
        if (body.verifier, body.unit, said) != (operator, args["subject"], finding):
            raise Violated("evidence", f"{name} posted {topic}, its body says {said}")
        self._posted[value] = finding

    def _accuse(self, args: dict[str, Any]) -> None:
        """A staked accusation names its verdict on chain; an honest accuser holds the body."""
        self.seen["evidence"] += 1
        value, operator = bytes(args["evidence"]), address_bytes(str(args["accuser"]))
        name = self.names.get(operator, "")
        if name in self.plan.honest and not self.world.machines[name].blobs.has(value):
            raise Violated("evidence", f"{name} accused without a body")
        self._posted.setdefault(
            value, bytes(args["finding"]).rstrip(b"\x00").decode("ascii", "replace")
        )

    def _copied(self, name: str, value: bytes) -> None:
        """evidence: devices differ a little, so a verdict without any distance was not computed."""
        try:
            body = unpack(VerdictBody, self.world.machines[name].blobs.get(value))
        except (LocalError, DecodeError):
            return
        for step in body.steps:
            compared = step.commitment != ZERO
            if compared and not step.finding and not step.distance_ppb:
                raise Violated("evidence", f"{name} shows the worker's own gradient as its own")

    # -- every few seconds ---

    def now(self) -> None:
        """What all honest nodes that run must agree on, and what they hold."""
        self._roots()
        self._bytes()

    def _honest(self) -> list[tuple[str, Context]]:
        return [
            (name, ctx)
            for name, ctx in self.world.nodes.items()
            if name in self.plan.honest and self.world.runs(name)
        ]

    def _roots(self) -> None:
        """same-roots: all honest nodes know the same epochs, as far as each has looked."""
        self.seen["same-roots"] += 1
        known = {name: [e.root for e in ctx.board.epochs] for name, ctx in self._honest()}
        longest = max(known.values(), key=len, default=[])
        for name, roots in known.items():
            if roots != longest[: len(roots)]:
                raise Violated("same-roots", f"{name} has other epoch roots than the others")

    def _bytes(self) -> None:
        """verified-bytes: nothing in a store has another hash than its name."""
        self.seen["verified-bytes"] += 1
        for name, machine in self.world.machines.items():
            for blob, body in machine.blobs.after(self._blobs.get(name, 0)):
                if content_id(body) != blob:
                    raise Violated("verified-bytes", f"{name} keeps {short(blob)} with other bytes")
            self._blobs[name] = machine.blobs.count

    # -- at the end ---

    async def at_end(self) -> None:
        """Every task has ended, and the money went where the work was."""
        self.now()
        reference = self._reference()
        await self._ends(reference)
        bodies = await committed.bodies(reference)
        for name in self.world.machines:
            self.earned[name] = self._as_contributor(reference, bodies, name)
        self._exact(bodies)
        self._claims(reference, bodies)
        self._copies(reference)
        self._garbage(reference, bodies)
        await self._delivered(reference, bodies)
        await self._no_gain(reference)
        await self._coalitions(reference, bodies)

    def _reference(self) -> Context:
        """An honest node that runs and has seen most."""
        return max((ctx for _, ctx in self._honest()), key=lambda ctx: ctx.head.number)

    async def _ends(self, ctx: Context) -> None:
        """ends: past its last deadline every unit has a final state, and every job is settled."""
        p = ctx.params
        rounds = p.rounds * (2 * p.unit_seconds + 2 * p.judge_seconds)
        workers = sum("worker" in player.roles for player in self.plan.players)
        longest = rounds + 4 * p.attribute_seconds * max(1, workers) + 600
        for job in jobs.jobs(ctx):
            self.seen["ends"] += 1
            over = ctx.head.time - job.pot.time
            for number in range(job.spec.rounds):
                found = await jobs.outcomes(ctx, job, number) or {}
                late = jobs.judging_over(ctx, job, number)
                open_ = [u for u, outcome in found.items() if not outcome.final]
                if late and open_ and over > rounds:
                    raise Violated("ends", f"unit {short(open_[0].unit)} has no final state")
            if over > longest and not ctx.board.pots[job.id].drawn:
                raise Violated("ends", f"job {short(job.id)} was not settled after {over} s")

    def _exact(self, bodies: list[EpochBody]) -> None:
        """exact: the shares of each pot sum to its amount, and claims to what was earned."""
        for body in bodies:
            for pot in body.pots:
                self.seen["exact"] += 1
                total = sum(share.amount for share in pot.shares)
                if total != pot.amount or any(share.amount < 0 for share in pot.shares):
                    raise Violated("exact", f"pot {short(pot.pot)}: {total} of {pot.amount}")

    def _claims(self, ctx: Context, bodies: list[EpochBody]) -> None:
        """exact: nobody claims more than the last epoch gives it."""
        claimed: Counter[int] = Counter()
        for claim in ctx.board.claims:
            claimed[claim.index] += claim.amount
        earned = bodies[-1].cumulative if bodies else ()
        for index, amount in claimed.items():
            if amount > earned[index]:
                raise Violated("exact", f"owner {index} claimed {amount} of {earned[index]}")

    def _copies(self, ctx: Context) -> None:
        """copies: who hands in others' rows again earns at most half of what they earn by them."""
        for copy in (s for s in self.plan.shards if s.source.startswith("copycat:")):
            source = copy.source.removeprefix("copycat:")
            same = (source, copy.part, copy.skip, copy.datanet)
            original = next(
                s for s in self.plan.shards if (s.source, s.part, s.skip, s.datanet) == same
            )
            if not self._first(ctx, original.owner, copy.owner):
                continue  # whoever commits first owns it
            self.seen["copies"] += 1
            theirs, own = self.earned[copy.owner], self.earned[original.owner]
            if 2 * theirs > own:
                raise Violated("copies", f"{in_open(theirs)} for a copy of {in_open(own)}")

    def _garbage(self, ctx: Context, bodies: list[EpochBody]) -> None:
        """garbage: noise earns at most half of what it would get if all records counted alike."""
        owners = {s.owner for s in self.plan.shards if s.source.startswith("garbage:")}
        indices = {ctx.board.index_of(self.world.machines[n].keys.operator) for n in owners}
        found = noise(bodies, frozenset(index for index in indices if index is not None))
        self.seen["garbage"] += found.pots if owners else 0
        if GARBAGE * found.got > found.equal:
            text = f"{in_open(found.got)} for noise, an equal part is {in_open(found.equal)}"
            raise Violated("garbage", text)

    def _first(self, ctx: Context, one: str, other: str) -> bool:
        """Whether the first shard that counts of one player stands before the other's."""
        order = [  # the board keeps chain order
            self.names[entry.owner] for entry in ctx.board.shards.values() if data.held(ctx, entry)
        ]
        return {one, other} <= set(order) and order.index(one) < order.index(other)

    def _as_contributor(self, ctx: Context, bodies: list[EpochBody], name: str) -> int:
        index = ctx.board.index_of(self.world.machines[name].keys.operator)
        return sum(
            share.amount
            for body in bodies
            for pot in body.pots
            for share in pot.shares
            if (share.owner, share.role) == (index, "contributor")
        )

    async def _delivered(self, ctx: Context, bodies: list[EpochBody]) -> None:
        """delivered-is-paid: a settled job pays each honest worker whose unit was accepted; and an
        honest worker's anchored unit is never judged guilty."""
        paid = self._worker_pay(bodies)
        for job in jobs.jobs(ctx):
            for number in range(job.spec.rounds):
                for item, outcome in (await jobs.outcomes(ctx, job, number) or {}).items():
                    name = self.names[item.worker]
                    if name not in self.plan.honest or item.home:
                        continue
                    self.seen["delivered-is-paid"] += 1
                    if outcome.state == "failed":
                        raise Violated("delivered-is-paid", f"{name}: {outcome.reason}")
                    index = ctx.board.index_of(item.worker)
                    accepted = outcome.state == "accepted" and ctx.board.pots[job.id].drawn
                    if accepted and not paid[job.id, index or 0]:
                        raise Violated("delivered-is-paid", f"{name} got nothing for its unit")

    def _worker_pay(self, bodies: list[EpochBody]) -> dict[tuple[bytes, int], int]:
        pay: dict[tuple[bytes, int], int] = defaultdict(int)
        for body in bodies:
            for pot in body.pots:
                for share in pot.shares:
                    if pot.kind == "job" and share.role == "worker":
                        pay[pot.pot, share.owner] += share.amount
        return pay

    async def _coalitions(self, ctx: Context, bodies: list[EpochBody]) -> None:
        """coalitions: nobody, alone or with anybody, takes out more than it put in and did."""
        draw = Dice(f"{self.plan.scenario}/{self.plan.seed}").number
        drawn = tuple(coalitions(self.plan, draw))
        for account in await accounts(ctx, self.plan, self.names, bodies):
            self.seen["coalitions"] += len(drawn)
            worst = max(drawn, key=account.excess)
            if account.excess(worst) > 0:
                more, who = in_open(account.excess(worst)), ", ".join(sorted(worst))
                raise Violated("coalitions", f"{who} took {more} more of {short(account.pot)}")

    async def _no_gain(self, ctx: Context) -> None:
        """no-gain: whoever faked work did not gain by it: what units that are not what the task asks
        for were paid is at most what their workers lost. All who faked are one coalition.

        A unit that is false in steps that nobody was drawn for is paid; then the draw must have been
        against its worker: the pay times the chance of that is at most the slash times the chance to
        be drawn.
        """
        gained = 0
        for unit in ctx.board.units.values():
            name = self.names[unit.operator]
            machine = self.world.machines[name]
            honest = name in self.plan.honest or not unit.root
            if honest or not await faked(ctx, machine.blobs, unit):
                continue
            self.seen["no-gain"] += 1
            outcome = ctx.outcomes.get(unit.unit)
            if outcome is None or outcome.state != "accepted":
                continue
            steps = await unseen(ctx, machine.store, machine.blobs, unit)
            if steps is None:
                gained += ctx.board.pots[unit.pot].unit_pay
            else:
                self._by_luck(ctx, unit, steps)
        lost = sum(slash.amount for slash in ctx.board.slashes)
        if gained > lost:
            raise Violated("no-gain", f"{in_open(gained)} for faked units, {in_open(lost)} lost")

    def _by_luck(self, ctx: Context, unit: UnitEntry, faked_steps: int) -> None:
        self.seen["no-gain-by-luck"] += 1
        pot = ctx.board.pots[unit.pot]
        p = ctx.params_at(pot.time)
        caught, every = chance(p.steps, p.samples, faked_steps)
        pay, slash = pot.unit_pay * (every - caught), p.slash * caught
        if pay > slash or caught == every:  # no draw can have missed them all
            raise Violated("no-gain", f"faking {faked_steps} of {p.steps} steps pays")
