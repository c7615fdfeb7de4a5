"""The gossip half of the libp2p door: gossipsub that counts drops, pubsub that survives faults."""

from collections import Counter
from collections.abc import Iterable

import trio
from libp2p.abc import IHost, INetStream
from libp2p.exceptions import BaseLibp2pError
from libp2p.peer.id import ID
from libp2p.pubsub import pubsub as pubsub_module
from libp2p.pubsub.gossipsub import PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.pubsub.rpc_queue import RpcQueue

from p2p.guard import Guard
from p2p.slots import Staked

LIBRARY = (BaseLibp2pError,)  # how the library says that a peer or a connection is gone
WRITE_SECONDS = 30.0  # for a peer to take what we send
HEARTBEAT_SECONDS = 1  # the library's 120 leaves a mesh unrepaired for two minutes
QUEUE_RPCS = 8192  # per peer; the library's 32 loses most of a burst of 1,000
VALIDATORS = 4096  # at once; with 10 a burst waits in line until its validation times out
VALIDATION_SECONDS = 60.0
MAX_TOPIC_PEERS = 10_000  # all of them: a number that the library takes


class _WideQueue(RpcQueue):
    """The outbound queue of one peer; pubsub offers no parameter for its size."""

    def __init__(self) -> None:
        super().__init__(max_size=QUEUE_RPCS)


vars(pubsub_module)["RpcQueue"] = _WideQueue


class CountedGossip(GossipSub):
    """Gossipsub that counts what its queues drop."""

    def __init__(self, counts: Counter[str], staked: Staked = lambda peer: False) -> None:
        super().__init__(
            # 1.2 adds one IDONTWANT per message and peer; the library remembers only ten of them
            protocols=[PROTOCOL_ID_V11],
            degree=6,
            degree_low=4,
            degree_high=12,
            heartbeat_interval=HEARTBEAT_SECONDS,
            adaptive_gossip_enabled=False,  # else it raises the heartbeat to 30 s or more
            spam_protection_enabled=False,  # 10 messages a second, in silence; see p2p/inbox.py
            eclipse_protection_enabled=False,  # counts addresses; ours will count stake
            max_pending_messages_per_peer=QUEUE_RPCS,
        )
        self.max_iwant_requests_per_second = float(QUEUE_RPCS)
        self.max_ihave_messages_per_second = float(QUEUE_RPCS)
        self._counts = counts
        self._staked = staked

    async def handle_graft(self, graft_msg: rpc_pb2.ControlGraft, sender_peer_id: ID) -> None:
        """Half of a full mesh is kept for staked peers: the others are told to look elsewhere."""
        topic = graft_msg.topicID
        others = self.mesh.get(topic, set()) - {sender_peer_id}
        free = sum(not self._staked(str(peer)) for peer in others)
        if free >= self.degree_high // 2 and not self._staked(str(sender_peer_id)):
            self._counts["gossip-graft-refused"] += 1
            await self.emit_prune(topic, sender_peer_id, False, False)
            return
        await super().handle_graft(graft_msg, sender_peer_id)

    def _get_in_topic_gossipsub_peers_from_minus(
        self, topic: str, num_to_select: int, minus: Iterable[ID], backoff_check: bool = False
    ) -> list[ID]:
        """Staked peers first, at random among themselves; others at most half of a mesh beside them."""
        able = super()._get_in_topic_gossipsub_peers_from_minus(
            topic, MAX_TOPIC_PEERS, minus, backoff_check
        )
        staked = [peer for peer in able if self._staked(str(peer))]
        free = [peer for peer in able if peer not in staked]
        chosen = self.select_from_minus(num_to_select, staked, ())
        room = num_to_select - len(chosen)
        return chosen + self.select_from_minus(
            min(room, self.degree // 2) if staked else room, free, ()
        )

    def send_rpc(self, peer_id: ID, rpc: rpc_pb2.RPC, priority: bool = False) -> None:
        """Without the sender's signed record: identify has sent it, checking it costs 0.4 ms."""
        rpc.ClearField("senderRecord")
        super().send_rpc(peer_id, rpc, priority)

    def _handle_dropped_rpc(self, peer_id: ID, rpc: rpc_pb2.RPC, reason: str) -> None:
        self._counts[f"gossip-dropped-{reason.replace('_', '-')}"] += 1
        super()._handle_dropped_rpc(peer_id, rpc, reason)


class GuardedPubsub(Pubsub):
    """Pubsub whose tasks outlive a bad message and a stalled peer."""

    def __init__(self, host: IHost, router: GossipSub, counts: Counter[str]) -> None:
        super().__init__(
            host,
            router,
            max_concurrent_validator_count=VALIDATORS,
            validation_timeout=VALIDATION_SECONDS,
            validation_cache_size=256,  # it searches a list: keep that short
        )
        self._counts = counts

    async def continuously_read_stream(self, stream: INetStream) -> None:
        """Read RPCs until the stream ends; the library forgets a broken one in silence."""
        try:
            await super().continuously_read_stream(stream)
        except LIBRARY:
            self._counts["gossip-stream-broken"] += 1
            raise

    async def push_msg(self, msg_forwarder: ID, msg: rpc_pb2.Message) -> None:
        """Judge and forward one message; runs as a task of the service, so it must not raise."""
        with Guard(self._counts, "gossip-message", LIBRARY):
            await super().push_msg(msg_forwarder, msg)

    async def write_msg(self, stream: INetStream, rpc_msg: rpc_pb2.RPC) -> bool:
        """Send one RPC within a deadline; False gives the peer up until it is seen again."""
        with Guard(self._counts, "gossip-write", LIBRARY) as guard, trio.fail_after(WRITE_SECONDS):
            return await super().write_msg(stream, rpc_msg)
        assert guard.tripped is not None
        self._handle_dead_peer(stream.muxed_conn.peer_id)
        return False

    def _handle_dead_peer(self, peer_id: ID) -> None:
        """What waited for a peer that is gone is counted: it may reach it by others, or by sync."""
        waiting = len(self.peer_queues.get(peer_id, ()))
        if waiting:
            self._counts["gossip-dropped-peer-gone"] += waiting
        super()._handle_dead_peer(peer_id)

    def forget(self, peer: ID) -> None:
        """The peer is gone; else its old stream stands in the way of its next life."""
        if peer in self.peers:
            self._handle_dead_peer(peer)

    def notify_subscriptions(self, publish_message: rpc_pb2.Message) -> None:
        """Nothing to do: the validator hands each body to its handler."""
