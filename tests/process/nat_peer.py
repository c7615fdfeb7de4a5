"""A node that only meets others, as a program of its own: one JSON line of its state twice a second.

``python -m tests.process.nat_peer NAME LISTEN_IP RELAY SEED...``; RELAY is 0 or 1. It answers ECHO, and
asks every peer that it has met for one.
"""

import json
import sys

import trio

from node.doors import SystemClock, SystemRandomness
from node.meet import Meeting
from node.reach import Bound
from p2p.libp2p_host import Libp2pTransport
from p2p.peers import SCHEMA, PeerBook
from protocol.errors import PeerError
from protocol.seams import PeerId
from simnet.seams import MemoryStore
from tests.node import bare

ECHO = "/openledger/echo/1"
PORT = 4001


async def echo(peer: PeerId, body: bytes) -> bytes:
    return body


async def main(name: str, ip: str, relay: bool, seeds: tuple[str, ...]) -> None:
    clock = SystemClock()
    transport = Libp2pTransport(
        bare.keys(name).peer_seed, clock, listen=f"/ip4/{ip}/tcp/{PORT}", relay=relay
    )
    ctx = bare.node(name, (), transport=transport, clock=clock, randomness=SystemRandomness())
    meeting = Meeting(ctx, PeerBook(MemoryStore((SCHEMA,))), seeds, Bound(ip, True))
    meeting.serve()
    transport.handle(ECHO, echo, 1_000)
    async with transport.running(), trio.open_nursery() as nursery:
        nursery.start_soon(meeting.run)
        begun = clock.monotonic()
        while True:
            echoes = [peer for peer in list(meeting.hellos) if await _echoes(transport, peer)]
            reach = ctx.reach
            state = {
                "seconds": round(clock.monotonic() - begun, 1),
                "verdict": reach.verdict,
                "addrs": reach.addrs,
                "advice": reach.advice,
                "observed": reach.observed,
                "asked": reach.asked,
                "links": [[k.peer, k.inbound, k.relayed, k.remote] for k in transport.links()],
                "echoes": echoes,
                "failures": {code: f.text for code, f in ctx.failures.items()},
            }
            sys.stdout.write(json.dumps(state) + "\n")
            sys.stdout.flush()
            await clock.sleep(0.5)


async def _echoes(transport: Libp2pTransport, peer: PeerId) -> bool:
    try:
        return await transport.request(peer, ECHO, b"?", timeout=5, max_response=9) == b"?"
    except PeerError:
        return False


if __name__ == "__main__":
    trio.run(main, sys.argv[1], sys.argv[2], sys.argv[3] == "1", tuple(sys.argv[4:]))
