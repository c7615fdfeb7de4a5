"""Assets on the board: one content, and as many Datanets and models of it as operators registered."""

from collections.abc import Callable
from typing import Any

import pytest

from protocol.errors import ChainError
from protocol.ids import datanet_id, model_id
from tasks.entries import DatanetEntry
from tests.tasks.test_board import ANN, BOB, CONTENT, DATANET, Chain


def test_a_datanet_is_its_founder_s_whoever_registers_its_content() -> None:
    chain = Chain()
    chain.found(data_class=2)
    other = datanet_id(BOB, CONTENT)
    chain.emit("DatanetRegistered", id=other, owner=1, content=CONTENT, dataClass=0)
    assert chain.board.datanets == {
        DATANET: DatanetEntry(ANN, CONTENT, 2),
        other: DatanetEntry(BOB, CONTENT, 0),
    }


def test_a_model_is_its_builder_s_whoever_registers_its_content() -> None:
    chain = Chain()
    chain.own(ANN, BOB)
    more = {"content": CONTENT, "lineage": (), "royaltyBps": 0}
    for owner, operator in ((1, BOB), (0, ANN)):  # the stranger comes first
        chain.emit("ModelRegistered", id=model_id(operator, CONTENT), owner=owner, **more)
    assert chain.board.models == {model_id(ANN, CONTENT): 0, model_id(BOB, CONTENT): 1}


@pytest.mark.parametrize(
    ("event", "id_of", "more"),
    [
        ("DatanetRegistered", datanet_id, {"dataClass": 0}),
        ("ModelRegistered", model_id, {"lineage": (), "royaltyBps": 0}),
    ],
)
def test_an_id_of_another_s_asset_is_no_event_of_our_contracts(
    event: str, id_of: Callable[[bytes, bytes], bytes], more: dict[str, Any]
) -> None:
    chain = Chain()
    chain.own(ANN, BOB)
    with pytest.raises(ChainError) as caught:
        chain.emit(event, id=id_of(ANN, CONTENT), owner=1, content=CONTENT, **more)
    assert caught.value.code == "impossible-event"
    assert not chain.board.datanets and not chain.board.models
