"""Paid answers between a payer and a host over a simulated chain; the model behind them is a stand-in."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
import trio

from node import pay, receipts, serve, tabs
from node.context import Context
from protocol.codec import pack
from protocol.errors import OperatorError, PeerError
from protocol.ids import content_id
from protocol.messages import RECEIPT, RECEIPT_CHECK, InferAnswer, InferRequest, Receipt
from protocol.params import SIMNET
from protocol.seams import Transport
from simnet.seams import run_world
from simnet.world import Member, World, running

PAIR = (
    Member("ann", ("aggregator", "verifier"), open_tokens=100),
    Member("bob", ("host", "verifier")),
)
PRICE = SIMNET.price_per_token
MODEL, OTHER = content_id(b"model"), content_id(b"other")
TOKENS = 3  # of every answer


@dataclass
class Model:
    """Counts what was computed."""

    made: list[bytes] = field(default_factory=list)

    async def make(self, ctx: Context, found: Any, asked: InferRequest) -> Receipt:
        await ctx.seams.clock.sleep(1.0)
        self.made.append(asked.request)
        return signed(ctx, asked)


def signed(ctx: Context, asked: InferRequest, **changes: Any) -> Receipt:
    unsigned = Receipt(
        request=asked.request,
        job=bytes(32),
        model=asked.model,
        base_digest=bytes(32),
        lineage=(),
        host=ctx.operator,
        channel=asked.channel,
        rule_version=1,
        fee=TOKENS * PRICE,
        prompt=asked.prompt,
        answer="so it is",
        base_answer="",
        max_tokens=asked.max_tokens,
        tokens=TOKENS,
        scores=(),
        records=(),
        spans=(),
        signature=bytes(65),
    )
    unsigned = replace(unsigned, **changes)
    return replace(unsigned, signature=ctx.sign(receipts.root_of(unsigned)))


class Losing:
    """A transport that loses the first ``count`` exchanges of a protocol, before or after the host."""

    def __init__(self, inner: Transport, protocol: str, count: int, *, heard: bool) -> None:
        self._inner, self._protocol, self.left, self._heard = inner, protocol, count, heard

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def request(self, peer: str, protocol: str, body: bytes, **how: Any) -> bytes:
        lost = protocol == self._protocol and self.left > 0
        self.left -= lost
        if not lost or self._heard:
            answer = await self._inner.request(peer, protocol, body, **how)
        if lost:
            raise PeerError("timeout", "lost")
        return answer


def lose(ctx: Context, protocol: str, count: int, *, heard: bool) -> Losing:
    losing = Losing(ctx.seams.transport, protocol, count, heard=heard)
    ctx.seams = replace(ctx.seams, transport=losing)
    return losing


Scene = Callable[[World, Context, Context], Awaitable[None]]


@pytest.fixture
def model(monkeypatch: pytest.MonkeyPatch) -> Model:
    async def servable(ctx: Context, wanted: bytes) -> Any:
        return SimpleNamespace()

    model = Model()
    monkeypatch.setattr(serve, "attributed_job", servable)
    monkeypatch.setattr(receipts, "make", model.make)
    return model


def play(scene: Scene) -> None:
    async def main() -> None:
        async with running(PAIR, SIMNET, b"serve") as world:
            ann, bob = world.nodes["ann"], world.nodes["bob"]
            await world.clock.sleep(15)  # until the treasury has paid ann
            await scene(world, ann, bob)

    run_world(main, seed=1)


def paid(ctx: Context) -> int:
    return sum(used.amount for used in ctx.board.used)


async def claimed(world: World, ctx: Context, amount: int, seconds: float = 15) -> None:
    await world.until(lambda: paid(ctx) == amount, seconds, f"{amount} is not claimed")


def test_an_answer_costs_its_tokens(model: Model) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        blob, receipt = await pay.ask(ann, MODEL, "why?", 16)
        assert (receipt.answer, receipt.host) == ("so it is", bob.operator)
        await claimed(world, ann, TOKENS * PRICE)
        (post,) = ann.board.posted(RECEIPT, MODEL)
        assert post.value == blob
        assert post.block < ann.board.used[0].block

    play(scene)


def test_a_lost_answer_is_asked_for_again_and_paid_once(model: Model) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        lose(ann, tabs.INFER_PROTOCOL, pay.TRIES, heard=True)
        with pytest.raises(PeerError, match="lost"):
            await pay.ask(ann, MODEL, "why?", 16)
        _, receipt = await pay.ask(ann, MODEL, "why?", 16)
        assert model.made == [receipt.request]
        _, other = await pay.ask(ann, MODEL, "why?", 16)
        assert model.made == [receipt.request, other.request]
        await claimed(world, ann, 2 * TOKENS * PRICE)

    play(scene)


def test_no_answer_before_the_last_is_acknowledged_and_its_ceiling_is_claimed(model: Model) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        losing = lose(ann, tabs.VOUCHER_PROTOCOL, 1_000, heard=False)
        await pay.ask(ann, MODEL, "why?", 16)
        with pytest.raises(PeerError, match="lost"):
            await pay.ask(ann, MODEL, "and?", 16)
        (channel,) = bob.board.channels
        again = InferRequest(b"r" * 32, MODEL, "and?", 16, channel, 1, 1, bytes(65))
        with pytest.raises(PeerError) as refusal:
            await serve.serve_infer(bob, "", pack(again))
        assert refusal.value.code == "unacknowledged"
        assert paid(ann) == 0
        await claimed(world, ann, 16 * PRICE, serve.ACKNOWLEDGE_S + 15)  # not 2 x 16
        losing.left = 0
        await pay.ask(ann, MODEL, "and?", 16)
        await claimed(world, ann, (16 + TOKENS) * PRICE)

    play(scene)


def test_models_share_a_channel_and_questions_wait_for_each_other(model: Model) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        async with trio.open_nursery() as nursery:
            for each in (MODEL, OTHER, MODEL):
                nursery.start_soon(pay.ask, ann, each, "why?", 16)
        assert len(bob.board.channels) == 1
        await claimed(world, ann, 3 * TOKENS * PRICE)
        used = {a: sum(u.amount for u in ann.board.used if u.asset == a) for a in (MODEL, OTHER)}
        assert used == {MODEL: 2 * TOKENS * PRICE, OTHER: TOKENS * PRICE}
        assert "SpentAboveCeiling" not in bob.failures

    play(scene)


def test_a_channel_that_its_payer_closes_is_followed_by_another(model: Model) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        await pay.ask(ann, MODEL, "why?", 16)
        await claimed(world, ann, TOKENS * PRICE)
        (first,) = ann.board.channels
        receipt = await ann.write("InferenceChannels", "startClose", first)
        await ann.reached(receipt.block)
        await pay.ask(ann, MODEL, "and?", 16)
        await claimed(world, ann, 2 * TOKENS * PRICE)
        assert [c.closing for c in ann.board.channels.values()] == [True, False]

    play(scene)


def test_a_deposit_that_does_not_suffice_is_topped_up(model: Model) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        await pay.ask(ann, MODEL, "why?", 3)
        most = pay.DEPOSIT_ANSWERS * 3 + 1
        await pay.ask(ann, MODEL, "why?", most)
        (channel,) = ann.board.channels.values()
        assert channel.deposit == pay.DEPOSIT_ANSWERS * (3 + most) * PRICE

    play(scene)


@pytest.mark.parametrize(
    ("prompt", "tokens"), [("why?", 0), ("why?", -5), ("why?", 2_049), (" ", 3)]
)
def test_neither_side_has_to_do_with_an_empty_or_boundless_request(
    prompt: str, tokens: int
) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        with pytest.raises(OperatorError, match="1 to"):
            await pay.ask(ann, MODEL, prompt, tokens)
        asked = InferRequest(bytes(32), MODEL, prompt, tokens, bytes(32), 0, 1, bytes(65))
        with pytest.raises(PeerError) as refusal:
            await serve.serve_infer(bob, "", pack(asked))
        assert refusal.value.code == "bad-request"

    play(scene)


def test_a_refusal_says_what_the_host_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        with pytest.raises(PeerError, match="refused: unknown-model"):
            await pay.ask(ann, MODEL, "why?", 16)

    play(scene)


def test_a_payer_without_coins_is_told_what_to_do(model: Model) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        with pytest.raises(OperatorError, match="Send OPEN to this node's operator 0x"):
            await pay.ask(ann, MODEL, "why?", 2_048)

    play(scene)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request": b"o" * 32}, "bad-receipt"),
        ({"prompt": "what?"}, "bad-receipt"),
        ({"model": OTHER}, "bad-receipt"),
        ({"host": b"h" * 20}, "bad-receipt"),
        ({"fee": 4 * PRICE}, "overcharged"),
        ({"tokens": 17, "fee": 17 * PRICE}, "overcharged"),
        ({}, ""),
    ],
)
def test_the_payer_acknowledges_only_the_receipt_of_its_request(
    changes: dict[str, Any], code: str
) -> None:
    async def scene(world: World, ann: Context, bob: Context) -> None:
        asked = InferRequest(b"r" * 32, MODEL, "why?", 16, b"c" * 32, 16 * PRICE, 1, bytes(65))
        receipt = signed(bob, asked, **changes)
        answer = InferAnswer(content_id(pack(receipt)), receipt.fee, 5 + receipt.fee)
        if not code:
            pay.check(ann, asked, answer, receipt, bob.operator, 5)
            return
        with pytest.raises(PeerError) as refusal:
            pay.check(ann, asked, answer, receipt, bob.operator, 5)
        assert refusal.value.code == code

    play(scene)


def test_verifiers_run_only_receipts_that_a_deposit_covers(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = SimpleNamespace(model=MODEL)

    async def finished(ctx: Context) -> list[Any]:
        return [item]

    async def attributed(ctx: Context, item: Any) -> Any:
        return SimpleNamespace(item=item)

    async def same(*args: Any) -> bool:
        return True

    async def drawn(ctx: Context, found: Any, post: Any) -> tuple[bytes, ...]:
        return tuple(ctx.board.owners)

    for name, stand_in in (("finished_jobs", finished), ("attributed", attributed)):
        monkeypatch.setattr(receipts, name, stand_in)
    monkeypatch.setattr(receipts, "_same", same)
    monkeypatch.setattr(receipts, "receipt_checkers", drawn)

    async def scene(world: World, ann: Context, bob: Context) -> None:
        good, _ = await pay.ask(ann, MODEL, "why?", 3)
        (channel,) = ann.board.channels
        asked = InferRequest(b"r" * 32, MODEL, "why?", 2_000, channel, 0, 1, bytes(65))
        large = {"tokens": 298, "fee": 298 * PRICE}  # each below the deposit, not together
        for fake in (
            signed(bob, replace(asked, channel=b"n" * 32)),
            signed(bob, asked, fee=0, tokens=0),
            signed(bob, asked, **large),
            signed(ann, asked),
        ):
            await bob.post(RECEIPT, MODEL, bob.put(fake))
        await world.until(lambda: len(ann.board.posted(RECEIPT, MODEL)) == 5, 20, "no receipts")
        await world.clock.sleep(20)
        judged = [
            p.value for p in ann.board.posted(RECEIPT, MODEL) if ann.mine(RECEIPT_CHECK, p.value)
        ]
        assert judged == [good]

    play(scene)
