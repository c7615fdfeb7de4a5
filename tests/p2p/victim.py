"""The node that the fuzzer attacks, in a process of its own: ``python -m tests.p2p.victim``.

Its transport, its handlers and its mail are the node's; its board is filled in by hand, so that the
attackers are registered and staked. It prints its address, and serves its counters to whoever asks.
"""

import json
import sys
from collections import Counter
from dataclasses import replace

import psutil
import trio

from datanet import credit
from node import runtime
from node.context import JOURNAL, Context
from node.doors import SystemClock, SystemRandomness
from node.meet import Meeting
from node.watch import hear
from p2p.libp2p_host import Libp2pTransport
from p2p.peers import SCHEMA as PEERS
from p2p.peers import PeerBook
from p2p.scores import Scores
from p2p.slots import Slots
from protocol.seams import PeerId
from simnet.seams import MemoryStore
from tests.node import bare, ring

REPORT = "/openledger/report/1"
MEMBERS = ("victim", *(f"attacker{number}" for number in range(8)))
BODY = bytes(range(256)) * 8192  # 2 MiB that honest peers fetch


def build() -> tuple[Context, Libp2pTransport]:
    """The node and its transport, every protocol registered."""
    form = bare.node("victim", MEMBERS, ("victim",))
    clock = SystemClock()
    # All attackers share one address, and must live to attack again: tests of their own hold that
    # slots run out and that bans begin and end.
    slots, scores = Slots(per_address=1_000), Scores(ban_points=float("inf"))
    transport = Libp2pTransport(form.keys.peer_seed, clock, slots=slots, scores=scores)
    seams = replace(
        form.seams,
        clock=clock,
        randomness=SystemRandomness(),
        transport=transport,
        store=MemoryStore(((*JOURNAL, *credit.SCHEMA, *PEERS),)),
    )
    ctx = runtime.build(seams, form.keys, form.network, form.roles, form.payout)
    for member in MEMBERS:
        bare.register(ctx, member)
    ring.tell_shards(ctx)
    ctx.seams.blobs.put(BODY)
    Meeting(ctx, PeerBook(seams.store), ()).serve()
    return ctx, transport


async def main() -> None:
    """Serve until killed."""
    ctx, transport = build()

    async def report(peer: PeerId, body: bytes) -> bytes:
        counts = Counter(transport.counters())
        counts.update({f"mail-{code}": n for code, n in ctx.mail.refused.items()})
        counts.update({code: failure.count for code, failure in ctx.failures.items()})
        counts.update(ctx.holders.counters())
        memory = psutil.Process().memory_info().rss
        return json.dumps({"counts": counts, "rss": memory}).encode()

    async def heard(peer: PeerId, topic: str, body: bytes) -> None:
        await hear(ctx, peer, body)

    transport.handle(REPORT, report, 16)
    await transport.subscribe(ctx.network.topic, heard)
    async with transport.running():
        sys.stdout.write(f"{transport.addrs[0]}\n")
        sys.stdout.flush()
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main)
