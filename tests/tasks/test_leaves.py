"""The commitment and checks A to D: honest work passes, any change of any digest is caught."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.compute import AdapterFacts, Judged, StepState
from protocol.ids import content_id
from protocol.merkle import MerkleTree, keccak256
from protocol.params import SIMNET
from tasks.checks import Claim, check_a, check_b, check_c, check_d
from tasks.leaves import commit, leaf, state_hash

UNIT, WORKER = b"u" * 32, b"w" * 20
ZERO_VECTOR = content_id(b"zeros")
DIGESTS = ("w", "m", "v", "g")

hashes = st.binary(min_size=32, max_size=32)
lengths = st.integers(2, 9)


def states(steps: int) -> tuple[StepState, ...]:
    """K + 1 states with moments of zero at first and no gradient at last."""
    made = [
        StepState(*(content_id(b"%s%d" % (d.encode(), i)) for d in DIGESTS))
        for i in range(steps + 1)
    ]
    made[0] = replace(made[0], m=ZERO_VECTOR, v=ZERO_VECTOR)
    made[-1] = replace(made[-1], g=bytes(32))
    return tuple(made)


def tree_of(leaves: tuple[bytes, ...]) -> MerkleTree:
    return MerkleTree(leaves, keccak256)


def claim_of(work: tuple[StepState, ...]) -> Claim:
    hashes, leaves = commit(UNIT, WORKER, work)
    return Claim(UNIT, WORKER, tree_of(leaves).root, hashes, leaves)


def judged(after: StepState) -> Judged:
    return Judged(after.w, after.m, after.v, distance_ppb=3_900, optimiser_ppb=40_000)


def facts(work: tuple[StepState, ...]) -> AdapterFacts:
    return AdapterFacts(work[-1].w, work[0].w, ZERO_VECTOR, moved_ppb=900, bound_ppb=1_000)


@given(lengths)
def test_honest_work_passes_every_check(steps: int) -> None:
    work = states(steps)
    claim, tree = claim_of(work), tree_of(commit(UNIT, WORKER, work)[1])
    for step in range(steps):
        here = work[step]
        assert claim.state_matches(step, here.w, here.m, here.v)
        assert claim.gradient_matches(step, here.g, tree.proof(step))
        assert check_a(claim, step, judged(work[step + 1]))
        assert check_b(judged(work[step + 1]), SIMNET)
    assert check_c(claim, work[-1], facts(work))
    assert check_d(claim, facts(work))


@given(lengths, st.data(), st.sampled_from(DIGESTS), hashes)
def test_any_changed_digest_changes_the_root(
    steps: int, data: st.DataObject, digest: str, other: bytes
) -> None:
    work, step = states(steps), data.draw(st.integers(0, steps))
    changed = list(work)
    changed[step] = replace(work[step], **{digest: other})
    assert claim_of(tuple(changed)).root != claim_of(work).root


@given(lengths, st.data(), st.sampled_from(("w", "m", "v")), hashes)
def test_a_revealed_state_must_be_the_committed_one(
    steps: int, data: st.DataObject, digest: str, other: bytes
) -> None:
    work, step = states(steps), data.draw(st.integers(0, steps))
    shown = replace(work[step], **{digest: other})
    assert not claim_of(work).state_matches(step, shown.w, shown.m, shown.v)


@given(lengths, st.data(), hashes)
def test_a_revealed_gradient_must_be_the_committed_one(
    steps: int, data: st.DataObject, other: bytes
) -> None:
    work, step = states(steps), data.draw(st.integers(0, steps - 1))
    claim, tree = claim_of(work), tree_of(commit(UNIT, WORKER, work)[1])
    assert not claim.gradient_matches(step, other, tree.proof(step))
    elsewhere = data.draw(st.integers(0, steps).filter(lambda i: i != step))
    assert not claim.gradient_matches(step, work[step].g, tree.proof(elsewhere))


@given(lengths, st.data(), hashes)
def test_a_bent_proof_proves_nothing(steps: int, data: st.DataObject, other: bytes) -> None:
    work = states(steps)
    claim, tree = claim_of(work), tree_of(commit(UNIT, WORKER, work)[1])
    proof = list(tree.proof(0))
    proof[data.draw(st.integers(0, len(proof) - 1))] = other
    assert not claim.gradient_matches(0, work[0].g, tuple(proof))
    assert not claim.gradient_matches(0, work[0].g, tree.proof(0)[:-1])
    assert not claim.gradient_matches(0, work[0].g, (*tree.proof(0), other))
    assert not replace(claim, root=other).gradient_matches(0, work[0].g, tree.proof(0))


@given(lengths, st.data(), st.sampled_from(("next_w", "next_m", "next_v")), hashes)
def test_check_a_catches_any_other_next_state(
    steps: int, data: st.DataObject, digest: str, other: bytes
) -> None:
    work, step = states(steps), data.draw(st.integers(0, steps - 1))
    assert not check_a(claim_of(work), step, replace(judged(work[step + 1]), **{digest: other}))


@pytest.mark.parametrize("field", ["distance_ppb", "optimiser_ppb"])
def test_check_b_holds_each_norm_to_its_tolerance(field: str) -> None:
    limit = {
        "distance_ppb": SIMNET.tolerance_ppb,
        "optimiser_ppb": SIMNET.optimiser_tolerance_ppb,
    }[field]
    within = replace(judged(states(2)[1]), **{field: limit})
    assert check_b(within, SIMNET)
    assert not check_b(replace(within, **{field: limit + 1}), SIMNET)


@given(lengths, st.sampled_from(("w", "m", "v")), hashes)
def test_check_c_wants_the_committed_last_state_in_the_adapter(
    steps: int, digest: str, other: bytes
) -> None:
    work = states(steps)
    claim = claim_of(work)
    assert not check_c(claim, replace(work[-1], **{digest: other}), facts(work))
    assert not check_c(claim, work[-1], replace(facts(work), w=other))
    assert not check_c(claim, work[0], replace(facts(work), w=work[0].w))


@given(lengths, hashes)
def test_check_d_wants_the_tasks_start_and_zero_moments(steps: int, other: bytes) -> None:
    work = states(steps)
    claim = claim_of(work)
    assert not check_d(claim, replace(facts(work), start_w=other))
    assert not check_d(claim, replace(facts(work), zero=other))


def test_check_d_bounds_how_far_an_element_may_move() -> None:
    work = states(3)
    assert check_d(claim_of(work), replace(facts(work), moved_ppb=1_000))
    assert not check_d(claim_of(work), replace(facts(work), moved_ppb=1_001))


@given(hashes, st.binary(min_size=20, max_size=20))
def test_work_cannot_be_passed_off_as_anothers(unit: bytes, worker: bytes) -> None:
    s = states(2)[0]
    own = state_hash(UNIT, WORKER, 0, s.w, s.m, s.v)
    assert own != state_hash(unit, WORKER, 0, s.w, s.m, s.v)
    assert own != state_hash(UNIT, worker, 0, s.w, s.m, s.v)
    assert own != state_hash(UNIT, WORKER, 1, s.w, s.m, s.v)
    assert leaf(own, s.g) != leaf(s.g, own)
