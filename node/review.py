"""Whether a commit pays what it must: each of its pots derived again from chain and bodies, as a seat does.

Verifiers hold every pending epoch against that and bring one that differs before a jury; jurors, and signers
who are accused, ask the same. A difference follows from published bodies alone, so everybody who has them
finds it, whenever they look.
"""

from collections import Counter
from dataclasses import dataclass

from node import committed, dues
from node.context import Context
from protocol.errors import LocalError
from protocol.ids import short
from protocol.messages import EpochBody, PotShares
from tasks.entries import EpochEntry


@dataclass(frozen=True, slots=True)
class Review:
    """What is wrong with a commit, '' for nothing, and the epoch as this node derives it of its pots."""

    fault: str
    own: EpochBody


async def review(ctx: Context, entry: EpochEntry) -> Review:
    """Hold a commit, standing or voided, against our own derivation.

    Raises PeerError while a body that it hangs on is not served.
    """
    (body,) = await committed.bodies_of(ctx, [entry])
    earlier = await committed.bodies_of(ctx, ctx.board.epochs[: entry.epoch - 1])
    settled = {pot.subject for one in earlier for pot in one.pots}
    due: list[PotShares] = []
    faults: list[str] = []
    for said in body.pots:
        again = said.subject in settled
        own = None if again else await dues.derived(ctx, said)
        due += [own] if own is not None else []
        faults += [_difference(said, own, again)] if own != said else []
        settled.add(said.subject)
    derived = await dues.derive(ctx, entry.epoch, tuple(due), _leaves(body, due))
    if derived != body:
        faults.append("its amounts, draws or rules are not what its pots give")
    if not _is_of(ctx, entry, body):
        faults.append("the body that it names is not its root's")
    return Review(faults[0] if faults else "", derived)


def _leaves(body: EpochBody, due: list[PotShares]) -> int:
    """As many as the body has, or more where an owner of a share has none in it."""
    owners = [share.owner for pot in due for share in pot.shares]
    return max(len(body.cumulative), 1 + max(owners, default=0))


def _is_of(ctx: Context, entry: EpochEntry, body: EpochBody) -> bool:
    """Whether a body's leaves and draws are those that the chain was told."""
    try:
        grown = committed.tree(ctx, body)
    except LocalError:  # no leaves that a tree could have
        return False
    said = grown.root, grown.total, len(body.cumulative)
    drawn = tuple((draw.pot, draw.amount) for draw in body.draws)
    return said == (entry.root, entry.total, entry.leaves) and drawn == entry.drawn


def _difference(said: PotShares, own: PotShares | None, again: bool) -> str:
    what = f"the {said.kind} {short(said.subject)}"
    if again:
        return f"{what} is settled twice"
    if own is None:
        return f"nothing is due for {what}"
    if (own.pot, own.amount) != (said.pot, said.amount):
        return f"{what} draws {said.amount} of {short(said.pot)}, due are {own.amount}"
    paid, right = _by_role(said), _by_role(own)
    for owner, role in sorted({*paid, *right}):
        given, wanted = paid[owner, role], right[owner, role]
        if given != wanted:
            return f"{what} pays owner {owner} {given} as {role}, due are {wanted}"
    return f"{what} gives other reasons than its scores do"


def _by_role(pot: PotShares) -> Counter[tuple[int, str]]:
    found: Counter[tuple[int, str]] = Counter()
    for share in pot.shares:
        found[share.owner, share.role] += share.amount
    return found
