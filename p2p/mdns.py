"""Peers of the same network in the same building: multicast DNS, as libp2p's specification has it.

A node asks ``_p2p-NETWORK._udp.local`` every while and answers with its addresses. Only packets come
from zeroconf: its own machinery lives on threads. https://github.com/libp2p/specs/blob/master/discovery/mdns.md
"""

import ipaddress
import socket
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence

import trio
from zeroconf import DNSIncoming, DNSOutgoing, DNSPointer, DNSQuestion, DNSText

from p2p.guard import Guard
from p2p.listen import own_ips
from protocol.seams import Clock

GROUP, PORT = "224.0.0.251", 5353
PACKET_BYTES = 1_500
MAX_ADDRS = 4  # in one answer
QUERY, ANSWER = 0x0000, 0x8400
PTR, TXT, INTERNET = 12, 16, 1
KEY = b"dnsaddr="
TTL_SECONDS = 120
ASK_SECONDS = 20.0
ANSWER_SECONDS = 1.0  # at most one answer in so long, whoever asks


def service_of(network: bytes) -> str:
    """The name under which the nodes of one network ask for each other."""
    return f"_p2p-{network.hex()[:16]}._udp.local."


def question(service: str) -> bytes:
    """A packet that asks who is there."""
    out = DNSOutgoing(QUERY)
    out.add_question(DNSQuestion(service, PTR, INTERNET))
    return out.packets()[0]


def answer(service: str, name: str, addrs: Sequence[str]) -> bytes:
    """A packet that says where this node listens; ``name`` is any word of its own."""
    instance = f"{name}.{service}"
    texts = [KEY + addr.encode() for addr in addrs[:MAX_ADDRS]]
    packed = b"".join(bytes([len(text)]) + text for text in texts if len(text) < 256)
    out = DNSOutgoing(ANSWER)
    out.add_answer_at_time(DNSPointer(service, PTR, INTERNET, TTL_SECONDS, instance), 0)
    out.add_answer_at_time(DNSText(instance, TXT, INTERNET, TTL_SECONDS, packed), 0)
    return out.packets()[0]


def asks(packet: DNSIncoming, service: str) -> bool:
    """Whether a packet asks for our service."""
    return any(one.name.lower() == service and one.type == PTR for one in packet.questions)


def told(packet: DNSIncoming, service: str, sender: str) -> tuple[str, ...]:
    """Addresses in an answer that lie at its sender: nobody sends us to a third party."""
    found: list[str] = []
    for record in packet.answers():
        if isinstance(record, DNSText) and record.name.lower().endswith(f".{service}"):
            found += [
                text for text in _texts(record.text) if text.startswith(f"/ip4/{sender}/tcp/")
            ]
    return tuple(found[:MAX_ADDRS])


def _texts(packed: bytes) -> list[str]:
    """The addresses in the strings of a TXT record."""
    found, at = [], 0
    while at < len(packed):
        text = packed[at + 1 : at + 1 + packed[at]]
        if text.startswith(KEY) and text.isascii():
            found.append(text.removeprefix(KEY).decode())
        at += 1 + packed[at]
    return found


class LocalSearch:
    """Asks and answers on every private interface. ``found`` hears each address of another node."""

    def __init__(
        self,
        network: bytes,
        name: str,
        addrs: Callable[[], Sequence[str]],
        found: Callable[[str], Awaitable[None]],
        clock: Clock,
    ) -> None:
        self._service = service_of(network)
        self._name = name
        self._addrs = addrs
        self._found = found
        self._clock = clock
        self._answered = float("-inf")
        self.counts: Counter[str] = Counter()

    async def run(self) -> None:
        """Until cancelled; returns at once, counted, where there is no private network."""
        homes = private_ips()
        with Guard(self.counts, "mdns"):
            if homes:
                with _open(homes) as door:
                    await door.bind(("", PORT))
                    async with trio.open_nursery() as nursery:
                        nursery.start_soon(self._ask, door, homes)
                        await self._listen(door, homes)
        self.counts["mdns-off"] += 1

    async def _ask(self, door: trio.socket.SocketType, homes: Sequence[str]) -> None:
        while True:
            await self._send(door, homes, question(self._service))
            await self._clock.sleep(ASK_SECONDS)

    async def _listen(self, door: trio.socket.SocketType, homes: Sequence[str]) -> None:
        while True:
            raw, (sender, _) = await door.recvfrom(PACKET_BYTES)
            with Guard(self.counts, "mdns-packet"):
                await self._hear(door, homes, raw, sender)

    async def _hear(
        self, door: trio.socket.SocketType, homes: Sequence[str], raw: bytes, sender: str
    ) -> None:
        packet = DNSIncoming(raw)
        now = self._clock.monotonic()
        if asks(packet, self._service) and now - self._answered >= ANSWER_SECONDS:
            self._answered = now
            for home in homes:
                here = [addr for addr in self._addrs() if addr.startswith(f"/ip4/{home}/")]
                if here:
                    await self._send(door, (home,), answer(self._service, self._name, here))
        for addr in told(packet, self._service, sender):
            await self._found(addr)

    async def _send(
        self, door: trio.socket.SocketType, homes: Sequence[str], packet: bytes
    ) -> None:
        for home in homes:
            door.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(home))
            with Guard(self.counts, "mdns-send"):
                await door.sendto(packet, (GROUP, PORT))


def private_ips() -> tuple[str, ...]:
    """IPv4 addresses of this machine on networks of its own; a data centre's are none."""
    every = (ipaddress.ip_address(ip) for ip in own_ips())
    return tuple(
        str(ip) for ip in every if ip.version == 4 and ip.is_private and not ip.is_loopback
    )


def _open(homes: Sequence[str]) -> trio.socket.SocketType:
    """A socket of the group on these interfaces, shared with whoever else answers there."""
    door = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        door.setsockopt(socket.SOL_SOCKET, option, 1)
    door.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    inner = socket.inet_aton(GROUP)
    for home in homes:
        door.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, inner + socket.inet_aton(home))
    return door
