"""The governance part of the HTTP API: one read, and an action a body."""

from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict, Field

from node.facade import Json, NodeFacade

AMOUNT = r"^[0-9]+(\.[0-9]+)?$"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class ProposeBody(_Body):
    """POST /govern/propose; ``start`` 0: as soon as may be. Values in the contract's units."""

    changes: dict[str, int] = Field(min_length=1)
    start: int = Field(default=0, ge=0)
    text: str = Field(min_length=1, max_length=4_096)


class GuardianBody(_Body):
    """POST /govern/guardian."""

    address: str = Field(max_length=64)
    text: str = Field(min_length=1, max_length=4_096)


class SuccessorBody(_Body):
    """POST /govern/successor."""

    old: str = Field(max_length=64)
    next: str = Field(max_length=64)
    text: str = Field(min_length=1, max_length=4_096)


class ProposalBody(_Body):
    """POST /govern/queue, /govern/execute; a proposal's number in hex or its beginning."""

    proposal: str = Field(min_length=1, max_length=66)


class VoteBody(ProposalBody):
    """POST /govern/vote."""

    choice: str


class DelegateBody(_Body):
    """POST /govern/delegate; without an address to this operator itself."""

    address: str = Field(default="", max_length=64)


class AmountBody(_Body):
    """POST /govern/wrap, /govern/unwrap; OPEN as a decimal."""

    amount: str = Field(pattern=AMOUNT, max_length=80)


def add_governance(app: FastAPI, facade: NodeFacade) -> None:
    """Routes under /api/v1/govern."""

    @app.get("/api/v1/govern")
    async def governance() -> Json:
        return await facade.governance()

    @app.post("/api/v1/govern/propose")
    async def propose(body: ProposeBody) -> Json:
        return await facade.govern("propose", body.model_dump())

    @app.post("/api/v1/govern/guardian")
    async def guardian(body: GuardianBody) -> Json:
        return await facade.govern("guardian", body.model_dump())

    @app.post("/api/v1/govern/successor")
    async def successor(body: SuccessorBody) -> Json:
        return await facade.govern("successor", body.model_dump())

    @app.post("/api/v1/govern/vote")
    async def vote(body: VoteBody) -> Json:
        return await facade.govern("vote", body.model_dump())

    @app.post("/api/v1/govern/delegate")
    async def delegate(body: DelegateBody) -> Json:
        return await facade.govern("delegate", body.model_dump())

    @app.post("/api/v1/govern/queue")
    async def queue(body: ProposalBody) -> Json:
        return await facade.govern("queue", body.model_dump())

    @app.post("/api/v1/govern/execute")
    async def execute(body: ProposalBody) -> Json:
        return await facade.govern("execute", body.model_dump())

    @app.post("/api/v1/govern/wrap")
    async def wrap(body: AmountBody) -> Json:
        return await facade.govern("wrap", body.model_dump())

    @app.post("/api/v1/govern/unwrap")
    async def unwrap(body: AmountBody) -> Json:
        return await facade.govern("unwrap", body.model_dump())
