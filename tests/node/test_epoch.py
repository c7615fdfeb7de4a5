"""What a seat signs: every proposal that is what it derives itself, and nothing that could hurt it."""

from dataclasses import replace

import pytest

from node import epoch
from node.context import Context
from protocol.codec import pack
from protocol.credit import Share
from protocol.ids import ZERO, content_id
from protocol.messages import DrawEntry, EpochBody, EpochVote, PotShares
from protocol.params import OPEN, SIMNET
from protocol.signing import WIRE_VERSION, Envelope, public_key, seal
from protocol.typed_data import sign
from tests.node import bare

NAMES = ("ann", "bob", "cyd", "dan")
SEATS = NAMES[:3]
NOW = 1_000


def pot(number: int, amount: int = 10, owner: int = 3) -> PotShares:
    subject = content_id(b"pot %d" % number)
    share = Share(owner, "contributor", amount, "influence: 1 of 1")
    return PotShares(subject, "job", subject, amount, (share,), ())


def body(*pots: PotShares, leaves: int = 4) -> EpochBody:
    cumulative = [0] * leaves
    for one in pots:
        cumulative[one.shares[0].owner] += one.amount
    ids = sorted(one.pot for one in pots)
    draws = tuple(DrawEntry(i, next(p.amount for p in pots if p.pot == i)) for i in ids)
    return EpochBody(1, ZERO, 1, draws, pots, tuple(cumulative))


@pytest.fixture
async def ctx() -> Context:
    ctx = bare.node("ann", NAMES, SEATS)
    bare.at(ctx, NOW)
    return ctx


async def due(ctx: Context, monkeypatch: pytest.MonkeyPatch, *pots: PotShares) -> None:
    """Pots that have been derived alike for long enough."""

    async def found(ctx: Context) -> dict[bytes, PotShares]:
        return {one.subject: one for one in pots}

    monkeypatch.setattr(epoch, "due_pots", found)
    bare.at(ctx, NOW - SIMNET.settle_blocks)
    await epoch.firm_pots(ctx)
    bare.at(ctx, NOW)


def vote(ctx: Context, name: str, blob: bytes, signature: bytes, sender: str = "") -> None:
    """A member's vote arrives."""
    seed = bare.keys(sender or name).peer_seed
    envelope = Envelope(
        version=WIRE_VERSION,
        network=ctx.network.id,
        kind="EpochVote",
        author=public_key(seed),
        epoch=0,
        issued=0,
        expires=3_000,
        body=pack(EpochVote(1, blob, signature)),
        signature=bytes(64),
    )
    ctx.mail.accept(pack(seal(envelope, seed)), 1.0)


def propose(ctx: Context, name: str, proposal: EpochBody, sender: str = "") -> bytes:
    """Another's signed proposal arrives; returns its blob id."""
    blob = ctx.put(proposal)
    statement = epoch.statement(ctx, proposal, blob)
    digest = statement.digest(ctx.contract_domain("AttributionPool"))
    vote(ctx, name, blob, sign(bare.keys(name).operator_key, digest), sender)
    return blob


def signed(ctx: Context) -> list[bytes]:
    """Bodies that this node has voted for."""
    own = ctx.seams.transport.peer_id
    return [x.body.body for x in ctx.mail.letters(EpochVote) if x.author == own]


def commits(ctx: Context) -> int:
    chain = ctx.seams.chain
    assert isinstance(chain, bare.Blocks)
    return chain.written.count(("AttributionPool", "commit"))


async def test_it_signs_every_proposal_that_it_derives_itself(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three seats may each propose other pots; what has a quorum is committed."""
    await due(ctx, monkeypatch, pot(1), pot(2))
    ctx.private["due/1.0"] = NOW - epoch.TURN_S  # bob's turn to propose
    blobs = [propose(ctx, "bob", body(pot(1))), propose(ctx, "cyd", body(pot(2)))]
    await epoch.settle_epochs(ctx)
    await epoch.settle_epochs(ctx)
    assert signed(ctx) == blobs
    assert commits(ctx) > 0


async def test_it_does_not_sign_what_it_does_not_derive(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await due(ctx, monkeypatch, pot(1))
    ctx.private["due/1.0"] = NOW - epoch.TURN_S
    propose(ctx, "bob", body(pot(1, amount=11)))
    await epoch.settle_epochs(ctx)
    assert signed(ctx) == []
    assert ctx.failures["epoch-differs"].count == 1


@pytest.mark.parametrize(
    ("proposal", "code"),
    [
        (replace(body(pot(1)), cumulative=()), "bad-epoch"),
        (replace(body(pot(1)), cumulative=(0,) * 5), "bad-epoch"),
        (replace(body(pot(1)), cumulative=(0, 0, 0, -1)), "bad-epoch"),
        (replace(body(pot(1)), cumulative=(2**128, 0, 0, 0)), "bad-epoch"),
        (replace(body(pot(1)), pots=(pot(1), pot(1))), "bad-epoch"),
        (replace(body(pot(1)), epoch=2), "bad-epoch"),
        (replace(body(pot(1)), cumulative=(0, 0)), "too-few-leaves"),
    ],
)
async def test_a_malformed_proposal_is_counted_and_nothing_else(
    ctx: Context, monkeypatch: pytest.MonkeyPatch, proposal: EpochBody, code: str
) -> None:
    await due(ctx, monkeypatch, pot(1))
    ctx.private["due/1.0"] = NOW - epoch.TURN_S
    blob = ctx.put(proposal)
    if code == "bad-epoch":
        vote(ctx, "bob", blob, bytes(65))
    else:
        propose(ctx, "bob", proposal)
    await epoch.settle_epochs(ctx)
    assert signed(ctx) == []
    assert ctx.failures[code].count > 0


async def test_only_seats_make_others_work(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    await due(ctx, monkeypatch, pot(1))
    ctx.private["due/1.0"] = NOW - epoch.TURN_S
    vote(ctx, "dan", content_id(b"nowhere"), bytes(65))  # a stranger's
    propose(ctx, "bob", body(pot(1)), sender="dan")  # a seat's signature in a stranger's envelope
    await epoch.settle_epochs(ctx)
    assert ctx.failures == {}
    propose(ctx, "dan", body(pot(2)), sender="cyd")  # a stranger's signature in a seat's envelope
    await epoch.settle_epochs(ctx)
    assert ctx.failures["unsigned-epoch"].count > 0
    assert signed(ctx) == []


async def test_a_pot_that_the_contract_cannot_take_is_left_out(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await due(ctx, monkeypatch, pot(1), pot(2, amount=10**9 * OPEN))
    await epoch.settle_epochs(ctx)
    assert signed(ctx) == [ctx.put(body(pot(1)))]


async def test_a_reclaimed_pot_stops_no_other(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    await due(ctx, monkeypatch, pot(1))
    monkeypatch.setattr(ctx.seams.chain, "escrow", 9)
    await epoch.settle_epochs(ctx)
    assert signed(ctx) == []


async def test_it_signs_only_what_it_has_derived_alike_for_long_enough(
    ctx: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reorganisation takes back the newest blocks, and must not take back what a signature stands on."""
    ctx.private["due/1.0"] = NOW - epoch.TURN_S
    blobs = [propose(ctx, "bob", body(pot(1, amount))) for amount in (10, 12)]
    await due(ctx, monkeypatch, pot(1))
    await due(ctx, monkeypatch, pot(1, amount=12))
    bare.at(ctx, NOW - 1)
    await epoch.settle_epochs(ctx)
    assert signed(ctx) == []
    bare.at(ctx, NOW)
    await epoch.settle_epochs(ctx)
    assert signed(ctx) == blobs[1:]
