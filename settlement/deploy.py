"""Deployment of all contracts: their parameters, predicted addresses, order, and verified bytecode.

Stake, slasher and pool name each other immutably. A contract's address follows from its deployer
and nonce (keccak256(rlp([deployer, nonce]))), so every address is known beforehand.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from eth_utils.crypto import keccak

from protocol.errors import ChainError, OperatorError
from protocol.ids import address_bytes, checksum
from protocol.params import OPEN, Params
from protocol.rules import Rules, genesis
from protocol.seams import Block
from settlement.abi import CONTRACTS, artifact
from settlement.signer import LocalSigner, Signer

STALL_WINDOWS = 8  # an epoch that nobody commits for so many windows has stalled


@dataclass(frozen=True, slots=True)
class Voting:
    """The governor's terms: seconds, base units of gOPEN that propose, of OPEN that a proposal costs."""

    delay: int
    period: int
    timelock: int  # from queue to execute
    threshold: int
    fee: int


@dataclass(frozen=True, slots=True)
class CourtParams:
    """What stands between an accusation and a loss of stake. Times in seconds, amounts base units."""

    appeal_seconds: int
    vote_seconds: int  # for votes, and again for reveals
    accusation_seconds: int
    epoch_seconds: int  # of the stake that juries are drawn by
    seats: int
    min_seats: int  # fewer decide nothing
    bond: int
    accuser_stake: int
    signer_slash: int
    juror_fee: int
    reward_cap: int

    @property
    def longest(self) -> int:
        """From the end of a window to the last slash: two juries, and the appeal between them."""
        return self.appeal_seconds + 4 * self.vote_seconds


@dataclass(frozen=True, slots=True)
class DeployParams:
    """What the constructors take. Addresses are EIP-55 text, amounts base units, times seconds."""

    aggregators: tuple[str, ...]
    aggregator_threshold: int
    committee: tuple[str, ...]
    committee_threshold: int
    treasury: str
    window: int
    unit_stake: int
    unbonding_seconds: int  # longer than the window
    payout_delay: int
    reclaim_seconds: int
    stall_seconds: int  # without an active epoch, until any staker may propose
    opening_bond: int  # of a forced opening
    opening_fine: int  # of each signer, for an unopened leaf
    close_seconds: int
    rules: Rules  # version 1
    guardian: str
    voting: Voting
    min_window: int  # of any version
    max_window: int
    court: CourtParams
    supply: int = 1_000_000_000 * OPEN

    def __post_init__(self) -> None:
        # a fallback commit waits two windows
        needed = 2 * max(self.window, self.max_window) + self.court.longest
        if self.unbonding_seconds <= needed:
            raise OperatorError(
                "bad-deploy",
                f"unbonding takes {self.unbonding_seconds} s, a window and its juries {needed} s.",
                "Make unbonding_seconds longer than both together.",
            )
        if (self.window, self.unit_stake) != (self.rules.window_seconds, self.rules.unit_stake):
            raise OperatorError(
                "bad-deploy",
                f"the pool has a window of {self.window} s and {self.unit_stake} a unit, version 1 of"
                f" the rules {self.rules.window_seconds} s and {self.rules.unit_stake}.",
                "Give both the same: a rule that no contract keeps is none.",
            )


def terms_of(
    params: Params,
    aggregators: tuple[str, ...],
    aggregator_threshold: int,
    committee: tuple[str, ...],
    committee_threshold: int,
    treasury: str,
) -> DeployParams:
    """The constructors' parameters under a preset; delays are multiples of its window."""
    return DeployParams(
        aggregators=aggregators,
        aggregator_threshold=aggregator_threshold,
        committee=committee,
        committee_threshold=committee_threshold,
        treasury=treasury,
        window=params.window_seconds,
        unit_stake=params.unit_stake,
        unbonding_seconds=unbonding_seconds(params),
        payout_delay=params.window_seconds,
        reclaim_seconds=params.unit_seconds + params.judge_seconds + params.attribute_seconds,
        stall_seconds=STALL_WINDOWS * params.window_seconds,
        opening_bond=params.min_stake,
        opening_fine=params.aggregator_stake // 100,
        close_seconds=params.close_seconds,
        rules=genesis(params),
        guardian=treasury,
        voting=Voting(
            params.vote_delay_seconds,
            params.vote_seconds,
            params.timelock_seconds,
            params.proposal_threshold,
            params.proposal_fee,
        ),
        min_window=max(1, params.window_seconds // 2),
        max_window=2 * params.window_seconds,
        court=court_of(params),
    )


def unbonding_seconds(params: Params) -> int:
    """Longer than everything that may lead to a slash, one thing after the other."""
    juries = params.appeal_seconds + 4 * params.jury_seconds
    return 5 * params.window_seconds + params.judge_seconds + juries


def court_of(params: Params) -> CourtParams:
    """The Arbiter's terms under a preset."""
    return CourtParams(
        appeal_seconds=params.appeal_seconds,
        vote_seconds=params.jury_seconds,
        # a dispute is ruled within judge_seconds of its accusation; as long again to order
        accusation_seconds=2 * params.judge_seconds,
        epoch_seconds=params.stake_epoch_seconds,
        seats=params.jurors,
        min_seats=params.min_jurors,
        bond=params.min_stake,
        accuser_stake=params.accuser_stake,
        signer_slash=params.aggregator_stake // 10,
        juror_fee=params.check_pay,
        reward_cap=3 * params.check_pay,
    )


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where a network's contracts are; ``genesis_block`` is the first with events of theirs."""

    chain_id: int
    genesis_block: int
    addresses: dict[str, str]


class Coded(Protocol):
    """A chain client that shows bytecode."""

    async def code(self, address: str) -> bytes: ...


class Deployable(Coded, Protocol):
    """What a chain client offers for deployment (``evm.EvmChain``)."""

    @property
    def chain_id(self) -> int: ...

    async def head(self) -> Block: ...

    async def nonce(self, account: str) -> int: ...

    async def create(self, signer: Signer, contract: str, args: tuple[Any, ...]) -> str: ...


def create_address(deployer: str, nonce: int) -> str:
    """The address of the contract that ``deployer`` creates with its transaction ``nonce``."""
    digits = nonce.to_bytes((nonce.bit_length() + 7) // 8, "big")
    number = digits if 0 < nonce < 0x80 else bytes([0x80 + len(digits)]) + digits
    body = b"\x94" + address_bytes(deployer) + number
    return checksum(keccak(bytes([0xC0 + len(body)]) + body)[12:])


def predicted(deployer: str, nonce: int) -> dict[str, str]:
    """Addresses of all contracts when the first is created with ``nonce``."""
    return {
        contract: create_address(deployer, nonce + position)
        for position, contract in enumerate(CONTRACTS)
    }


def constructor_args(params: DeployParams, at: Mapping[str, str]) -> dict[str, tuple[Any, ...]]:
    """Constructor arguments of every contract, in order of deployment."""
    token, registry, stake = at["OpenToken"], at["AssetRegistry"], at["WorkerStake"]
    slasher, pool = at["Arbiter"], at["AttributionPool"]
    court = params.court
    waits = (court.appeal_seconds, court.vote_seconds, court.accusation_seconds)
    duties = (*waits, court.seats, court.min_seats)
    amounts = (court.bond, court.accuser_stake, court.signer_slash, court.juror_fee)
    slow = (params.unbonding_seconds, court.epoch_seconds, court.reward_cap)
    voting, timelock = params.voting, at["OpenTimelock"]
    terms = (voting.delay, voting.period, voting.threshold, voting.fee, params.treasury)
    fees = (params.treasury, params.close_seconds)
    rules, sets, proofs = at["RuleRegistry"], at["AggregatorSets"], at["FraudProofs"]
    seats = sorted(params.aggregators, key=lambda seat: int(seat, 16))
    peers = (registry, stake, sets, rules, slasher, proofs)
    work = (params.unit_stake, params.reclaim_seconds, params.stall_seconds)
    opening = (params.opening_bond, params.opening_fine)
    windows = (params.min_window, params.max_window)
    return {
        "OpenToken": (params.supply,),
        "AssetRegistry": (params.payout_delay,),
        "CommitLog": (),
        "WorkerStake": (token, registry, slasher, pool, *slow),
        "RuleRegistry": (timelock, params.guardian, *windows, params.rules.astuple()),
        "AggregatorSets": (pool, rules, seats, params.aggregator_threshold),
        "AttributionPool": (token, peers, (params.window, params.max_window, *work)),
        "FraudProofs": (token, registry, pool, *opening),
        "Arbiter": (stake, params.committee, params.committee_threshold, (*duties, *amounts)),
        "InferenceChannels": (token, registry, pool, rules, *fees),
        "GOpen": (token,),
        "OpenTimelock": (voting.timelock, at["OpenGovernor"]),
        "OpenGovernor": (token, at["GOpen"], timelock, terms),
    }


@dataclass(frozen=True, slots=True)
class Start:
    """Where a deployment began: every address follows from it, so it can be taken up again."""

    deployer: str
    nonce: int  # of the first creation
    genesis_block: int  # the first that can hold events of the contracts

    @property
    def addresses(self) -> dict[str, str]:
        """Of all contracts."""
        return predicted(self.deployer, self.nonce)


async def start_now(chain: Deployable, deployer: str) -> Start:
    """The start of a new deployment, with the deployer's next nonce."""
    nonce = await chain.nonce(deployer)
    return Start(deployer, nonce, (await chain.head()).number + 1)


async def deploy(chain: Deployable, key: bytes, params: DeployParams) -> Deployment:
    """Deploy all contracts anew. ``key`` pays and gets the whole supply. Raises as ``go_on``."""
    signer = LocalSigner(key)
    return await go_on(chain, signer, params, await start_now(chain, signer.address))


async def go_on(
    chain: Deployable,
    signer: Signer,
    params: DeployParams,
    start: Start,
    tell: Callable[[str], None] = lambda text: None,
) -> Deployment:
    """Create what is missing of a deployment, then check all code; twice is as good as once.

    A contract's nonce is its place: what an interrupted run sent cannot be created a second time.
    ``tell`` hears one line a contract. Raises ChainError ``wrong-address`` when another transaction of
    the deployer came between, ``wrong-code`` when the chain holds other bytecode than ours.
    """
    expected = start.addresses
    for position, (contract, args) in enumerate(constructor_args(params, expected).items()):
        address = expected[contract]
        if await chain.code(address):
            tell(f"{contract} is at {address}")
            continue
        nonce = await chain.nonce(start.deployer)
        if nonce != start.nonce + position:
            text = f"{contract} needs nonce {start.nonce + position}, the next is {nonce}"
            raise ChainError("wrong-address", text)
        await chain.create(signer, contract, args)
        tell(f"{contract} created at {address}")
    await verify_code(chain, expected)
    return Deployment(chain.chain_id, start.genesis_block, expected)


async def verify_code(chain: Coded, addresses: Mapping[str, str]) -> None:
    """Raises ChainError ``wrong-code`` naming the first contract whose bytecode is not ours."""
    for contract, address in addresses.items():
        if not artifact(contract).same_code(await chain.code(address)):
            raise ChainError("wrong-code", f"the code at {address} is not our {contract}")
