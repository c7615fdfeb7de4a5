"""The terms a job must keep to be worked on: the network's parameters and its own pot. Pure rules.

Every node reads the same spec and the same chain, so every node ignores the same jobs.
"""

from lora.recipe import Recipe
from protocol.errors import OperatorError
from protocol.messages import JobSpec
from protocol.params import Params
from tasks.entries import PotEntry

BPS = 10_000


def least_escrow(params: Params, rounds: int, workers: int) -> int:
    """The escrow from which every unit is paid in full after contributors and lineage."""
    left_bps = BPS - params.contributors_bps - params.model_owner_bps
    return -(-rounds * workers * params.unit_pay * BPS // left_bps)


def spec_fault(spec: JobSpec, params: Params, version: int) -> str:
    """Which rule of the network a spec breaks; '' when none.

    ``params`` are those under ``version``, which is in force when the pot is funded.
    """
    hyper, p = spec.hyper, params
    rules = {
        f"rounds must be 1 to {p.rounds}": 1 <= spec.rounds <= p.rounds,
        f"workers must be 1 to {p.workers}": 1 <= spec.workers <= p.workers,
        f"unit_pay must be {p.unit_pay}": spec.unit_pay == p.unit_pay,
        f"rule_version must be {version}": spec.rule_version == version,
        f"steps must be {p.steps}": hyper.steps == p.steps,
        f"batch must be {p.batch}": hyper.batch == p.batch,
        f"max_tokens must be {p.max_tokens}": hyper.max_tokens == p.max_tokens,
        "dtype must be fp32, the only one with tolerances": hyper.dtype == "fp32",
    }
    broken = next((rule for rule, holds in rules.items() if not holds), "")
    if broken:
        return broken
    least = least_escrow(params, spec.rounds, spec.workers)
    return f"escrow must be at least {least}" if spec.escrow < least else _recipe_fault(spec)


def _recipe_fault(spec: JobSpec) -> str:
    try:
        Recipe.from_hyper(spec.hyper)
    except OperatorError as error:
        return error.text
    return ""


def pot_fault(spec: JobSpec, pot: PotEntry, params: Params) -> str:
    """How a pot differs from what its spec promises; '' when it does not."""
    rules = {
        "its builder did not fund it": pot.pot == spec.job,  # the id binds funder and spec
        f"the pot's unit pay is {pot.unit_pay}": pot.unit_pay == spec.unit_pay,
        f"units take {pot.unit_seconds} s": pot.unit_seconds == params.unit_seconds,
        f"only {pot.amount} of {spec.escrow} are in the pot": pot.amount >= spec.escrow,
    }
    return next((rule for rule, holds in rules.items() if not holds), "")
