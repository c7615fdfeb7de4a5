"""Recipes: what is refused, and the amount of OPEN to the last unit."""

from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.actions import amount, read_recipe
from protocol.errors import OperatorError
from protocol.params import OPEN, SIMNET

GOOD = {"name": '"j"', "base": '"integer:tiny"', "datanets": '["kjv"]', "escrow": '"1000"'}
CTX: Any = SimpleNamespace(params=SIMNET)


def recipe(**changes: str) -> str:
    train = changes.pop("train", "")
    lines = [f"{key} = {value}" for key, value in (GOOD | changes).items()]
    return "\n".join([*lines, *([f"train = {train}"] if train else [])])


def test_a_recipe_takes_the_networks_numbers() -> None:
    table, made = read_recipe(CTX, recipe(train="{ lr = 0.05 }"))
    assert (table["name"], made.lr, made.steps) == ("j", 0.05, SIMNET.steps)


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"train": "5"}, "'train' must be a table"),
        ({"train": "{ lr = nan }"}, "lr"),
        ({"train": "{ steps = 9 }"}, "steps is 8 on this network"),
        ({"datanets": "[1]"}, "list of names"),
        ({"datanets": "[]"}, "1 to 16 Datanets"),
        ({"datanets": '["kjv", "kjv"]'}, "each once"),
        ({"datanets": '"kjv"'}, "'datanets' must be given, as list"),
        ({"include_private": '"no"'}, "true or false"),
        ({"name": '""'}, "'name' must have 1 to 128"),
        ({"base": f'"{"b" * 513}"'}, "'base' must have 1 to 512"),
        ({"escrow": "5"}, "'escrow' must be given, as str"),
        ({"colour": "1"}, "Unknown key 'colour'"),
        ({"name": "["}, "not TOML"),
    ],
)
def test_each_fault_of_a_recipe_is_named(changes: dict[str, str], what: str) -> None:
    with pytest.raises(OperatorError, match=what) as refusal:
        read_recipe(CTX, recipe(**changes))
    assert refusal.value.code == "bad-recipe"


@pytest.mark.parametrize(
    "text",
    ["NaN", "sNaN", "Infinity", "-1", "0", "1e400", "1e-19", "1e-400", "ten", "", "1e999999999"],
)
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(OperatorError, match="OPEN"):
        amount(text)


@given(st.integers(1, 10**48 - 1))
def test_an_amount_is_exact_to_its_smallest_unit(units: int) -> None:
    assert amount(f"{units // OPEN}.{units % OPEN:018}") == units
