"""Lives of one key: what proves a second one, and which of two has to go."""

from dataclasses import replace

import pytest

from bootstrap.life import ALIVE_SECONDS, NO_LIFE, Life, Lives, alive, proves_another
from protocol.signing import public_key

SEED, OTHER, NETWORK = b"s" * 32, b"o" * 32, b"n" * 32
KEY = public_key(SEED)


def life(session: int, started: int, now: int, seed: bytes = SEED) -> Life:
    return alive(seed, NETWORK, bytes([session]) * 16, started, now)


OURS = life(1, 100, 130)
THEIRS = life(2, 90, 120)  # spoke after we started


def test_the_same_key_heard_elsewhere_since_our_start_is_another_node() -> None:
    assert proves_another(THEIRS, OURS, KEY)


@pytest.mark.parametrize(
    "shown",
    [
        NO_LIFE,
        OURS,
        life(2, 80, 100),  # our own life before this one, replayed
        life(2, 90, 120, seed=OTHER),
        replace(THEIRS, time=125),
        replace(THEIRS, network=bytes(32)),
        alive(SEED, bytes(32), bytes([2]) * 16, 90, 120),  # on another network
    ],
)
def test_nothing_else_proves_it(shown: Life) -> None:
    assert not proves_another(shown, OURS, KEY)


def test_the_younger_is_refused_while_the_elder_is_there() -> None:
    lives, elder = Lives(), life(1, 100, 100)
    assert lives.elder("p", elder, 1, 0.0) is None
    assert lives.elder("p", life(2, 150, 150), 2, 5.0) == elder
    assert lives.elder("q", life(2, 150, 150), 2, 5.0) is None
    assert lives.elder("p", elder, 2, 6.0) is None


def test_the_elder_takes_its_place_back() -> None:
    lives, young = Lives(), life(2, 150, 150)
    assert lives.elder("p", young, 1, 0.0) is None
    assert lives.elder("p", life(1, 100, 160), 2, 1.0) is None
    assert lives.elder("p", young, 2, 2.0) is not None


@pytest.mark.parametrize(
    ("connections", "later"),
    [(1, 1.0), (2, ALIVE_SECONDS)],  # its connection is gone; it is silent
)
def test_a_restarted_node_takes_over(connections: int, later: float) -> None:
    lives = Lives()
    assert lives.elder("p", life(1, 100, 100), 1, 0.0) is None
    assert lives.elder("p", life(2, 150, 150), connections, later) is None


def test_a_peer_that_left_is_forgotten() -> None:
    lives = Lives()
    assert lives.elder("p", life(1, 100, 100), 1, 0.0) is None
    lives.forget("p")
    assert lives.elder("p", life(2, 150, 150), 2, 1.0) is None
