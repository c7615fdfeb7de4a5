"""Presets keep the rails, and any change moves the hash."""

from dataclasses import fields, replace

import pytest

from protocol.errors import OperatorError
from protocol.params import MAINNET, PRESETS, SIMNET, differences, preset


def test_known_presets_by_name() -> None:
    assert set(PRESETS) == {"mainnet", "devnet", "simnet"}
    assert preset("simnet") is SIMNET
    with pytest.raises(OperatorError, match="mainnet, devnet, simnet"):
        preset("nope")


@pytest.mark.parametrize(
    "change",
    [
        {"samples": 1},
        {"verifiers": 1},
        {"contributors_bps": 9_500},
        {"unit_stake": 1},
        {"committee_quorum": 1},
    ],
)
def test_rails(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="simnet"):
        replace(SIMNET, **change)


def test_every_field_is_in_the_hash() -> None:
    seen = {SIMNET.hash}
    for field in fields(SIMNET):
        value = getattr(SIMNET, field.name)
        other = replace_unchecked(field.name, value + 1 if isinstance(value, int) else "x")
        seen.add(other.hash)
    assert len(seen) == len(fields(SIMNET)) + 1


def replace_unchecked(name: str, value: object) -> object:
    import copy

    other = copy.copy(SIMNET)
    object.__setattr__(other, name, value)
    return other


def test_differences_name_both_sides() -> None:
    assert differences(SIMNET)["steps"] == (8, MAINNET.steps)
    assert differences(MAINNET) == {}
