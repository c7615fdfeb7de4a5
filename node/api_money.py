"""The loopback API's routes for coins: stake, pots, channels, claims for many, challenges, the chain."""

from typing import Annotated

from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from node.facade import Json, NodeFacade

Text = Annotated[str, Field(min_length=1, max_length=128)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AmountBody(_Body):
    """POST /stake, /unstake; ``amount`` is OPEN as decimal text."""

    amount: Text


class FundBody(AmountBody):
    """POST /pots/fund."""

    pot: Text


class OpenBody(AmountBody):
    """POST /channels/open; ``host`` is an operator's address.

    ``rate`` in OPEN makes it a channel for hosting, paid for each period of ``every`` seconds.
    """

    host: Text
    rate: Annotated[str, Field(max_length=64)] = ""
    every: int = 86_400


class TopUpBody(AmountBody):
    """POST /channels/top-up."""

    channel: Text


class CloseBody(_Body):
    """POST /channels/close."""

    channel: Text


class ChallengeBody(_Body):
    """POST /challenge."""

    epoch: Annotated[int, Field(ge=1)]
    anyway: bool = False


def add_money(app: FastAPI, facade: NodeFacade) -> None:
    """All routes under /api/v1 that move coins, and the reads beside them."""
    _add_stake(app, facade)
    _add_channels(app, facade)

    @app.post("/api/v1/pots/fund")
    async def fund(body: FundBody) -> Json:
        return await facade.money.fund(body.pot, body.amount)

    @app.post("/api/v1/claim/batch")
    async def batch() -> Json:
        return await facade.money.claim_batch()

    @app.get("/api/v1/review")
    async def review() -> JSONResponse:
        return JSONResponse(await facade.money.review())

    @app.post("/api/v1/challenge")
    async def challenge(body: ChallengeBody) -> Json:
        return await facade.money.challenge(body.epoch, body.anyway)

    @app.get("/api/v1/chain")
    async def chain() -> JSONResponse:
        return JSONResponse(await facade.money.chain())


def _add_stake(app: FastAPI, facade: NodeFacade) -> None:
    @app.get("/api/v1/unbonding")
    async def unbonding() -> JSONResponse:
        return JSONResponse(await facade.money.unbonding())

    @app.post("/api/v1/stake")
    async def stake(body: AmountBody) -> Json:
        return await facade.money.stake(body.amount)

    @app.post("/api/v1/unstake")
    async def unstake(body: AmountBody) -> Json:
        return await facade.money.unstake(body.amount)

    @app.post("/api/v1/withdraw")
    async def withdraw() -> Json:
        return await facade.money.withdraw()


def _add_channels(app: FastAPI, facade: NodeFacade) -> None:
    @app.get("/api/v1/channels")
    async def channels() -> JSONResponse:
        return JSONResponse(await facade.money.channels())

    @app.post("/api/v1/channels/open")
    async def open_channel(body: OpenBody) -> Json:
        return await facade.money.open_channel(body.host, body.amount, body.rate, body.every)

    @app.post("/api/v1/channels/top-up")
    async def top_up(body: TopUpBody) -> Json:
        return await facade.money.top_up(body.channel, body.amount)

    @app.post("/api/v1/channels/close")
    async def close(body: CloseBody) -> Json:
        return await facade.money.close_channel(body.channel)
