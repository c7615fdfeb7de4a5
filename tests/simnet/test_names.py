"""An outsider registers what it sees before its maker does: it gets assets that nobody asks for."""

from dataclasses import replace
from typing import Any

from node.jobs import PRIVATE
from protocol.ids import datanet_id, model_id
from protocol.params import SIMNET
from protocol.seams import Chain, TxReceipt
from simnet.world import Member
from tests.simnet.story import DEMO, FIVE, told

ALL_BPS = 10_000


class Squatter:
    """Sees what ann sends before it is mined, and has the same content registered first, by hand."""

    def __init__(self) -> None:
        self.key = b""
        self.took: list[bytes] = []

    def own(self, chain: Chain) -> Chain:
        """The outsider's chain."""
        return Listening(chain, self._learn_key)

    def victim(self, chain: Chain) -> Chain:
        """The chain of whom it watches."""

        async def first(key: bytes, contract: str, function: str, args: tuple[Any, ...]) -> None:
            more = {"registerDatanet": (PRIVATE,), "registerModel": ((), ALL_BPS)}.get(function)
            if more is not None:
                await chain.write(self.key, contract, function, args[0], *more)
                self.took.append(args[0])

        return Listening(chain, first)

    async def _learn_key(self, key: bytes, *call: Any) -> None:
        self.key = key


class Listening:
    """A chain client before each of whose transactions somebody acts."""

    def __init__(self, chain: Chain, first: Any) -> None:
        self._chain, self._first = chain, first

    def __getattr__(self, name: str) -> Any:
        return getattr(self._chain, name)

    async def write(self, key: bytes, contract: str, function: str, *args: Any) -> TxReceipt:
        await self._first(key, contract, function, args)
        return await self._chain.write(key, contract, function, *args)


SQUATTER = Squatter()
ANN, *OTHERS = FIVE[:4]
SQUATTED = replace(
    DEMO,
    members=(
        replace(ANN, posts=SQUATTER.victim),
        *OTHERS,
        Member("sam", ("contributor",), posts=SQUATTER.own),
    ),
    params=replace(SIMNET, rounds=1),
)


def test_a_datanet_keeps_its_class_and_a_builder_its_part_of_the_fees() -> None:
    ended = told(SQUATTED)
    ann, sam = (ended.nodes[name].operator for name in ("ann", "sam"))
    *manifests, adapter = SQUATTER.took
    assert len(manifests) == 2  # everything that ann registered, sam registered first
    board = ended.nodes["bob"].board
    for manifest in manifests:
        own, theirs = (board.datanets[datanet_id(who, manifest)] for who in (ann, sam))
        assert (own.founder, own.data_class) == (ann, 0)
        assert (theirs.founder, theirs.data_class) == (sam, PRIVATE)
        assert datanet_id(ann, manifest) in ended.job.spec.datanets
    assert board.models == {
        model_id(sam, adapter): ended.owner["sam"],
        model_id(ann, adapter): ended.owner["ann"],
    }
    (receipt,) = ended.receipts
    assert receipt.model == model_id(ann, adapter)
    (fee,) = board.fees
    assert fee.owner == receipt.fee * SIMNET.fee_owner_bps // ALL_BPS > 0
    claims = ended.claimed["ann"]
    assert ended.payout["ann"] == (0, claims + fee.owner)
    assert ended.payout["sam"] == (0, 0) and ended.claimed["sam"] == 0
