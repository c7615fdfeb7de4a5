"""All contract models of one deployment, wired as the deployed contracts are."""

from protocol.ids import checksum
from protocol.typed_data import address_of
from settlement.deploy import DeployParams, predicted
from settlement.models.arbiter import Arbiter, ArbiterTerms
from settlement.models.channels import InferenceChannels
from settlement.models.fraud import FraudProofs
from settlement.models.governor import GovernorTerms, OpenGovernor
from settlement.models.ledger import Env, Model
from settlement.models.pool import AttributionPool
from settlement.models.pool_state import PoolTerms
from settlement.models.registry import AssetRegistry, CommitLog
from settlement.models.rules import RuleRegistry
from settlement.models.sets import AggregatorSets
from settlement.models.stake import StakeTerms, WorkerStake
from settlement.models.timelock import OpenTimelock
from settlement.models.token import OpenToken
from settlement.models.votes import GOpen


def build(env: Env, params: DeployParams, key: bytes, nonce: int = 0) -> dict[str, Model]:
    """The models by contract name, deployed by ``key`` from ``nonce`` on."""
    deployer = checksum(address_of(key))
    at = predicted(deployer, nonce)
    token = OpenToken(env, at["OpenToken"], deployer, params.supply)
    registry = AssetRegistry(env, at["AssetRegistry"], params.payout_delay)
    terms = StakeTerms(
        at["Arbiter"],
        at["AttributionPool"],
        params.unbonding_seconds,
        params.court.epoch_seconds,
        params.court.reward_cap,
    )
    stake = WorkerStake(env, at["WorkerStake"], token, registry, terms)
    rules = _rules(env, at, params)
    seats = sorted(params.aggregators, key=lambda seat: int(seat, 16))
    sets = AggregatorSets(env, at["AggregatorSets"], rules, seats, params.aggregator_threshold)
    pool = AttributionPool(
        env, at["AttributionPool"], token, registry, stake, sets, rules, _pool_terms(params)
    )
    arbiter = Arbiter(env, at["Arbiter"], token, registry, stake, pool, _arbiter_terms(params))
    opening = params.opening_bond, params.opening_fine
    proofs = FraudProofs(env, at["FraudProofs"], token, registry, pool, *opening)
    sets.pools, pool.court, pool.proofs = pool, arbiter, proofs.address
    votes = GOpen(env, at["GOpen"], token)
    delay = params.voting.timelock
    timelock = OpenTimelock(env, at["OpenTimelock"], delay, at["OpenGovernor"], deployer)
    models: list[Model] = [
        token,
        registry,
        CommitLog(env, at["CommitLog"]),
        stake,
        rules,
        sets,
        pool,
        proofs,
        arbiter,
        InferenceChannels(
            env,
            at["InferenceChannels"],
            token,
            registry,
            pool,
            rules,
            params.treasury,
            params.close_seconds,
        ),
        votes,
        timelock,
        OpenGovernor(env, at["OpenGovernor"], token, votes, timelock, _governor_terms(params)),
    ]
    return {model.NAME: model for model in models}


def _rules(env: Env, at: dict[str, str], params: DeployParams) -> RuleRegistry:
    windows = params.min_window, params.max_window
    ours = frozenset(at.values())
    return RuleRegistry(
        env,
        at["RuleRegistry"],
        at["OpenTimelock"],
        params.guardian,
        windows,
        params.rules,
        ours.__contains__,
    )


def _pool_terms(params: DeployParams) -> PoolTerms:
    return PoolTerms(
        params.window,
        params.max_window,
        params.unit_stake,
        params.reclaim_seconds,
        params.stall_seconds,
    )


def _governor_terms(params: DeployParams) -> GovernorTerms:
    voting = params.voting
    return GovernorTerms(voting.delay, voting.period, voting.threshold, voting.fee, params.treasury)


def _arbiter_terms(params: DeployParams) -> ArbiterTerms:
    court = params.court
    return ArbiterTerms(
        committee=params.committee,
        threshold=params.committee_threshold,
        appeal_seconds=court.appeal_seconds,
        vote_seconds=court.vote_seconds,
        accusation_seconds=court.accusation_seconds,
        seats=court.seats,
        min_seats=court.min_seats,
        bond=court.bond,
        accuser_stake=court.accuser_stake,
        signer_slash=court.signer_slash,
        juror_fee=court.juror_fee,
    )
