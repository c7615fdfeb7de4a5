"""Unfolding the board: what a reorganised chain took was never there."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import ChainError
from tasks.board import SETTLED, Board
from tests.tasks.test_board import ANN, BOB, CYD, DATANET, OTHER, POT, UNIT, VALUE, Chain


def told(chain: Chain) -> None:
    """A history that touches entries of every kind that later events change."""
    chain.found()
    chain.emit("StakeDeposited", operator=ANN, amount=50)
    pot = {"unitPay": 1, "unitSeconds": 9, "spec": VALUE}
    chain.emit("PotFunded", pool=bytes(32), pot=POT, funder=BOB, amount=5, **pot)
    chain.emit("UnitReserved", unit=UNIT, pot=POT, operator=ANN, deadline=2_000)
    chain.emit("UnitAnchored", unit=UNIT, root=VALUE, adapter=OTHER)
    chain.post("verdict/ok", UNIT, BOB)
    chain.post("shard", DATANET, BOB, OTHER)
    chain.post("reveal", OTHER, BOB)
    chain.post("topic", VALUE, ANN)
    chain.emit("UnitReleased", unit=UNIT, reason=SETTLED)
    chain.emit("PayoutChanged", index=0, payout=CYD)
    chain.emit("PotDrawn", pot=POT, epoch=1, amount=5)
    chain.emit("Slashed", operator=ANN, unit=UNIT, amount=20, evidence=VALUE, reporter=BOB)
    chain.emit("Nothing")


def shown(board: Board) -> dict[str, Any]:
    """Everything a reader could see; empty lists that a look has made are nothing."""
    state = {k: v for k, v in vars(board).items() if k not in ("_folded", "changes")}
    return {
        k: {i: e for i, e in v.items() if e} if isinstance(v, dict) else v for k, v in state.items()
    }


@given(st.integers(0, 16))
def test_unfolding_leaves_what_was_there_then(block: int) -> None:
    whole = Chain()
    told(whole)
    short = Chain()
    for event, time in whole.board._folded[:block]:
        short.board.apply(event, time)
    held = whole.board
    held.unfold(block)
    assert shown(held) == shown(short.board)
    assert held._folded == short.board._folded


def test_what_was_unfolded_can_be_folded_in_another_order() -> None:
    chain = Chain()
    chain.own(ANN, BOB)
    chain.board.unfold(0)
    chain.own(BOB, ANN)
    assert chain.board.owners == [BOB, ANN]


def test_an_event_that_cannot_be_is_the_endpoint_s_fault() -> None:
    for name, args in (
        ("OwnerRegistered", {"index": 1, "operator": ANN, "payout": ANN}),
        ("UnitAnchored", {"unit": UNIT, "root": VALUE, "adapter": OTHER}),
        ("PotDrawn", {"pot": POT, "epoch": 1}),
    ):
        with pytest.raises(ChainError) as caught:
            Chain().emit(name, **args)
        assert caught.value.code == "impossible-event"


def test_a_look_again_is_due_after_an_unfolding_too() -> None:
    chain = Chain()
    told(chain)
    chain.emit("Claimed", pool=bytes(32), index=0, payout=ANN, amount=9)
    seen = chain.board.changes
    assert chain.board.claimed(0) == 9
    chain.board.unfold(0)
    assert chain.board.changes > seen and chain.board.claimed(0) == 0
