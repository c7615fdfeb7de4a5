"""Who this node is, and which network it belongs to."""

from dataclasses import dataclass

from protocol.params import Params
from protocol.signing import WIRE_VERSION
from protocol.typed_data import address_of


@dataclass(frozen=True, slots=True)
class Keys:
    """32-byte secrets: Ed25519 peer seed, secp256k1 operator key, X25519 sealing secret."""

    peer_seed: bytes
    operator_key: bytes
    seal_key: bytes

    @property
    def operator(self) -> bytes:
        return address_of(self.operator_key)


@dataclass(frozen=True, slots=True)
class Network:
    """What the network file says."""

    name: str
    id: bytes
    params: Params
    chain_id: int
    genesis_block: int
    seats: tuple[bytes, ...]  # aggregators' operators
    quorum: int
    committee: tuple[bytes, ...]  # seats of the slasher
    treasury: bytes
    wire: int = WIRE_VERSION  # the version in force, that all nodes write

    @property
    def topic(self) -> str:
        return f"openledger/{self.id.hex()[:16]}/1"
