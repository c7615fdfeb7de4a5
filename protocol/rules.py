"""The rules that governance may change, as ``RuleRegistry`` holds them version by version.

The fields and their order are those of the contract's struct. Whatever stands here is read from the
version that a job, an epoch or an answer is bound to; all else in ``Params`` is the network's for ever.
"""

from dataclasses import astuple, dataclass, fields, replace
from functools import lru_cache

from protocol.params import Params


@dataclass(frozen=True, slots=True)
class Rules:
    """One version. Shares in basis points, amounts in smallest units, ``window`` in seconds."""

    contributors_bps: int
    model_owner_bps: int
    private_cap_bps: int
    fee_host_bps: int
    fee_contributors_bps: int
    fee_owner_bps: int
    fee_lineage_bps: int
    fee_treasury_bps: int
    samples: int
    verifiers: int
    window_seconds: int
    unit_pay: int
    unit_stake: int
    check_pay: int
    sign_pay: int
    slash: int
    price_per_token: int

    def astuple(self) -> tuple[int, ...]:
        """The struct as the contract takes it."""
        return astuple(self)

    def broken_rail(self, min_window: int, max_window: int, unit_stake: int) -> str:
        """The first rail of the contract that these rules break, in words; '' when they keep all."""
        to_model = self.fee_owner_bps + self.fee_lineage_bps
        fee = self.fee_contributors_bps + self.fee_host_bps + to_model + self.fee_treasury_bps
        pot = self.contributors_bps + self.model_owner_bps
        rails = {
            "contributors_bps must lie in 1000..9000": 1_000 <= self.contributors_bps <= 9_000,
            "contributors_bps and model_owner_bps exceed the pot": pot <= 10_000,
            "private_cap_bps exceeds contributors_bps": self.private_cap_bps
            <= self.contributors_bps,
            "fee_contributors_bps must lie in 1000..9000": 1_000
            <= self.fee_contributors_bps
            <= 9_000,
            "fee_treasury_bps must be at most 2000": self.fee_treasury_bps <= 2_000,
            f"the parts of a fee sum to {fee}, not 10000": fee == 10_000,
            "samples must be at least 2": self.samples >= 2,
            "verifiers must be at least 2": self.verifiers >= 2,
            "unit_stake must be at least 4 x unit_pay": self.unit_stake >= 4 * self.unit_pay,
            f"unit_stake is {unit_stake} for ever": self.unit_stake == unit_stake,
            "slash exceeds unit_stake": self.slash <= self.unit_stake,
            f"window_seconds must lie in {min_window}..{max_window}": min_window
            <= self.window_seconds
            <= max_window,
        }
        return next((rail for rail, kept in rails.items() if not kept), "")


NAMES = tuple(field.name for field in fields(Rules))


def genesis(params: Params) -> Rules:
    """Version 1: what the network's parameters say."""
    return Rules(*(getattr(params, name) for name in NAMES))


@lru_cache
def under(params: Params, rules: Rules) -> Params:
    """The parameters with everything that the rules say taken from them.

    ``RuleRegistry`` knows no job's number of steps: of more samples than steps, all steps are drawn.
    """
    said = {name: getattr(rules, name) for name in NAMES}
    return replace(params, **{**said, "samples": min(rules.samples, params.steps)})
