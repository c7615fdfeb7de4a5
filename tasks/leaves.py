"""The commitment to a unit: one leaf per step over its state and gradient, a keccak tree over the leaves.

T_i = H(task, worker, i, H(w_i), H(m_i), H(v_i)); leaf i = H(T_i, H(g_i)); leaves 0..K (DESIGN 6.2).
"""

from collections.abc import Sequence

from protocol.compute import StepState
from protocol.ids import chain_id_of


def state_hash(unit: bytes, worker: bytes, step: int, w: bytes, m: bytes, v: bytes) -> bytes:
    """T_i of one step, from the digests of its three vectors."""
    return chain_id_of("openledger/state", unit, worker, step.to_bytes(4, "big"), w, m, v)


def leaf(state: bytes, gradient: bytes) -> bytes:
    return chain_id_of("openledger/step", state, gradient)


def commit(
    unit: bytes, worker: bytes, states: Sequence[StepState]
) -> tuple[tuple[bytes, ...], tuple[bytes, ...]]:
    """(T_0..T_K, leaves 0..K) of a unit's states."""
    hashes = tuple(state_hash(unit, worker, i, s.w, s.m, s.v) for i, s in enumerate(states))
    return hashes, tuple(leaf(t, s.g) for t, s in zip(hashes, states, strict=True))
