"""Dial-back: a seed dials the address that it sees, and no other."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootstrap.dialback import MAX_PORTS, DialBack, candidates
from bootstrap.reach import ip_of, port_of
from node.doors import SystemClock
from p2p.libp2p_host import Libp2pTransport
from protocol.errors import Ignore
from protocol.seams import Link

SEEN = Link("us", True, "/ip4/203.0.113.7/tcp/50000")
ADDR = st.builds(
    "/{}/{}/tcp/{}/p2p/{}".format,
    st.sampled_from(("ip4", "ip6", "dns4")),
    st.sampled_from(("10.0.0.1", "8.8.8.8", "::1", "victim.example")),
    st.one_of(st.integers(0, 65_535).map(str), st.just("x")),
    st.sampled_from(("us", "them")),
)


@given(st.lists(st.one_of(ADDR, st.text(max_size=40)), max_size=8))
def test_only_the_observed_address_is_ever_dialled(offered: list[str]) -> None:
    try:
        found = candidates("us", [Link("other", True, "/ip4/8.8.8.8/tcp/1"), SEEN], offered)
    except Ignore as verdict:
        assert verdict.reason == "no-port"
        return
    assert 0 < len(found) <= MAX_PORTS
    for addr in found:
        assert ip_of(addr) == "203.0.113.7" and addr.endswith("/p2p/us")
        assert port_of(addr) in {port_of(one) for one in offered}


def test_a_relayed_link_shows_no_address() -> None:
    with pytest.raises(Ignore, match="no-direct-link"):
        candidates("us", [Link("us", True, "", relayed=True)], ["/ip4/1.2.3.4/tcp/1"])


async def test_a_seed_finds_a_listener_and_misses_a_closed_port() -> None:
    clock = SystemClock()
    seed, node = (Libp2pTransport(bytes([n]) * 32, clock) for n in (1, 2))
    serving, asking = DialBack(seed, clock), DialBack(node, clock)
    serving.serve()
    async with seed.running(), node.running():
        await node.dial(seed.addrs[0])
        found = await asking.ask(seed.peer_id, node.addrs)
        assert found.reached == tuple(node.addrs) and found.observed == "127.0.0.1"
        closed = await asking.ask(seed.peer_id, ["/ip4/127.0.0.1/tcp/9"])
        assert closed.tried and not closed.reached
        third = await asking.ask(seed.peer_id, node.addrs)
        assert third.fault.endswith("(dialback-rate)")
        assert len(seed.links()) == 1
