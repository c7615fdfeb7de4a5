"""Which jobs count, who may rule on their units, and when a worker's silence is a finding."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from node import jobs, reveals, terms
from node.context import Context
from node.jobs import Job
from protocol import roles
from protocol.compute import Hyper
from protocol.errors import PeerError
from protocol.ids import checksum, topic
from protocol.messages import JobSpec, judged
from protocol.params import SIMNET, Params
from protocol.possession import possession
from protocol.rules import genesis
from protocol.seams import Event
from protocol.signing import public_key
from settlement.models.pots import pot_id
from tasks.board import Board
from tasks.entries import PotEntry, UnitEntry

P = SIMNET
BUILDER = b"\x01" * 20
HYPER = Hyper(
    8,
    16,
    ("q_proj",),
    P.steps,
    P.batch,
    P.max_tokens,
    2_000_000,
    10**6,
    7 * 10**5,
    5 * 10**5,
    "fp32",
    1,
)
SPEC = JobSpec(
    name="fair",
    base="integer:tiny",
    base_digest=b"b" * 32,
    start=b"s" * 32,
    datanets=(b"d" * 32,),
    include_private=False,
    rounds=P.rounds,
    workers=P.workers,
    escrow=terms.least_escrow(P, P.rounds, P.workers),
    unit_pay=P.unit_pay,
    rule_version=1,
    hyper=HYPER,
    builder=BUILDER,
)


class Node:
    """What ``jobs`` reads of a context, fed by events."""

    def __init__(self, *specs: JobSpec, owners: tuple[bytes, ...] = (BUILDER,)) -> None:
        self.board = Board((), 1)
        self.mail = SimpleNamespace(
            bodies=lambda kind: list(specs), arrived=lambda kind: len(specs)
        )
        self.network = SimpleNamespace(committee=())
        self.params, self.private, self.told = P, dict[str, Any](), list[PeerError]()
        self.head = SimpleNamespace(time=0, number=0)
        self.block = 0
        for index, owner in enumerate(owners):
            self.emit("OwnerRegistered", index=index, operator=owner, payout=owner)

    def emit(self, name: str, **args: Any) -> None:
        self.block += 1
        texts = {
            k: checksum(v) if isinstance(v, bytes) and len(v) == 20 else v for k, v in args.items()
        }
        event = Event("", name, texts, self.block, 0, b"t" * 32)
        self.board.apply(event, self.block)

    def fund(self, spec: JobSpec, **changes: Any) -> None:
        facts = {
            "pot": pot_id(checksum(spec.builder), spec.digest),
            "funder": spec.builder,
            "salt": spec.digest,
            "amount": spec.escrow,
            "unitPay": spec.unit_pay,
            "unitSeconds": P.unit_seconds,
            "pool": bytes(32),
            "spec": spec.digest,
        }
        self.emit("PotFunded", **{**facts, **changes})

    def fail(self, stage: str, error: PeerError) -> None:
        self.told.append(error)

    def params_at(self, time: int) -> Params:
        return Context.params_at(self.ctx, time)

    def params_under(self, version: int) -> Params:
        return Context.params_under(self.ctx, version)

    async def beacon(self, height: int) -> bytes:
        return b"beacon" + bytes(26)

    @property
    def ctx(self) -> Context:
        return cast(Context, self)


def test_a_job_cites_the_rules_in_force_when_its_pot_is_funded() -> None:
    later = replace(genesis(P), samples=4, unit_pay=P.unit_pay // 2)
    for version, start, fits in ((1, 10, True), (2, 10, False), (1, 2, False), (2, 2, True)):
        pay = later.unit_pay if version == 2 else P.unit_pay
        spec = replace(SPEC, rule_version=version, unit_pay=pay)
        node = Node(spec)
        node.emit("RulesAppended", version=1, start=0, rules=genesis(P).astuple())
        node.emit("RulesAppended", version=2, start=start, rules=later.astuple())
        node.fund(spec)  # in block and second 4
        assert [job.spec for job in jobs.jobs(node.ctx)] == [spec] * fits
        assert bool(node.told) is not fits


def taken(spec: JobSpec, **changes: Any) -> bool:
    node = Node(spec)
    node.fund(spec, **changes)
    return bool(jobs.jobs(node.ctx))


# -- terms ---


def test_a_job_within_the_terms_is_taken() -> None:
    assert taken(SPEC)
    assert taken(replace(SPEC, rounds=1, workers=1))


@pytest.mark.parametrize(
    "broken",
    [
        {"rounds": 0},
        {"rounds": -1},
        {"rounds": P.rounds + 1},
        {"rounds": 10**9},
        {"workers": 0},
        {"workers": P.workers + 1},
        {"unit_pay": P.unit_pay - 1},
        {"escrow": SPEC.escrow - 1},
        {"rule_version": 2},
        {"hyper": replace(HYPER, steps=P.steps + 1)},
        {"hyper": replace(HYPER, batch=P.batch + 1)},
        {"hyper": replace(HYPER, max_tokens=10**9)},
        {"hyper": replace(HYPER, rank=0)},
        {"hyper": replace(HYPER, lr_nano=2**250)},
        {"hyper": replace(HYPER, targets=())},
        {"hyper": replace(HYPER, dtype="fp8")},
    ],
)
def test_a_spec_that_breaks_the_parameters_is_ignored(broken: dict[str, Any]) -> None:
    assert not taken(replace(SPEC, **broken))


@pytest.mark.parametrize(
    "broken",
    [
        {"amount": SPEC.escrow - 1},
        {"unitPay": P.unit_pay + 1},
        {"unitSeconds": 10 * P.unit_seconds},
        {"pot": b"another pot".ljust(32)},
    ],
)
def test_a_pot_that_differs_from_its_spec_is_ignored(broken: dict[str, Any]) -> None:
    assert not taken(SPEC, **broken)


def test_an_unregistered_builder_has_no_job_until_it_registers() -> None:
    node = Node(SPEC, owners=())
    node.fund(SPEC)
    assert jobs.jobs(node.ctx) == []
    node.emit("OwnerRegistered", index=0, operator=BUILDER, payout=BUILDER)
    assert len(jobs.jobs(node.ctx)) == 1


def test_an_ignored_job_is_told_once_with_its_reason() -> None:
    spec = replace(SPEC, rounds=0)
    node = Node(spec)
    node.fund(spec)
    for _ in range(3):
        assert jobs.jobs(node.ctx) == []
    assert [error.code for error in node.told] == ["bad-job"]
    assert "rounds must be 1 to 2" in node.told[0].text


def test_the_least_escrow_pays_every_unit_after_contributors_and_lineage() -> None:
    for rounds, workers in ((1, 1), (2, 3), (7, 13)):
        least = terms.least_escrow(P, rounds, workers)
        left = least - least * (P.contributors_bps + P.model_owner_bps) // 10_000
        assert left >= rounds * workers * P.unit_pay


# -- the committee ---

WORKER, ACCUSER, *OTHERS = (bytes([n]) * 20 for n in range(10, 18))
UNIT = b"u" * 32


async def test_a_committee_is_drawn_among_the_slashers_seats() -> None:
    node = Node()
    everyone = (WORKER, ACCUSER, *OTHERS)
    for operator in everyone:
        bits, seed = roles.mask(("verifier",)).to_bytes(32, "big"), operator.ljust(32)
        entries = (("node-proof", *possession(seed, operator)), ("node", public_key(seed), bits))
        for kind, subject, value in entries:
            said = {"subject": subject, "operator": operator, "value": value}
            node.emit("Committed", topic=topic(kind), **said)
        node.emit("StakeDeposited", operator=operator, amount=P.min_stake + P.accuser_stake)
    node.network.committee = (WORKER, ACCUSER, *OTHERS[:3])
    pot = PotEntry(b"p" * 32, BUILDER, 1, 1, 1, SPEC.digest, node.block, 0)
    unit = UnitEntry(UNIT, pot.pot, WORKER, 1, 1, root=b"r" * 32, anchor_block=1, anchor_time=1)
    node.board.units[UNIT] = unit
    job = Job(SPEC, pot)
    drawn = jobs.all_verifiers(await jobs.samples(node.ctx, job, unit))
    accuser = drawn[0]
    node.emit(
        "Committed", topic=judged("verdict", "A"), subject=UNIT, operator=accuser, value=b"v" * 32
    )
    assert await jobs.committee(node.ctx, job, unit) == ()  # no stake stands behind that
    node.emit(
        "Accused",
        unit=UNIT,
        accuser=accuser,
        finding=topic("A"),
        evidence=b"v" * 32,
        lockedUntil=9,
    )
    members = await jobs.committee(node.ctx, job, unit)
    assert len(members) == P.committee
    assert set(members) <= {ACCUSER, *OTHERS[:3]} - {accuser}


# -- silence ---


class Looking(Node):
    """A node that fetches from a worker which is there or not."""

    silent = True
    failures = 0  # that still come before an answer

    async def fetch(self, blob: bytes, *first: bytes) -> bytes:
        self.failures -= 1
        if self.silent or self.failures >= 0:
            raise PeerError("timeout", "no answer")
        return b"body"

    async def look(self, time: int, *, silent: bool) -> None:
        self.head.time, self.silent = time, silent
        await reveals.fetch(self.ctx, UnitEntry(UNIT, b"p" * 32, WORKER, 1, 1), b"blob")


async def test_silence_is_a_finding_after_a_third_of_the_judging_time() -> None:
    node, patience = Looking(), P.judge_seconds // 3
    for time in (0, 1, patience - 1):
        with pytest.raises(PeerError, match="timeout"):
            await node.look(time, silent=True)
    with pytest.raises(reveals.Withheld):
        await node.look(patience, silent=True)


async def test_a_lost_try_before_an_answer_ends_no_patience() -> None:
    node = Looking()
    with pytest.raises(PeerError, match="timeout"):
        await node.look(0, silent=True)
    node.failures = reveals.TRIES - 1  # the next time the last try succeeds
    await node.look(P.judge_seconds, silent=False)
    with pytest.raises(PeerError, match="timeout"):
        await node.look(2 * P.judge_seconds, silent=True)


async def test_an_answer_ends_the_silence() -> None:
    node, patience = Looking(), P.judge_seconds // 3
    with pytest.raises(PeerError, match="timeout"):
        await node.look(0, silent=True)
    await node.look(10, silent=False)
    with pytest.raises(PeerError, match="timeout"):
        await node.look(patience + 5, silent=True)
