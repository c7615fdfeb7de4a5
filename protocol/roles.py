"""What a node may do, as bits of the value it registers on chain."""

from collections.abc import Iterable

BITS = {"contributor": 1, "worker": 2, "verifier": 4, "aggregator": 8, "host": 16, "seed": 32}


def mask(roles: Iterable[str]) -> int:
    """Bits of role names. Raises ValueError naming an unknown role."""
    total = 0
    for role in roles:
        if role not in BITS:
            raise ValueError(f"unknown role {role!r}; known: {', '.join(BITS)}")
        total |= BITS[role]
    return total


def names(bits: int) -> tuple[str, ...]:
    """Role names of a bit mask, in the table's order."""
    return tuple(name for name, bit in BITS.items() if bits & bit)


def has(bits: int, role: str) -> bool:
    return bool(bits & BITS[role])
