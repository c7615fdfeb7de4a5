"""Who acts on the chain and is not heard is on the other side of a split; who is merely off is not."""

from hypothesis import given
from hypothesis import strategies as st

from node import split
from node.context import Context
from node.join import REANNOUNCE_S
from protocol.codec import pack
from protocol.messages import BlobHint
from protocol.signing import WIRE_VERSION, Envelope, public_key, seal
from tests.node import bare

NOW = 100_000
CREW = ("ann", "bob", "cyd", "dan")


def says(ctx: Context, name: str, at: int) -> None:
    """A letter of a member, written and heard at that time."""
    seed = bare.keys(name).peer_seed
    body = pack(BlobHint((at.to_bytes(32, "big"),)))
    key = public_key(seed)
    unsigned = Envelope(
        WIRE_VERSION, ctx.network.id, "BlobHint", key, 0, at, at + 3_600, body, bytes(64)
    )
    ctx.mail.accept(pack(seal(unsigned, seed)), at)


def acts(ctx: Context, name: str, at: int) -> None:
    """A post of a member on the chain."""
    bare.post(ctx, "topic", name.encode().ljust(32), name, bytes(32), at)


def told(ctx: Context) -> str:
    split.look(ctx)
    return ctx.failures["network-split"].text if "network-split" in ctx.failures else ""


async def test_a_split_is_told_with_how_many() -> None:
    ctx = bare.node("ann", CREW)
    bare.at(ctx, NOW)
    for name in CREW[1:]:
        acts(ctx, name, NOW - 10)
        says(ctx, name, NOW - 3_000 if name == "dan" else NOW - 100)
    assert "1 of 3 nodes" in told(ctx)


async def test_who_is_merely_off_raises_no_alarm() -> None:
    ctx = bare.node("ann", CREW)
    bare.at(ctx, NOW)
    for name in CREW[1:]:
        acts(ctx, name, NOW - 5_000)
        says(ctx, name, NOW - 5_000)
    acts(ctx, "ann", NOW)  # our own posts prove nothing
    assert told(ctx) == ""


async def test_everybody_heard_is_no_split() -> None:
    ctx = bare.node("ann", CREW)
    bare.at(ctx, NOW)
    for name in CREW[1:]:
        acts(ctx, name, NOW - 10)
        says(ctx, name, NOW - int(REANNOUNCE_S))
    assert told(ctx) == ""


@given(
    st.dictionaries(st.binary(min_size=1, max_size=2), st.floats(0, 1e5)),
    st.dictionaries(st.binary(min_size=1, max_size=2), st.floats(0, 1e5)),
)
def test_only_the_active_can_be_parted(
    active: dict[bytes, float], letters: dict[bytes, float]
) -> None:
    lost = split.parted(active, letters, 1e5)
    assert lost <= set(active)
    assert all(letters.get(one, 0.0) < active[one] for one in lost)
