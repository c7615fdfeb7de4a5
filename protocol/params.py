"""Network parameters as presets: data with units and the reason for each number.

``simnet`` is small enough for two cores and eight minutes; ``differences`` says where a preset departs
from ``mainnet``, so that a report can print it.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any

from protocol.errors import OperatorError
from protocol.ids import value_id

OPEN = 10**18  # smallest units in one OPEN (ERC-20, 18 decimals)


@dataclass(frozen=True, slots=True)
class Params:
    """Everything nodes must agree on; its hash is part of the network id."""

    preset: str
    # training
    steps: int  # K local steps a unit
    batch: int  # records a step
    max_tokens: int  # tokens of a record that are trained on
    rounds: int  # federated rounds of a job
    workers: int  # workers a round
    max_records: int  # records an owner may put into one shard
    # data
    reserve_ppm: int  # share of a shard's records reserved as queries
    reserve_min: int  # at least this many
    reveal_seconds: int  # a commitment not revealed by then is void
    # verification
    samples: int  # s: steps drawn a unit
    verifiers: int  # r: verifiers a drawn step
    committee: int  # members of a dispute's first instance
    committee_quorum: int  # of them, to rule
    row_samples: int  # influence rows re-computed by each drawn verifier
    beacon_delay: int  # blocks between a commitment and the beacon that samples it
    tolerance_ppb: int  # check B, ||g'-g|| / ||g'||, fp32: honest at most 3.9e-6 was measured
    optimiser_tolerance_ppb: int  # check B in the optimiser's norm, fp32
    row_tolerance_ppb: (
        int  # influence rows are stored in bf16: half a unit in the last place is 2^-9
    )
    score_tolerance_ppm: int  # a committed score against its re-derivation, of the largest score
    unit_seconds: int  # from reservation to anchor
    judge_seconds: int  # from anchor to the last counted verdict
    attribute_seconds: int  # for each step of attribution (rows, queries, scores, checks)
    # money, smallest units
    unit_stake: int  # 5 C locked an open unit
    min_stake: int  # of any node that announces
    aggregator_stake: int  # twice what one commit may add
    unit_pay: int  # R of one verified unit
    check_pay: int  # one verdict
    sign_pay: int  # one signed epoch
    slash: int  # of a unit's stake for upheld fraud
    # disputes
    appeal_seconds: int  # from an order or a verdict until it acts
    jury_seconds: int  # a jury's time to re-compute and vote, and again to reveal
    jurors: int  # seats of a first jury; fewer sit where fewer verifiers hold stake
    min_jurors: int  # fewer decide nothing, and nobody is slashed
    stake_epoch_seconds: int  # juries are drawn by the stake at the end of such an epoch
    # shares, basis points
    contributors_bps: int
    private_cap_bps: int  # of the pot, for all private owners together
    model_owner_bps: int
    fee_host_bps: int
    fee_contributors_bps: int
    fee_owner_bps: int
    fee_lineage_bps: int  # most for all ancestors together
    fee_treasury_bps: int
    # chain
    settle_blocks: (
        int  # so long a seat derives the same of a pot before it signs: see node/epoch.py
    )
    window_seconds: int  # between an epoch's commit and its claims
    close_seconds: int  # a payer's delayed close of a channel
    price_per_token: int  # smallest units an answer token
    # governance
    vote_delay_seconds: int  # from a proposal to its vote
    vote_seconds: int  # how long a vote lasts
    timelock_seconds: int  # from a passed vote to its effect
    proposal_threshold: int  # smallest units of gOPEN that a proposer needs
    proposal_fee: int  # smallest units, to the treasury

    def __post_init__(self) -> None:
        _check(self)

    @property
    def accuser_stake(self) -> int:
        """2 C, lost by a verifier whose accusation is refuted; a unit locks 5 C."""
        return 2 * self.unit_stake // 5

    @property
    def hash(self) -> bytes:
        return value_id("params", self)


def _check(p: Params) -> None:
    rails = {
        "samples must lie in 2..steps": 2 <= p.samples <= p.steps,
        "verifiers must be at least 2": p.verifiers >= 2,
        "contributors must get 10 % to 90 %": 1_000 <= p.contributors_bps <= 9_000,
        "unit stake must be at least 4 x the unit pay": p.unit_stake >= 4 * p.unit_pay,
        "slash cannot exceed the unit stake": p.slash <= p.unit_stake,
        "contributors must get 10 % to 90 % of a fee": 1_000 <= p.fee_contributors_bps <= 9_000,
        "the treasury must get at most 20 % of a fee": p.fee_treasury_bps <= 2_000,
        "fee parts must sum to the fee": _fee_parts(p) == 10_000,
        "committee quorum must be a majority": 2 * p.committee_quorum > p.committee,
        "a jury needs seats": 1 <= p.min_jurors <= p.jurors,
    }
    for rule, holds in rails.items():
        if not holds:
            raise ValueError(f"{p.preset}: {rule}")


def _fee_parts(p: Params) -> int:
    to_model = p.fee_owner_bps + p.fee_lineage_bps
    return p.fee_host_bps + p.fee_contributors_bps + to_model + p.fee_treasury_bps


MAINNET = Params(
    preset="mainnet",
    steps=64,
    batch=4,
    max_tokens=256,
    rounds=8,
    workers=16,
    max_records=100_000,
    reserve_ppm=20_000,  # 2 %
    reserve_min=1,
    reveal_seconds=86_400,
    samples=4,  # 4 of 64 x r = 2: 12.5 % overhead
    verifiers=2,
    committee=5,
    committee_quorum=3,
    row_samples=64,  # 48 by pay, 16 uniform
    beacon_delay=2,
    tolerance_ppb=50_000,  # 5e-5
    optimiser_tolerance_ppb=500_000,  # 5e-4
    row_tolerance_ppb=5_000_000,  # 5e-3
    score_tolerance_ppm=10_000,
    unit_seconds=3_600,
    judge_seconds=3_600,
    attribute_seconds=3_600,
    unit_stake=50 * OPEN,
    min_stake=10 * OPEN,
    aggregator_stake=20_000 * OPEN,
    unit_pay=10 * OPEN,
    check_pay=OPEN,
    sign_pay=OPEN,
    slash=50 * OPEN,
    appeal_seconds=86_400,
    jury_seconds=14_400,
    jurors=21,
    min_jurors=5,
    stake_epoch_seconds=86_400,
    contributors_bps=5_000,
    private_cap_bps=1_000,  # 10 %
    model_owner_bps=500,
    fee_host_bps=2_000,
    fee_contributors_bps=6_000,
    fee_owner_bps=1_000,
    fee_lineage_bps=500,
    fee_treasury_bps=500,
    settle_blocks=64,  # two epochs of Ethereum's consensus: final
    window_seconds=86_400,
    close_seconds=86_400,
    price_per_token=OPEN // 1_000,
    vote_delay_seconds=86_400,  # delay, period, timelock and threshold as OpenLedger publishes them
    vote_seconds=7 * 86_400,
    timelock_seconds=7 * 86_400,
    proposal_threshold=10_000 * OPEN,
    proposal_fee=100 * OPEN,
)
DEVNET = replace(
    MAINNET,
    preset="devnet",
    steps=16,
    rounds=4,
    workers=4,
    committee=3,
    committee_quorum=2,
    row_samples=16,
    unit_seconds=900,
    judge_seconds=900,
    appeal_seconds=300,
    jury_seconds=600,
    jurors=9,
    min_jurors=3,
    stake_epoch_seconds=600,
    attribute_seconds=1_800,
    settle_blocks=2,  # a chain of one's own is not reorganised
    window_seconds=60,
    close_seconds=120,
    reveal_seconds=3_600,
    vote_delay_seconds=30,
    vote_seconds=300,
    timelock_seconds=60,
)
SIMNET = replace(
    DEVNET,
    preset="simnet",
    steps=8,
    batch=2,  # by tokens, 4 would cost a demo some 125 of its 900 CPU-seconds more
    max_tokens=64,
    rounds=2,
    workers=3,
    max_records=40,
    reserve_ppm=350_000,  # 14 of 40: docs/decisions/attribution.md has what fewer queries let noise earn
    reserve_min=2,
    samples=2,
    row_samples=6,
    unit_seconds=240,
    judge_seconds=300,
    appeal_seconds=15,
    jury_seconds=150,
    jurors=5,
    min_jurors=1,  # the demo has five verifiers, four of them parties
    stake_epoch_seconds=10,
    attribute_seconds=600,
    window_seconds=12,  # a quarter of it answers a forced opening
    close_seconds=10,
    vote_delay_seconds=2,
    vote_seconds=15,
    timelock_seconds=5,
)
PRESETS = {p.preset: p for p in (MAINNET, DEVNET, SIMNET)}


def in_open(units: int) -> str:
    """An amount for people."""
    return f"{units / OPEN:g} OPEN"


def preset(name: str) -> Params:
    """Raises OperatorError naming the known presets."""
    if name not in PRESETS:
        raise OperatorError(
            "unknown-preset", f"no preset {name!r}.", f"Use one of: {', '.join(PRESETS)}."
        )
    return PRESETS[name]


def differences(params: Params, base: Params = MAINNET) -> dict[str, tuple[Any, Any]]:
    """``{field: (here, base)}`` wherever two parameter sets differ."""
    theirs = asdict(base)
    return {k: (v, theirs[k]) for k, v in asdict(params).items() if v != theirs[k]}
