"""The simulated network: one seed, one trace; loss, partitions and crashes as asked for."""

import random

import pytest
import trio
import trio.testing

from p2p.memory import Conditions, MemoryTransport, Network
from protocol.errors import OperatorError, PeerError
from simnet.seams import TrioClock, run_world


async def story(seed: int, loss: float = 0.0) -> list[tuple[float, str, bytes]]:
    """Six nodes in a ring gossip and ask each other; what happened, in order."""
    clock = TrioClock(1e9)
    network = Network(clock, random.Random(seed), Conditions(loss=loss))
    nodes = [MemoryTransport(network, f"n{number}", clock) for number in range(6)]
    trace: list[tuple[float, str, bytes]] = []

    def watch(node: MemoryTransport) -> None:
        async def heard(peer: str, topic: str, body: bytes) -> None:
            trace.append((trio.current_time(), node.peer_id, body))

        async def asked(peer: str, body: bytes) -> bytes:
            trace.append((trio.current_time(), node.peer_id, b"asked by " + peer.encode()))
            return body

        node.handle("/ask/1", asked, 100)
        nursery.start_soon(node.subscribe, "t", heard)

    async with trio.open_nursery() as nursery:
        for node in nodes:
            watch(node)
    async with trio.open_nursery() as nursery:
        for node in nodes:
            await nursery.start(lambda task_status, n=node: hold(n, task_status))
        for left, right in zip(nodes, nodes[1:] + nodes[:1], strict=True):
            await left.dial(right.addrs[0])
        for number in range(10):
            await nodes[number % 6].publish("t", b"%d" % number)
            nursery.start_soon(ask, nodes[number % 6])
        await clock.sleep(5)
        nursery.cancel_scope.cancel()
    return trace


async def hold(node: MemoryTransport, task_status: trio.TaskStatus[None]) -> None:
    async with node.running():
        task_status.started()
        await trio.sleep_forever()


async def ask(node: MemoryTransport) -> None:
    try:
        await node.request(node.peers()[0], "/ask/1", b"?", timeout=1, max_response=9)
    except PeerError as error:
        assert error.code == "timeout"


def play(seed: int, loss: float = 0.0) -> list[tuple[float, str, bytes]]:
    return run_world(story, seed, loss, seed=seed)


def test_one_seed_one_trace() -> None:
    first = play(7)
    assert first == play(7) and len(first) == 10 * 5 + 10
    assert first != play(8)


def test_loss_loses() -> None:
    assert 0 < len(play(7, loss=0.5)) < len(play(7))
    assert play(7, loss=1.0) == []


async def test_a_partition_cuts_links_and_healing_allows_dials(
    autojump_clock: trio.testing.MockClock,
) -> None:
    clock = TrioClock(0)
    network = Network(clock, random.Random(1))
    one, two = MemoryTransport(network, "one", clock), MemoryTransport(network, "two", clock)
    async with one.running(), two.running():
        await one.dial(two.addrs[0])
        network.partition({"one"}, {"two"})
        assert list(one.peers()) == [] == list(two.peers())
        assert one.counters()["peer-lost"] == 1
        with pytest.raises(PeerError):
            await one.dial(two.addrs[0])
        network.heal()
        await two.dial(one.addrs[0])
        assert list(one.peers()) == ["two"]


async def test_a_server_that_stops_answers_nobody(autojump_clock: trio.testing.MockClock) -> None:
    async def stall(peer: str, body: bytes) -> bytes:
        server_scope.cancel()
        await trio.sleep_forever()
        raise AssertionError

    clock = TrioClock(0)
    network = Network(clock, random.Random(1))
    one, two = MemoryTransport(network, "one", clock), MemoryTransport(network, "two", clock)
    two.handle("/stall/1", stall, 10)
    server_scope = trio.CancelScope()

    async def serve(task_status: trio.TaskStatus[None]) -> None:
        with server_scope:
            await hold(two, task_status)

    async with one.running(), trio.open_nursery() as nursery:
        await nursery.start(serve)
        await one.dial(two.addrs[0])
        with pytest.raises(PeerError) as caught:
            await one.request("two", "/stall/1", b"", timeout=60, max_response=1)
        assert caught.value.code == "unreachable"


async def test_a_second_node_with_the_same_key_is_refused() -> None:
    clock = TrioClock(0)
    network = Network(clock, random.Random(1))
    async with MemoryTransport(network, "one", clock).running():
        with pytest.raises(OperatorError):
            async with MemoryTransport(network, "one", clock).running():
                pass


def test_arrivals_fall_on_the_grain_and_stay_in_order() -> None:
    async def due() -> list[float]:
        conditions = Conditions(min_latency=0.001, max_latency=0.05, grain=0.01)
        network = Network(TrioClock(1e9), random.Random(1), conditions)
        return [network.schedule("a", "b") for _ in range(50)]

    found = run_world(due, seed=1)
    assert found == sorted(found) and len(set(found)) < 20
    assert all(abs(at / 0.01 - round(at / 0.01)) < 1e-6 for at in found)


def test_gossip_arrives_when_it_is_due_with_and_without_alarms() -> None:
    """A sooner parcel overtakes one that the courier rests for; a node that is gone gets none."""

    async def heard(alarms: bool) -> list[tuple[int, bytes]]:
        clock = TrioClock(1e9)
        alarm = clock.call_at if alarms else None
        latency = random.Random(1)
        network = Network(clock, latency, Conditions(1.0, 1.0), alarm)
        one, two = (MemoryTransport(network, name, clock) for name in ("one", "two"))
        found: list[tuple[int, bytes]] = []
        start = clock.monotonic()

        async def note(peer: str, topic: str, body: bytes) -> None:
            found.append((round(clock.monotonic() - start), body))

        await two.subscribe("t", note)
        async with trio.open_nursery() as nursery:
            for node in (one, two):
                await nursery.start(lambda task_status, n=node: hold(n, task_status))
            await one.dial(two.addrs[0])  # a round trip of two seconds
            network.conditions = Conditions(1.0, 1.0, late=1.0)
            await one.publish("t", b"late")  # at most 20 times as long
            network.conditions = Conditions(1.0, 1.0)
            await one.publish("t", b"soon")
            await clock.sleep(30.0)
            nursery.cancel_scope.cancel()
        return found

    with_alarms, without = (run_world(heard, each, seed=1) for each in (True, False))
    assert with_alarms == without and with_alarms[0] == (3, b"soon")
    assert with_alarms[1][0] > 3 and with_alarms[1][1] == b"late"
