"""Multicast DNS: what is asked and told, and nothing that a packet says sends us to a third party."""

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from zeroconf import DNSIncoming

from node.doors import SystemClock
from p2p import mdns
from p2p.mdns import LocalSearch, answer, asks, private_ips, question, service_of, told

SERVICE, OTHER = service_of(b"n" * 32), service_of(b"o" * 32)
HERE = "192.168.1.5"
ADDRS = (f"/ip4/{HERE}/tcp/4001/p2p/12D3KooWa", f"/ip4/{HERE}/tcp/4002/p2p/12D3KooWa")


def test_a_question_asks_for_one_network() -> None:
    packet = DNSIncoming(question(SERVICE))
    assert asks(packet, SERVICE) and not asks(packet, OTHER)
    assert told(packet, SERVICE, HERE) == ()


def test_an_answer_tells_where_its_sender_listens() -> None:
    packet = DNSIncoming(answer(SERVICE, "me", ADDRS))
    assert told(packet, SERVICE, HERE) == ADDRS
    assert told(packet, OTHER, HERE) == ()
    assert not asks(packet, SERVICE)


def test_an_address_elsewhere_is_not_believed() -> None:
    lies = ("/ip4/8.8.8.8/tcp/1/p2p/x", f"/ip4/{HERE}1/tcp/1/p2p/x", "/dns4/victim/tcp/1/p2p/x")
    packet = DNSIncoming(answer(SERVICE, "me", (*lies, ADDRS[0])))
    assert told(packet, SERVICE, HERE) == (ADDRS[0],)


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=60).map(lambda b: answer(SERVICE, "x", ())[:40] + b),
    )
)
def test_no_packet_is_more_than_counted(raw: bytes) -> None:
    search = LocalSearch(b"n" * 32, "me", lambda: ADDRS, nobody, SystemClock())

    async def hear() -> None:
        with mdns.Guard(search.counts, "mdns-packet"):
            await search._hear(None, (), raw, HERE)  # type: ignore[arg-type]

    trio.run(hear)


async def nobody(addr: str) -> None:
    pass


@pytest.mark.skipif(not private_ips(), reason="this machine has no private network")
async def test_two_nodes_on_one_network_find_each_other() -> None:
    found: dict[str, set[str]] = {"ann": set(), "bob": set()}
    home = private_ips()[0]

    def search(name: str, port: int, network: bytes) -> LocalSearch:
        async def hear(addr: str) -> None:
            found[name].add(addr)

        addr = f"/ip4/{home}/tcp/{port}/p2p/{name}"
        return LocalSearch(network, name, lambda: (addr,), hear, SystemClock())

    async with trio.open_nursery() as nursery:
        for one in (search("ann", 1, b"n" * 32), search("bob", 2, b"n" * 32)):
            nursery.start_soon(one.run)
        with trio.move_on_after(10):
            while not all(found.values()) or len(found["ann"] | found["bob"]) < 2:
                await trio.sleep(0.05)
        nursery.cancel_scope.cancel()
    assert f"/ip4/{home}/tcp/2/p2p/bob" in found["ann"] | found["bob"]
    assert f"/ip4/{home}/tcp/1/p2p/ann" in found["ann"] | found["bob"]
