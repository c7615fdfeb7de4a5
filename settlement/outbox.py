"""Rules of sending a transaction once and only once. Pure; ``node/outbox.py`` stores and sends.

An intent gets one nonce. Every signed form of it (the first, and those with higher fees) carries
that nonce, so the chain can take at most one of them: nothing that is sent again pays twice. A form
is on disk before it is sent. A new nonce is never taken for an old intent.

    signed --sent--> pending --mined--> mined --confirmed--> gone from the outbox
                       |  ^               |
          higher fee --+  +-- reorganised-+
                       +-- another transaction took the nonce, confirmed --> replaced
"""

from collections.abc import Iterable
from dataclasses import dataclass

from eth_utils.crypto import keccak

from protocol.ids import address_bytes
from protocol.typed_data import uint
from settlement.transaction import Call, Fees, Signed

BUMP_SECONDS = 30.0  # without a block that takes it, the fee rises
RESEND_SECONDS = 10.0  # endpoints forget
WAIT_SECONDS = 120.0  # how long a writer waits; the outbox goes on after that
BUMP_PERCENT = 13  # endpoints take a replacement from 10 % on, of both fees
GWEI = 10**9


@dataclass(frozen=True, slots=True)
class Attempt:
    """One signed form of an intent, and when it was signed (unix seconds)."""

    signed: Signed
    at: float


def intent(sender: str, call: Call) -> bytes:
    """What names an intent: who does what. Two equal ones that are open are one and the same."""
    return keccak(address_bytes(sender) + call.to.rjust(20, b"\0") + uint(call.value) + call.data)


def next_nonce(mined: int, taken: Iterable[int]) -> int:
    """The nonce of a new intent: after what the chain has mined and what the outbox holds."""
    return max(mined, 1 + max(taken, default=-1))


def bumped(last: Fees, market: Fees, ceiling: int) -> Fees | None:
    """Fees that replace ``last``: the market's, but enough more than before. None above the ceiling."""
    most = max(market.most, _more(last.most))
    tip = max(market.tip, _more(last.tip))
    return Fees(most, min(tip, most)) if most <= ceiling else None


def is_final(block: int, head: int, confirmations: int) -> bool:
    """Whether so many blocks stand on a transaction's block that it is forgotten."""
    return head - block >= confirmations


def _more(fee: int) -> int:
    return fee + fee * BUMP_PERCENT // 100 + 1
