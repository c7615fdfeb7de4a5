"""Dialling on demand: once for all who ask, with pauses after a failure, and slots given back."""

import random

import pytest
import trio
from trio.testing import MockClock

from p2p import dialler
from p2p.dialler import GUEST_S, Dialler
from p2p.memory import MemoryTransport, Network
from protocol.errors import PeerError
from simnet.seams import TrioClock


class Wires:
    """One who dials, and peers a to e under a second address that works."""

    def __init__(self) -> None:
        self.clock = TrioClock(0.0)
        self.network = Network(self.clock, random.Random(1))
        self.own = MemoryTransport(self.network, "own", self.clock)
        self.dialler = Dialler(self.own, self.clock, self.addrs)
        self.looked: list[str] = []

    def peer(self, name: str) -> MemoryTransport:
        return MemoryTransport(self.network, name, self.clock)

    def addrs(self, peer: str) -> tuple[str, ...]:
        self.looked.append(peer)
        return () if peer == "hidden" else ("/memory/gone/p2p/gone", f"/memory/{peer}/p2p/{peer}")


async def test_all_who_want_a_peer_at_once_share_one_dial(autojump_clock: MockClock) -> None:
    wires = Wires()
    async with wires.own.running(), wires.peer("a").running():
        async with trio.open_nursery() as nursery:
            for _ in range(3):
                nursery.start_soon(wires.dialler.reach, "a")
        assert wires.looked == ["a"] and list(wires.own.peers()) == ["a"]
        await wires.dialler.reach("a")  # connected: nothing to do
        assert wires.looked == ["a"]


async def test_who_does_not_answer_is_left_alone_for_longer_and_longer(
    autojump_clock: MockClock,
) -> None:
    wires, asked = Wires(), 0
    async with wires.own.running():
        for _ in range(100):
            with pytest.raises(PeerError, match="unreachable"):
                await wires.dialler.reach("a")
            await trio.sleep(1)
        assert wires.dialler.counters() == {"reach-dial-failed": len(wires.looked)}
        asked = len(wires.looked)
        assert 4 <= asked <= 7
        async with wires.peer("a").running():
            await trio.sleep(120)
            assert await wires.dialler.link(["hidden", "a", "b"]) == ["a"]
    assert wires.dialler.counters()["reach-no-address"] == 1


async def test_only_who_was_dialled_for_a_question_gives_its_slot_back(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialler, "STANDING", 2)
    wires = Wires()
    company, guests = [wires.peer(name) for name in "ab"], [wires.peer(name) for name in "cd"]
    async with (
        wires.own.running(),
        company[0].running(),
        company[1].running(),
        guests[0].running(),
        guests[1].running(),
    ):
        for one in company:
            await wires.own.dial(one.addrs[0])
        assert await wires.dialler.link(["a", "c", "d"]) == ["a", "c", "d"]
        await wires.dialler.part()
        assert len(wires.own.peers()) == 4
        await trio.sleep(GUEST_S)
        await wires.dialler.part()
        assert set(wires.own.peers()) == {"a", "b"}
        assert wires.own.counters()["guest-left"] == 2
