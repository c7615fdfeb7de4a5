"""Whose peer key this is: the key itself says so, before an operator may register it.

The chain cannot check Ed25519, so the statement stands in the bulletin board as one entry of two words,
before the entry that registers the key, and every reader checks it. It names the operator alone: only that
operator's transactions carry it. Pure.
"""

from protocol.signing import vouch, vouched

PURPOSE = b"openledger/peer-key/1"
HALF = 32  # bytes of the signature in each word


def possession(peer_seed: bytes, operator: bytes) -> tuple[bytes, bytes]:
    """The two words by which a peer key lets an operator register it."""
    signature = vouch(peer_seed, PURPOSE, operator)
    return signature[:HALF], signature[HALF:]


def possesses(peer_key: bytes, operator: bytes, words: tuple[bytes, bytes]) -> bool:
    """Whether the holder of the peer key signed for this operator."""
    return vouched(peer_key, PURPOSE, operator, b"".join(words))
