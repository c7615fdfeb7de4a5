"""The whole flow where some nodes are a version behind, and where a worker cannot be dialled."""

from dataclasses import replace

from node.join import node_records
from protocol.params import SIMNET
from protocol.signing import peer_id_of, public_key
from simnet.world import Member, World
from tasks.lifecycle import State
from tests.simnet.story import DEMO, FIVE, Told, told

# Two of five are one version behind: everybody writes theirs.
OLD = frozenset({0, 1})
MIXED = replace(
    DEMO,
    members=tuple(replace(m, spoken=OLD) if m.name in ("bob", "dan") else m for m in FIVE),
)
# A worker behind a router: it dials out, nobody dials it.
NATTED = replace(
    DEMO,
    members=tuple(replace(m, hidden=True) if m.name == "dan" else m for m in FIVE),
    params=replace(SIMNET, rounds=1),
)


async def links(world: World) -> list[int]:
    """How many peers each node is connected to."""
    return [len(ctx.seams.transport.peers()) for ctx in world.nodes.values()]


# Each node seeks two connections: whom it must ask it has to dial.
SPARSE = replace(
    DEMO,
    members=(*FIVE, *(Member(f"idle{number}", ()) for number in range(15))),
    params=replace(SIMNET, rounds=1),
    standing=2,
    afterwards=links,
)


def outcome(story: Told, name: str) -> State:
    operator = story.nodes[name].operator
    ctx = story.nodes["ann"]
    unit = next(u for u in ctx.board.units.values() if u.operator == operator)
    state: State = ctx.outcomes[unit.unit].state
    return state


def test_versions_n_and_n_minus_1_go_round_the_loop_together() -> None:
    story = told(MIXED)
    assert {ctx.mail.wire for ctx in story.nodes.values()} == {1}
    assert outcome(story, "cyd") == outcome(story, "dan") == State.ACCEPTED
    roots = {tuple(e.root for e in ctx.board.epochs) for ctx in story.nodes.values()}
    assert len(roots) == 1 and roots != {()}
    for ctx in story.nodes.values():
        assert "unknown-version" not in ctx.mail.refused and not ctx.mail.newer
        assert set(node_records(ctx)) == {other.operator for other in story.nodes.values()}


def test_a_worker_that_only_dials_out_completes_its_unit() -> None:
    """Reveals, checks, merge and pay of its work go over connections that it opened itself."""
    story = told(NATTED)
    assert outcome(story, "dan") == State.ACCEPTED
    hidden = peer_id_of(public_key(story.nodes["dan"].keys.peer_seed))
    for name, ctx in story.nodes.items():
        links = [link for link in ctx.seams.transport.links() if link.peer == hidden]
        assert all(link.inbound for link in links), f"{name} dialled the hidden node"
    index = story.nodes["ann"].board.index_of(story.nodes["dan"].operator)
    assert any(claim.index == index for claim in story.nodes["ann"].board.claims)


def test_whom_a_node_must_ask_it_dials() -> None:
    """In a network with more nodes than slots: reveals, bodies and an answer of peers that are not company."""
    story = told(SPARSE)
    assert outcome(story, "cyd") == outcome(story, "dan") == State.ACCEPTED
    assert len({tuple(e.root for e in ctx.board.epochs) for ctx in story.nodes.values()}) == 1
    assert isinstance(story.seen, list)
    assert sum(story.seen) < len(story.seen) ** 2 / 2, "all are connected to all"
