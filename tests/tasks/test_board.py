"""The board: the chain's events folded, and nothing that an event's author could not say."""

from types import SimpleNamespace
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from node.context import Context
from node.jobs import Assigned, Job, entry_of
from protocol import roles
from protocol.ids import address_bytes, checksum, datanet_id, topic
from protocol.messages import JobSpec, judged
from protocol.possession import possession
from protocol.seams import Event
from protocol.signing import public_key
from settlement.models.ledger import Env
from settlement.models.registry import AssetRegistry
from tasks.board import HANDED_BACK, SETTLED, Board

ANN, BOB, CYD = (bytes([n]) * 20 for n in (1, 2, 3))
PEER, POT, UNIT, CONTENT = b"k" * 32, b"p" * 32, b"u" * 32, b"d" * 32
VALUE, OTHER = b"v" * 32, b"w" * 32
DATANET = datanet_id(ANN, CONTENT)
EXPIRED = 1


class Chain:
    """Events in blocks of their own, folded as a node does."""

    def __init__(self, seats: tuple[bytes, ...] = (ANN, BOB, CYD), quorum: int = 2) -> None:
        self.board = Board(seats, quorum)
        self.block = 0

    def emit(self, name: str, **args: Any) -> int:
        """The block of the event; operators are given as bytes."""
        self.block += 1
        texts = {
            k: checksum(v) if isinstance(v, bytes) and len(v) == 20 else v for k, v in args.items()
        }
        self.board.apply(Event("", name, texts, self.block, 0, b"t" * 32), 1_000 + self.block)
        return self.block

    def post(self, kind: str | bytes, subject: bytes, operator: bytes, value: bytes = VALUE) -> int:
        """A CommitLog entry."""
        name = topic(kind) if isinstance(kind, str) else kind
        return self.emit("Committed", topic=name, subject=subject, operator=operator, value=value)

    def node(self, seed: bytes, operator: bytes, *names: str) -> int:
        """Register the peer key of a seed, with its proof."""
        self.post("node-proof", *_proof(seed, operator))
        return self.post("node", public_key(seed), operator, bits(*names))

    def found(self, data_class: int = 0) -> None:
        """ANN's Datanet."""
        self.own(ANN, BOB)
        self.emit("DatanetRegistered", id=DATANET, owner=0, content=CONTENT, dataClass=data_class)

    def own(self, *operators: bytes) -> None:
        for index, operator in enumerate(operators):
            self.emit("OwnerRegistered", index=index, operator=operator, payout=operator)


def _proof(seed: bytes, operator: bytes) -> tuple[bytes, bytes, bytes]:
    first, second = possession(seed, operator)
    return first, operator, second


def bits(*names: str) -> bytes:
    return roles.mask(names).to_bytes(32, "big")


def test_owner_indices_are_the_order_of_registration() -> None:
    chain = Chain()
    chain.own(ANN, BOB, CYD)
    assert [chain.board.index_of(op) for op in (ANN, BOB, CYD)] == [0, 1, 2]
    assert chain.board.index_of(b"x" * 20) is None


def test_a_payout_change_makes_two_keys_one_party() -> None:
    chain = Chain()
    chain.own(ANN, BOB)
    assert chain.board.same_party(ANN, ANN)
    assert not chain.board.same_party(ANN, BOB)
    chain.emit("PayoutChanged", index=1, payout=ANN)
    assert chain.board.same_party(ANN, BOB)
    assert not chain.board.same_party(CYD, b"x" * 20)  # both unknown is not the same


def test_a_peer_key_belongs_to_whom_it_was_registered_by_first() -> None:
    chain = Chain()
    chain.node(PEER, ANN, "worker")
    chain.node(PEER, BOB, "worker")
    assert chain.board.operator_of_peer(public_key(PEER)) == ANN
    assert chain.board.node(BOB) is None
    assert chain.board.ignored["peer-key-taken"] == 1


def test_a_peer_key_is_registered_by_whom_it_signed_for_only() -> None:
    """Who sees a key first, on the wire or among pending transactions, gains nothing by naming it."""
    chain = Chain()
    key = public_key(PEER)
    chain.post("node", key, BOB, bits("worker"))  # nothing shown
    chain.post("node-proof", *_proof(OTHER, BOB))
    chain.post("node", key, BOB, bits("worker"))  # another key's
    first, _, second = _proof(PEER, ANN)
    chain.post("node-proof", first, BOB, second)
    chain.post("node", key, BOB, bits("worker"))  # copied from the owner's transaction
    assert chain.board.operator_of_peer(key) is None
    assert chain.board.ignored["peer-key-unproven"] == 3
    chain.node(PEER, ANN, "worker")
    assert chain.board.operator_of_peer(key) == ANN
    assert chain.board.node(BOB) is None


def test_roles_are_those_of_the_asked_block() -> None:
    chain = Chain()
    first = chain.node(PEER, ANN, "worker")
    chain.node(PEER, ANN, "host")
    then, now = chain.board.node(ANN, first), chain.board.node(ANN)
    assert then is not None and roles.names(then.roles) == ("worker",)
    assert now is not None and roles.names(now.roles) == ("host",)
    assert chain.board.node(ANN, first - 1) is None


@given(st.lists(st.tuples(st.sampled_from("+-!"), st.integers(1, 100)), max_size=20))
def test_stake_has_a_history_by_block(changes: list[tuple[str, int]]) -> None:
    chain, expected = Chain(), [0]
    names = {"+": "StakeDeposited", "-": "StakeUnbonded", "!": "Slashed"}
    extra = {"unit": UNIT, "evidence": VALUE, "reporter": BOB}
    for sign, amount in changes:
        chain.emit(names[sign], operator=ANN, amount=amount, **(extra if sign == "!" else {}))
        change = amount if sign == "+" else -amount
        expected.append(max(0, expected[-1] + change))
    assert [chain.board.stake(ANN, block) for block in range(len(expected))] == expected
    assert chain.board.stake(ANN) == expected[-1]
    assert len(chain.board.slashes) == sum(sign == "!" for sign, _ in changes)


def test_the_roster_holds_who_had_role_and_stake_at_a_block() -> None:
    chain = Chain()
    chain.node(PEER, ANN, "worker", "verifier")
    chain.node(OTHER, BOB, "verifier")
    block = chain.emit("StakeDeposited", operator=ANN, amount=100)
    chain.emit("StakeDeposited", operator=BOB, amount=70)
    assert chain.board.roster("worker", block, 100) == {ANN: 100}
    assert chain.board.roster("worker", block, 101) == {}
    assert chain.board.roster("verifier", block, 50) == {ANN: 100}
    assert chain.board.roster("verifier", chain.block, 50) == {ANN: 100, BOB: 70}


# -- shards ---


def test_a_shard_needs_a_registered_datanet_and_counts_once() -> None:
    chain = Chain()
    chain.post("shard", DATANET, ANN)
    assert chain.board.shards == {}
    chain.found()
    chain.post("shard", DATANET, ANN)
    chain.post("shard", DATANET, BOB)  # the same commitment again is a copy
    assert [s.owner for s in chain.board.shards.values()] == [ANN]
    assert chain.board.ignored["shard-unknown-or-repeated"] == 2


def test_only_its_owner_reveals_a_shard_and_only_once() -> None:
    chain = Chain()
    chain.found()
    chain.post("shard", DATANET, ANN)
    chain.post("reveal", VALUE, BOB, b"b" * 32)
    assert chain.board.shards[VALUE].reveal is None
    chain.post("reveal", VALUE, ANN, b"a" * 32)
    chain.post("reveal", VALUE, ANN, b"c" * 32)
    reveal = chain.board.shards[VALUE].reveal
    assert reveal is not None
    assert reveal.value == b"a" * 32
    assert chain.board.ignored["reveal-without-commitment"] == 2


# -- agreement ---


def test_agreement_needs_distinct_seats_that_say_the_same() -> None:
    chain = Chain()
    chain.post("round", b"r" * 32, ANN)
    chain.post("round", b"r" * 32, ANN)
    assert chain.board.agreed("round", b"r" * 32) is None
    chain.post("round", b"r" * 32, BOB, OTHER)
    assert chain.board.agreed("round", b"r" * 32) is None
    chain.post("round", b"r" * 32, b"x" * 20)  # no seat
    assert chain.board.agreed("round", b"r" * 32) is None
    block = chain.post("round", b"r" * 32, CYD)
    agreed = chain.board.agreed("round", b"r" * 32)
    assert agreed is not None
    assert (agreed.value, agreed.block) == (VALUE, block)


def test_a_later_quorum_does_not_replace_the_first() -> None:
    chain = Chain((ANN, BOB, CYD), 1)
    chain.post("round", b"r" * 32, ANN, VALUE)
    chain.post("round", b"r" * 32, BOB, OTHER)
    agreed = chain.board.agreed("round", b"r" * 32)
    assert agreed is not None
    assert agreed.value == VALUE


# -- units ---


def reserved(operator: bytes = ANN) -> Chain:
    chain = Chain()
    facts = {"amount": 100, "unitPay": 10, "spec": VALUE, "funder": BOB, "salt": VALUE}
    chain.emit("PotFunded", pot=POT, pool=bytes(32), unitSeconds=60, **facts)
    chain.emit("UnitReserved", pot=POT, unit=UNIT, operator=operator, deadline=2_000)
    return chain


def test_a_units_life_on_the_board() -> None:
    chain = reserved()
    chain.emit("UnitAnchored", pot=POT, unit=UNIT, operator=ANN, root=VALUE, adapter=OTHER)
    unit = chain.board.units[UNIT]
    assert (unit.operator, unit.root, unit.adapter) == (ANN, VALUE, OTHER)
    assert unit.anchor_block == chain.block
    assert not unit.settled
    chain.emit("UnitReleased", pot=POT, unit=UNIT, operator=ANN, reason=SETTLED)
    assert chain.board.units[UNIT].settled
    assert chain.board.units[UNIT].ended == ""


def test_a_unit_released_before_its_anchor_has_ended() -> None:
    for reason, ended in ((HANDED_BACK, "handed-back"), (EXPIRED, "expired")):
        chain = reserved()
        chain.emit("UnitReleased", pot=POT, unit=UNIT, operator=ANN, reason=reason)
        assert chain.board.units[UNIT].ended == ended
        assert not chain.board.units[UNIT].settled


def test_a_unit_that_ended_is_not_revived_by_a_later_reservation() -> None:
    chain = reserved()
    first = chain.board.units[UNIT].block
    chain.emit("UnitReleased", pot=POT, unit=UNIT, operator=ANN, reason=HANDED_BACK)
    chain.emit("UnitReserved", pot=POT, unit=UNIT, operator=ANN, deadline=9_000)
    chain.emit("UnitAnchored", pot=POT, unit=UNIT, operator=ANN, root=VALUE, adapter=OTHER)
    unit = chain.board.units[UNIT]
    assert (unit.ended, unit.root, unit.block) == ("handed-back", b"", first)
    assert chain.board.ignored["unit-reserved-again"] == 1
    assert chain.board.ignored["unit-anchored-again"] == 1


def test_what_can_be_released_follows_the_contracts_lock() -> None:
    chain = reserved()  # until 2,000
    unit = chain.board.units[UNIT]
    assert chain.board.releasable(2_000) == []
    assert chain.board.releasable(2_001) == [unit]
    chain.emit("UnitReleased", pot=POT, unit=UNIT, operator=ANN, reason=EXPIRED)
    assert chain.board.releasable(9_999) == []
    chain.emit("UnitReserved", pot=POT, unit=UNIT, operator=ANN, deadline=3_000)
    assert chain.board.releasable(3_001) == [unit]
    chain.emit("UnitAnchored", pot=POT, unit=UNIT, operator=ANN, root=VALUE, adapter=OTHER)
    assert chain.board.releasable(9_999) == []
    facts = {"amount": 5, "evidence": VALUE, "reporter": BOB}
    chain.emit("Slashed", operator=ANN, unit=UNIT, **facts)
    assert chain.board.releasable(0) == [unit]


def test_a_finding_that_does_not_exist_is_no_verdict() -> None:
    chain = reserved()
    chain.post("verdict/moon", UNIT, BOB)
    assert chain.board.units[UNIT].verdicts == []
    assert chain.board.ignored["unknown-finding"] == 1


def test_a_squatters_unit_does_not_stand_for_the_drawn_worker() -> None:
    item = Assigned(UNIT, ANN, home=False)
    for operator, stands in ((ANN, True), (BOB, False)):
        board = reserved(operator).board
        job = Job(spec=cast(JobSpec, None), pot=board.pots[POT])
        found = entry_of(cast(Context, SimpleNamespace(board=board)), job, item)
        assert (found is not None) is stands


def test_verdicts_and_rulings_go_to_their_unit_in_order() -> None:
    chain = reserved()
    chain.post(judged("verdict", "ok"), UNIT, BOB)
    chain.post(judged("verdict", "A"), UNIT, CYD)
    chain.post(judged("ruling", "no-data"), UNIT, CYD)
    unit = chain.board.units[UNIT]
    assert [(p.operator, p.finding) for p in unit.verdicts] == [(BOB, "ok"), (CYD, "A")]
    assert [(p.operator, p.finding) for p in unit.rulings] == [(CYD, "no-data")]


def test_a_verdict_on_nothing_is_only_a_post() -> None:
    chain = Chain()
    chain.post(judged("verdict", "A"), UNIT, BOB)
    assert chain.board.units == {}
    assert [p.finding for p in chain.board.posted("verdict", UNIT)] == ["A"]


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_any_topic_can_be_posted_by_anybody_and_is_no_error(name: bytes, subject: bytes) -> None:
    chain = reserved()
    chain.post(name, subject, CYD)
    assert chain.board.units[UNIT].operator == ANN


def test_a_pot_keeps_the_time_that_its_units_have() -> None:
    assert reserved().board.pots[POT].unit_seconds == 60


def test_events_of_later_versions_are_counted() -> None:
    chain = Chain()
    chain.emit("SomethingNew", id=VALUE)
    assert dict(chain.board.ignored) == {"SomethingNew": 1}


def test_money_events() -> None:
    chain = reserved()
    chain.emit("PotToppedUp", pot=POT, source=BOB, amount=5)
    chain.emit("PotDrawn", pot=POT, epoch=1, amount=105)
    assert (chain.board.pots[POT].amount, chain.board.pots[POT].drawn) == (105, 1)
    opened = {"payer": ANN, "host": BOB, "salt": VALUE, "amount": 50}
    chain.emit("ChannelOpened", channel=VALUE, hosting=False, **opened)
    chain.emit("ChannelOpened", channel=OTHER, hosting=True, **opened)
    chain.emit("ChannelToppedUp", channel=VALUE, source=ANN, amount=7)
    assert chain.board.channels[VALUE].deposit == 57
    assert [chain.board.channels[each].hosting for each in (VALUE, OTHER)] == [False, True]
    parts = {"host": 2, "owner": 1, "lineage": 1, "contributors": 5, "treasury": 1}
    facts = {"ruleVersion": 1, "bookedUnder": 2, "delta": 10}
    chain.emit("UsageBooked", channel=VALUE, asset=OTHER, **facts)
    assert (chain.board.used[0].version, chain.board.used[0].under) == (1, 2)
    chain.emit("FeeSplit", channel=VALUE, asset=OTHER, ruleVersion=2, delta=10, **parts)
    fee = chain.board.fees[0]
    assert fee.amount == fee.host + fee.owner + fee.lineage + fee.contributors + fee.treasury == 10
    chain.emit("Claimed", pool=bytes(32), index=3, payout=ANN, amount=9)
    chain.emit("Claimed", pool=bytes(32), index=3, payout=ANN, amount=2)
    assert [(c.index, c.amount) for c in chain.board.claims] == [(3, 9), (3, 2)]
    assert [chain.board.claimed(index) for index in (2, 3)] == [0, 11]


# -- payouts that are scheduled ---

TEXTS = tuple(checksum(bytes([n]) * 20) for n in range(10, 14))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("operator", "payout", "nobody")),
            st.sampled_from(TEXTS),
            st.integers(0, 40),
        ),
        max_size=12,
    )
)
def test_the_board_follows_the_contract_in_every_block(
    changes: list[tuple[str, str, int]],
) -> None:
    """The registry's model is the judge: immediate, scheduled, replaced and cancelled changes."""
    env, board, operator = Env(1, 1_000), Board((ANN,), 1), checksum(ANN)
    registry = AssetRegistry(env, checksum(BOB), 20)
    said: list[str] = []

    def fold() -> None:
        block = len(said) + 1
        for log in env.commit():
            board.apply(Event(log.contract, log.name, log.args, block, 0, bytes(32)), env.now)
        board.apply(Event("", "AnyOther", {}, block, 0, bytes(32)), env.now)
        said.append(registry.payoutOf(0))

    registry.registerOwner(operator, TEXTS[0])
    fold()
    for who, address, seconds in changes:
        env.now += seconds
        sender = {"operator": operator, "payout": registry.payoutOf(0)}.get(who)
        if sender is not None:
            registry.setPayout(sender, 0, address)
        fold()
        assert board.payout(ANN) == address_bytes(said[-1])
    history = [board.payout(ANN, block) for block in range(1, len(said) + 1)]
    assert history == [address_bytes(text) for text in said]


def test_a_scheduled_payout_waits_for_its_time() -> None:
    chain = Chain()
    chain.own(ANN)
    before = chain.emit("PayoutScheduled", index=0, payout=CYD, effectiveAt=1_004)
    assert chain.board.payout(ANN) == ANN
    waiting = chain.board.pending_payout(ANN)
    assert waiting is not None and (waiting.since, waiting.address) == (1_004, CYD)
    chain.emit("AnyOther")
    chain.emit("AnyOther")
    assert chain.board.payout(ANN) == CYD and chain.board.payout(ANN, before) == ANN
    assert chain.board.pending_payout(ANN) is None
