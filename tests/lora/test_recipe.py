"""Recipes: round trips, and errors that name the field."""

import tomllib
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lora.recipe import Recipe
from protocol.errors import OperatorError


def test_defaults_round_trip() -> None:
    recipe = Recipe()
    assert Recipe.from_table(recipe.to_table()) == recipe
    assert Recipe.from_hyper(recipe.to_hyper()) == recipe


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 10**9), st.integers(1, 10**12), st.integers(0, 999_000))
def test_hyper_round_trip_is_exact(lr_nano: int, clip_micro: int, momentum_micro: int) -> None:
    """Every node derives the same floats from the hashed integers, and the integers back."""
    recipe = Recipe(lr=lr_nano / 1e9, clip=clip_micro / 1e6, outer_momentum=momentum_micro / 1e6)
    hyper = recipe.to_hyper()
    assert (hyper.lr_nano, hyper.clip_micro) == (lr_nano, clip_micro)
    assert Recipe.from_hyper(hyper).to_hyper() == hyper
    assert Recipe.from_hyper(hyper).lr_table == recipe.lr_table


def test_from_toml() -> None:
    text = 'rank = 4\nlr = 1\ntargets = ["q_proj"]\n'
    assert Recipe.from_table(tomllib.loads(text)) == Recipe(rank=4, lr=1.0, targets=("q_proj",))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("rank", 0),
        ("rank", "8"),
        ("rank", True),
        ("lr", 0.0),
        ("lr", float("nan")),
        ("lr", 2.0),
        ("steps", 0),
        ("max_tokens", 1),
        ("outer_momentum", 1.0),
        ("dtype", "fp8"),
        ("targets", []),
        ("targets", ["q", "q"]),
        ("targets", ["a,b"]),
        ("targets", "q_proj"),
        ("learning_rate", 1e-3),
    ],
)
def test_a_bad_value_names_its_field(name: str, value: Any) -> None:
    with pytest.raises(OperatorError, match=rf"bad-recipe: {name}: .*Correct it in the recipe\."):
        Recipe.from_table({name: value})


def test_the_rate_warms_up() -> None:
    table = Recipe(lr=3e-3, steps=5).lr_table
    assert table == pytest.approx((1e-3, 2e-3, 3e-3, 3e-3, 3e-3))
