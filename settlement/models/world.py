"""All contract models of one deployment, wired as the deployed contracts are."""

from protocol.ids import checksum
from protocol.typed_data import address_of
from settlement.deploy import DeployParams, predicted
from settlement.models.channels import InferenceChannels
from settlement.models.governor import GovernorTerms, OpenGovernor
from settlement.models.ledger import Env, Model
from settlement.models.pool import AttributionPool, PoolTerms
from settlement.models.registry import AssetRegistry, CommitLog
from settlement.models.rules import RuleRegistry
from settlement.models.stake import CommitteeSlasher, WorkerStake
from settlement.models.timelock import OpenTimelock
from settlement.models.token import OpenToken
from settlement.models.votes import GOpen


def build(env: Env, params: DeployParams, key: bytes, nonce: int = 0) -> dict[str, Model]:
    """The models by contract name, deployed by ``key`` from ``nonce`` on."""
    deployer = checksum(address_of(key))
    at = predicted(deployer, nonce)
    token = OpenToken(env, at["OpenToken"], deployer, params.supply)
    registry = AssetRegistry(env, at["AssetRegistry"], params.payout_delay)
    stake = WorkerStake(
        env,
        at["WorkerStake"],
        token,
        registry,
        at["CommitteeSlasher"],
        at["AttributionPool"],
        params.unbonding_seconds,
    )
    pool = AttributionPool(env, at["AttributionPool"], token, registry, stake, _pool_terms(params))
    rules = _rules(env, at, params)
    votes = GOpen(env, at["GOpen"], token)
    delay = params.voting.timelock
    timelock = OpenTimelock(env, at["OpenTimelock"], delay, at["OpenGovernor"], deployer)
    models: list[Model] = [
        token,
        registry,
        CommitLog(env, at["CommitLog"]),
        stake,
        CommitteeSlasher(
            env, at["CommitteeSlasher"], stake, params.committee, params.committee_threshold
        ),
        pool,
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
        rules,
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
        params.aggregators,
        params.aggregator_threshold,
        params.window,
        params.unit_stake,
        params.reclaim_seconds,
    )


def _governor_terms(params: DeployParams) -> GovernorTerms:
    voting = params.voting
    return GovernorTerms(voting.delay, voting.period, voting.threshold, voting.fee, params.treasury)
