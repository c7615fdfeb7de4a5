"""Set reconciliation: who lacks what, for bytes that grow with the difference and not with the set. Pure.

Ids are uniform hashes, so they form a tree by their hex digits. The asker names prefixes; the answer
holds, for each, a digest of the ids under each of its 16 children, or the ids themselves when they are
few. The asker goes down only where its own digest differs. Digests are keyed by a salt of the asker, so
nobody can prepare ids that collide.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from blake3 import blake3

from protocol.codec import Max, Size
from protocol.errors import PeerError
from protocol.ids import Hash

DIGEST_BYTES = 12
SALT_BYTES = 32
LEAF_IDS = 16  # so few are named one by one
MAX_PREFIXES = 128  # of one probe
MAX_DEPTH = 12  # digits; 16^12 ids would be needed to need more
DIGITS = "0123456789abcdef"

Prefix = Annotated[str, Max(MAX_DEPTH)]


@dataclass(frozen=True, slots=True)
class Probe:
    """Request: what do you hold under these prefixes?"""

    salt: Annotated[bytes, Size(SALT_BYTES)]
    prefixes: Annotated[tuple[Prefix, ...], Max(MAX_PREFIXES)]


@dataclass(frozen=True, slots=True)
class Branch:
    """Under one prefix: 16 digests (empty for no id), or all ids when there are few."""

    digests: Annotated[tuple[Annotated[bytes, Max(DIGEST_BYTES)], ...], Max(16)]
    ids: Annotated[tuple[Hash, ...], Max(LEAF_IDS)]


@dataclass(frozen=True, slots=True)
class Branches:
    """Response: one for each prefix, in order."""

    branches: Annotated[tuple[Branch, ...], Max(MAX_PREFIXES)]


def under(ids: Sequence[bytes], prefix: str) -> Sequence[bytes]:
    """Those of the ascending ``ids`` whose hex begins with ``prefix``."""
    first = bisect_left(ids, bytes.fromhex(prefix.ljust(64, "0")))
    return ids[first : bisect_right(ids, bytes.fromhex(prefix.ljust(64, "f")))]


def digest(ids: Sequence[bytes], salt: bytes) -> bytes:
    """Of a run of ascending ids; empty for none."""
    return blake3(b"".join(ids), key=salt).digest()[:DIGEST_BYTES] if ids else b""


def answer(ids: Sequence[bytes], probe: Probe) -> Branches:
    """What the ascending ``ids`` are under each prefix. Raises PeerError ``bad-prefix``."""
    for prefix in probe.prefixes:
        if set(prefix) - set(DIGITS):
            raise PeerError("bad-prefix", repr(prefix))
    return Branches(
        tuple(_branch(under(ids, prefix), prefix, probe.salt) for prefix in probe.prefixes)
    )


def _branch(ids: Sequence[bytes], prefix: str, salt: bytes) -> Branch:
    if len(ids) <= LEAF_IDS:
        return Branch((), tuple(ids))
    return Branch(tuple(digest(under(ids, prefix + digit), salt) for digit in DIGITS), ())


class Search:
    """The asker's side: finds the ids that the other holds and ``ids`` (ascending) do not."""

    def __init__(self, ids: Sequence[bytes], salt: bytes) -> None:
        self._ids = ids
        self._salt = salt
        self._open = [""]
        self.missing: list[bytes] = []

    def probe(self) -> Probe | None:
        """The next request; None when the search is over."""
        return Probe(self._salt, tuple(self._open[:MAX_PREFIXES])) if self._open else None

    def take(self, found: Branches) -> None:
        """The response to the last probe. Raises PeerError ``bad-branches``."""
        asked, self._open = self._open[:MAX_PREFIXES], self._open[MAX_PREFIXES:]
        if len(found.branches) != len(asked):
            raise PeerError("bad-branches", f"{len(found.branches)} for {len(asked)} prefixes")
        for prefix, branch in zip(asked, found.branches, strict=True):
            if branch.digests:
                self._descend(prefix, branch.digests)
            else:
                self._compare(prefix, branch.ids)

    def _descend(self, prefix: str, digests: Sequence[bytes]) -> None:
        if len(digests) != 16 or len(prefix) == MAX_DEPTH:
            raise PeerError("bad-branches", f"{len(digests)} digests under {prefix!r}")
        for digit, theirs in zip(DIGITS, digests, strict=True):
            child = prefix + digit
            if theirs and theirs != digest(under(self._ids, child), self._salt):
                self._open.append(child)

    def _compare(self, prefix: str, ids: Sequence[bytes]) -> None:
        if any(not one.hex().startswith(prefix) for one in ids):
            raise PeerError("bad-branches", f"an id that is not under {prefix!r}")
        ours = set(under(self._ids, prefix))
        self.missing += [one for one in ids if one not in ours]
