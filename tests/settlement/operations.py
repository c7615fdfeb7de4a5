"""What the differential test draws: one step of somebody, on one of a few things, with an amount."""

from dataclasses import dataclass

from hypothesis import strategies as st

from protocol.params import OPEN

HUGE = 2**256 - 1
STEPS = """
    fund topUp reserve anchor handBack expire settle reclaim commit claim batch slash
    commit fallback prove demand answer unanswered restore
    commit accuse challenge challenge judge judge judge judge
    open voucher many sweep startClose close deposit unbond withdraw payout model transfer wait wait
"""
NAMES = STEPS.split()


@dataclass(frozen=True)
class Op:
    """One step: what to do, by whom, on which of a few things, how much."""

    name: str
    who: int
    which: int
    other: int
    amount: int


OPS = st.builds(
    Op,
    st.sampled_from(NAMES),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
    st.sampled_from([0, 1, 7, OPEN, 3 * OPEN, 20 * OPEN, HUGE]),
)


def payer(op: Op) -> int:
    """Of the two accounts with coins."""
    return (0, 5)[op.who == 5]
