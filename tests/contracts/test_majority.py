"""The most that a holder of 51 % of all votes can take: future fees within the rails, never coins that
are reserved, claimable, deposited or staked; and in its first week nothing at all."""

from dataclasses import replace
from typing import Any

import pytest

from protocol.params import MAINNET, OPEN
from settlement import claims
from settlement.vouchers import Usage
from tests.contracts.ballot import Assembly
from tests.contracts.scene import SALT, TASK
from tests.settlement.pair import ACCOUNTS, PARAMS, START

WEEK = 7 * 86_400
HOLDERS = ("AttributionPool", "WorkerStake", "InferenceChannels")
ASSET = b"m" * 32
WORST = replace(  # everything to the host and the treasury that the rails allow
    PARAMS.rules,
    contributors_bps=1_000,
    model_owner_bps=9_000,
    private_cap_bps=1_000,
    fee_host_bps=7_000,
    fee_contributors_bps=1_000,
    fee_owner_bps=0,
    fee_lineage_bps=0,
    fee_treasury_bps=2_000,
)


@pytest.fixture
def assembly() -> Assembly:
    """Account 0 holds 51 % of all OPEN as votes; others' coins stand in every contract."""
    assembly = Assembly(votes=51 * PARAMS.supply // 100, box=True)
    assembly.settle(3 * OPEN, 2 * OPEN)
    assembly.done(0, "AttributionPool", "fund", b"k" * 32, 40 * OPEN, 10 * OPEN, 300, b"s" * 32)
    assembly.done(4, "AttributionPool", "reserve", claims.pot_id(ACCOUNTS[0], b"k" * 32), TASK)
    assembly.channel()
    return assembly


def test_nothing_voted_acts_within_a_week() -> None:
    """From OPEN bought to a call made: the vote must begin, last, and wait in the timelock."""
    least = MAINNET.vote_delay_seconds + MAINNET.vote_seconds + MAINNET.timelock_seconds
    assert least > 2 * WEEK


def test_the_timelock_moves_no_coin_of_others(assembly: Assembly) -> None:
    """Every call that moves coins, made by the timelock itself, is refused."""
    timelock = assembly.addresses["OpenTimelock"]
    pot = claims.pot_id(ACCOUNTS[0], b"k" * 32)
    channel = assembly.read("InferenceChannels", "channelId", ACCOUNTS[0], SALT)
    calls: list[tuple[Any, ...]] = [
        ("AttributionPool", "reclaim", pot),
        ("AttributionPool", "reclaim", assembly.job),
        ("WorkerStake", "slash", ACCOUNTS[1], b"u" * 32, OPEN, b"e" * 32, timelock),
        ("WorkerStake", "unbond", ACCOUNTS[1], OPEN),
        ("WorkerStake", "withdraw", ACCOUNTS[1]),
        ("InferenceChannels", "startClose", channel),
        ("InferenceChannels", "close", channel),
        ("AssetRegistry", "setPayout", 0, timelock),
        ("GOpen", "withdrawTo", timelock, 1),
    ]
    for holder in (*HOLDERS, "GOpen"):
        move = ("OpenToken", "transferFrom", assembly.addresses[holder], timelock, 1)
        calls += [move, ("OpenToken", "burnFrom", assembly.addresses[holder], 1)]
    for call in calls:
        assert assembly.would_on_evm(timelock, *call), call[:2]


def test_worst_rules_leave_claims_reservations_and_bound_jobs_as_they_were(
    assembly: Assembly,
) -> None:
    held = {holder: assembly.balance(holder) for holder in HOLDERS}
    start = assembly.now + 1_000
    assembly.enacted(("RuleRegistry", "append", (WORST.astuple(), start)))
    assembly.enacted(("RuleRegistry", "nameGuardian", (ACCOUNTS[0],)), text="mine")
    assembly.done(0, "RuleRegistry", "pause", WEEK)
    quick = (("OpenGovernor", "setVotingDelay", (0,)), ("OpenTimelock", "updateDelay", (0,)))
    assembly.enacted(*quick, text="faster")
    assembly.wait(start - assembly.now)
    assert {holder: assembly.balance(holder) for holder in HOLDERS} == held
    tree = assembly.tree(3 * OPEN, 2 * OPEN)
    for index, amount in enumerate((3 * OPEN, 2 * OPEN)):
        before = assembly.balance(index + 5)
        assembly.done(8, "AttributionPool", "claim", *assembly.claim_args(tree, index))
        assert assembly.balance(index + 5) == before + amount
    # the reserved unit is anchored, and the job was funded under version 1
    assert assembly.read("RuleRegistry", "versionAt", START + 10) == 1
    unit = assembly.read("AttributionPool", "unitId", ACCOUNTS[4], TASK)
    if assembly.now <= assembly.read("AttributionPool", "unitOf", unit)[2]:
        assembly.done(4, "AttributionPool", "anchor", unit, b"r" * 32, b"a" * 32)


def test_of_future_fees_contributors_keep_a_tenth(assembly: Assembly) -> None:
    start = assembly.now + 100
    assembly.enacted(("RuleRegistry", "append", (WORST.astuple(), start)))
    assembly.wait(start - assembly.now)
    channel = assembly.read("InferenceChannels", "channelId", ACCOUNTS[0], SALT)
    voucher = assembly.voucher(channel, OPEN, Usage(ASSET, 2, 10_000))
    assembly.done(8, "InferenceChannels", "claim", *voucher.claim_args())
    outcome = assembly.done(8, "InferenceChannels", "sweep", channel, [(ASSET, 2)])
    split = next(args for _, name, args in outcome.events if name == "FeeSplit")
    assert (split["host"], split["treasury"], split["contributors"]) == (7_000, 2_000, 1_000)
