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
