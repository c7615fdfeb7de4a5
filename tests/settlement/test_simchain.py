"""The simulated chain: blocks by the clock, the same for the same seed, refusals change nothing."""

import pytest

from protocol.errors import ChainError, LocalError, Reverted
from settlement.abi import CONTRACTS
from settlement.deploy import Deployment
from settlement.simchain import SimChain
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS


class HandClock:
    """A clock that moves when told to."""

    def __init__(self) -> None:
        self.time = 1_000.75

    def now(self) -> float:
        return self.time

    def monotonic(self) -> float:
        return self.time

    async def sleep(self, seconds: float) -> None:
        self.time += seconds


def made(seed: bytes = b"seed") -> tuple[SimChain, HandClock, Deployment]:
    clock = HandClock()
    chain = SimChain(clock, 4242, seed)
    return chain, clock, chain.deploy(PARAMS, KEYS[0])


async def test_a_block_for_every_second_and_every_transaction() -> None:
    chain, clock, deployment = made()
    assert deployment.genesis_block == 1
    assert (await chain.head()).number == 1
    clock.time += 3.0
    head = await chain.head()
    assert (head.number, head.time) == (4, 1_003)
    for _ in range(2):
        receipt = await chain.write(KEYS[1], "CommitLog", "commit", *[bytes(32)] * 3)
    head = await chain.head()
    assert (head.number, head.time) == (6, 1_003)
    assert receipt.block == 6
    assert [(await chain.block(number)).time for number in range(7)] == [
        1_000, 1_000, 1_001, 1_002, 1_003, 1_003, 1_003,
    ]  # fmt: skip


async def test_hashes_follow_from_the_seed_alone() -> None:
    one, two, other = made()[0], made()[0], made(b"other")[0]
    assert await one.head() == await two.head()
    assert (await one.head()).hash != (await other.head()).hash
    assert (await one.block(0)).hash != (await one.block(1)).hash


async def test_a_refused_write_leaves_no_block_and_no_event() -> None:
    chain, _, _ = made()
    head = await chain.head()
    before = await chain.events(0, head.number)
    with pytest.raises(Reverted) as caught:
        await chain.write(KEYS[1], "AttributionPool", "fund", bytes(32), 5, 1, 30, bytes(32))
    assert caught.value.code == "ERC20InsufficientAllowance"
    assert await chain.head() == head
    assert await chain.events(0, head.number) == before
    pot = await chain.read("AttributionPool", "potId", ACCOUNTS[1], bytes(32))
    assert (await chain.read("AttributionPool", "potOf", pot))[6] == 0


async def test_time_moves_what_waits_for_it() -> None:
    chain, clock, _ = made()
    await chain.write(KEYS[1], "AssetRegistry", "registerOwner", ACCOUNTS[2])
    await chain.write(KEYS[1], "AssetRegistry", "setPayout", 0, ACCOUNTS[3])
    assert await chain.read("AssetRegistry", "payoutOf", 0) == ACCOUNTS[2]
    clock.time += PARAMS.payout_delay
    assert await chain.read("AssetRegistry", "payoutOf", 0) == ACCOUNTS[3]


async def test_unknown_blocks_contracts_and_functions_are_named() -> None:
    chain, _, deployment = made()
    assert tuple(deployment.addresses) == CONTRACTS
    with pytest.raises(ChainError, match="no-block"):
        await chain.block(99)
    for contract, function in (
        ("Nothing", "read"),
        ("OpenToken", "nothing"),
        ("OpenToken", "transfer"),
    ):
        with pytest.raises(LocalError):
            await chain.read(contract, function)
    with pytest.raises(LocalError, match="no-function"):
        await chain.write(KEYS[0], "OpenToken", "totalSupply")


async def posts(chain: SimChain, *numbers: int) -> None:
    for number in numbers:
        await chain.write(
            KEYS[1], "CommitLog", "commit", bytes(32), bytes([number]) * 32, bytes(32)
        )


async def subjects(chain: SimChain) -> list[int]:
    head = await chain.head()
    found = await chain.events(2, head.number)
    return [event.args["subject"][0] for event in found]


async def test_a_reorganised_chain_has_other_blocks_and_chosen_transactions() -> None:
    chain, clock, _ = made()
    await posts(chain, 1, 2, 3, 4)
    before = [await chain.block(number) for number in range((await chain.head()).number + 1)]
    chain.reorganise(3, lambda tx: tx.values[1][0] != 3)
    clock.time += 1.0
    head = await chain.head()
    assert head.number > before[-1].number
    after = [await chain.block(number) for number in range(len(before))]
    same = [old == new for old, new in zip(before, after, strict=True)]
    assert same == [True] * (len(before) - 3) + [False] * 3
    assert await subjects(chain) == [1, 2, 4]
    await posts(chain, 3)
    assert await subjects(chain) == [1, 2, 4, 3]
    assert [b.time for b in after] == sorted(b.time for b in after)


async def test_a_reorganisation_takes_back_state_and_what_was_built_on_it() -> None:
    chain, _, _ = made()
    await chain.write(KEYS[0], "OpenToken", "transfer", ACCOUNTS[1], 5)
    await chain.write(KEYS[1], "OpenToken", "transfer", ACCOUNTS[2], 5)
    chain.reorganise(2, lambda tx: tx.sender != ACCOUNTS[0])
    held = [await chain.read("OpenToken", "balanceOf", a) for a in ACCOUNTS[:3]]
    assert held == [PARAMS.supply, 0, 0]
    with pytest.raises(Reverted):
        await chain.write(KEYS[1], "OpenToken", "transfer", ACCOUNTS[2], 5)
    await chain.write(KEYS[0], "OpenToken", "transfer", ACCOUNTS[1], 7)
    chain.reorganise(1)
    assert await chain.read("OpenToken", "balanceOf", ACCOUNTS[1]) == 7


async def test_the_genesis_stays() -> None:
    chain, _, _ = made()
    await posts(chain, 1)
    with pytest.raises(AssertionError):
        chain.reorganise(2)
