"""One suite for every Randomness, and what only the seeded one promises."""

from collections.abc import Callable

import pytest

from node.doors import SystemRandomness
from protocol.seams import Randomness
from simnet.seams import SeededRandomness

SOURCES: dict[str, Callable[[], Randomness]] = {
    "system": SystemRandomness,
    "seeded": lambda: SeededRandomness(b"seed"),
}


@pytest.fixture(params=SOURCES)
def randomness(request: pytest.FixtureRequest) -> Randomness:
    return SOURCES[request.param]()


@pytest.mark.parametrize("size", [0, 1, 32, 1000])
def test_a_token_has_its_size(randomness: Randomness, size: int) -> None:
    assert len(randomness.token(size)) == size


def test_no_token_comes_twice(randomness: Randomness) -> None:
    tokens = {randomness.token(16) for _ in range(1000)}
    assert len(tokens) == 1000


def test_bits_are_even(randomness: Randomness) -> None:
    ones = int.from_bytes(randomness.token(12_500), "big").bit_count()
    assert abs(ones - 50_000) < 1_500  # nine standard deviations


def test_a_seed_repeats_and_seeds_differ() -> None:
    first, again = SeededRandomness(b"a"), SeededRandomness(b"a")
    drawn = [first.token(32) for _ in range(3)]
    assert drawn == [again.token(32) for _ in range(3)]
    assert SeededRandomness(b"b").token(32) not in drawn
