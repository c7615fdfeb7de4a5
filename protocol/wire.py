"""Wire versions of gossip: what a node of each version can read, and how an older body reads today.

A node speaks the newest version and the one before. It writes the version that is in force on its
network, so that nodes that are one version behind go on hearing everything. What is newer than itself
it leaves alone. Pure.
"""

from typing import Any

from protocol import messages
from protocol.codec import pack, unpack
from protocol.errors import Ignore, LocalError
from protocol.messages import NodeRecord, OldNodeRecord
from protocol.signing import WIRE_VERSION

SPOKEN = frozenset({WIRE_VERSION - 1, WIRE_VERSION})

_NEWEST: dict[str, type[Any]] = {cls.__name__: cls for cls in messages.GOSSIP}
KINDS: dict[int, dict[str, type[Any]]] = {
    1: {**_NEWEST, "NodeRecord": OldNodeRecord},
    2: _NEWEST,
}


def version_of(raw: bytes) -> int | None:
    """The version that an envelope names first, whatever shape the rest of it has."""
    array = len(raw) > 1 and (raw[0] & 0xF0 == 0x90 or raw[0] == 0xDC)
    at = 3 if array and raw[0] == 0xDC else 1
    return raw[at] if array and len(raw) > at and raw[at] < 0x80 else None


def read_body(version: int, kind: str, raw: bytes) -> Any:
    """A body as one of the newest version. Raises Ignore ``unknown-version`` or ``unknown-kind``,
    DecodeError.
    """
    known = KINDS.get(version)
    if known is None:
        raise Ignore("unknown-version")
    if kind not in known:
        raise Ignore("unknown-kind")
    body = unpack(known[kind], raw)
    return _newer(body) if isinstance(body, OldNodeRecord) else body


def write_body(version: int, body: Any) -> bytes:
    """A body of the newest version as one that is read in ``version``. Raises LocalError ``bad-kind``."""
    kind = type(body).__name__
    if kind not in KINDS[version]:
        raise LocalError("bad-kind", f"wire version {version} has no {kind}")
    older = version == 1 and isinstance(body, NodeRecord)
    return pack(_older(body) if older else body)


def _newer(old: OldNodeRecord) -> NodeRecord:
    """It names no payout address and no verdict."""
    return NodeRecord(
        operator=old.operator,
        roles=old.roles,
        addrs=old.addrs,
        seal_key=old.seal_key,
        agent=old.agent,
        payout=bytes(20),
        reach="",
        operator_signature=old.operator_signature,
    )


def _older(body: NodeRecord) -> OldNodeRecord:
    return OldNodeRecord(
        operator=body.operator,
        roles=body.roles,
        addrs=body.addrs,
        seal_key=body.seal_key,
        agent=body.agent,
        operator_signature=body.operator_signature,
    )
