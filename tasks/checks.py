"""Checks A to D: what the digests and distances of one re-computed step mean (DESIGN 6.5). Pure."""

from dataclasses import dataclass

from protocol.compute import AdapterFacts, Judged, StepState
from protocol.merkle import keccak256, verify
from protocol.params import Params
from tasks.leaves import leaf, state_hash


@dataclass(frozen=True, slots=True)
class Claim:
    """What the worker committed to: the anchored root and the leaves and states it published."""

    unit: bytes
    worker: bytes
    root: bytes
    states: tuple[bytes, ...]
    leaves: tuple[bytes, ...]

    def state_matches(self, step: int, w: bytes, m: bytes, v: bytes) -> bool:
        """Whether revealed (w, m, v) are the committed state T_step."""
        return self.states[step] == state_hash(self.unit, self.worker, step, w, m, v)

    def gradient_matches(self, step: int, g: bytes, proof: tuple[bytes, ...]) -> bool:
        """Whether revealed g completes leaf ``step`` under the anchored root."""
        body = leaf(self.states[step], g)
        return verify(self.root, len(self.leaves), step, body, proof, keccak256)


def check_a(claim: Claim, step: int, judged: Judged) -> bool:
    """Exact: the canonical step of (w, m, v, g)_i hashes to T_{i+1}."""
    return claim.state_matches(step + 1, judged.next_w, judged.next_m, judged.next_v)


def check_b(judged: Judged, params: Params) -> bool:
    """Tolerance, in the plain norm and in the one the optimiser sees."""
    return (
        judged.distance_ppb <= params.tolerance_ppb
        and judged.optimiser_ppb <= params.optimiser_tolerance_ppb
    )


def check_c(claim: Claim, last: StepState, facts: AdapterFacts) -> bool:
    """The published adapter holds w_K of the committed last state."""
    return facts.w == last.w and claim.state_matches(len(claim.states) - 1, last.w, last.m, last.v)


def check_d(claim: Claim, facts: AdapterFacts) -> bool:
    """T_0 is the task's start with zero moments, and no element moved further than the schedule allows."""
    fresh = claim.state_matches(0, facts.start_w, facts.zero, facts.zero)
    return fresh and facts.moved_ppb <= facts.bound_ppb
