"""Whose peer key is whose: an operator registers a key that signed for it, and one key at a time."""

from dataclasses import dataclass, field

from protocol.possession import possesses

NO_PROOF = (b"", b"")


@dataclass(slots=True)
class Peers:
    """Peer keys by operator, folded from the bulletin board."""

    _operators: dict[bytes, bytes] = field(default_factory=dict)  # peer key -> operator
    _keys: dict[bytes, bytes] = field(default_factory=dict)  # operator -> peer key
    _proofs: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)  # what a key signed

    def operator_of(self, peer_key: bytes) -> bytes | None:
        """Whose peer key this is."""
        return self._operators.get(peer_key)

    def show(self, operator: bytes, words: tuple[bytes, bytes]) -> None:
        """An operator's proof, for the key that it registers next."""
        self._proofs[operator] = words

    def register(self, peer_key: bytes, operator: bytes) -> str:
        """Take a key for an operator, in place of the one before; the reason if it is not taken."""
        if self._operators.get(peer_key, operator) != operator:
            return "peer-key-taken"
        if not possesses(peer_key, operator, self._proofs.get(operator, NO_PROOF)):
            return "peer-key-unproven"
        before = self._keys.get(operator)
        if before is not None:
            del self._operators[before]
        self._operators[peer_key], self._keys[operator] = operator, peer_key
        return ""
