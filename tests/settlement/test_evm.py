"""The chain client beyond the Chain seam: endpoints, deployments, keys used at once."""

import asyncio
from collections.abc import Iterator

import pytest

from protocol.errors import ChainError, LocalError, OperatorError, Reverted
from settlement.deploy import create_address, deploy, verify_code
from settlement.evm import EvmChain
from tests.settlement.box import BOTH, CHAIN_ID, Box, need_anvil, started, stopped
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS

pytestmark = pytest.mark.process


@pytest.fixture(scope="module", params=BOTH)
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    if request.param == "settlement.anvil":
        need_anvil()
    made = started(request.param)
    yield made
    made.process.terminate()
    assert stopped(made) == 0


async def chain_with_contracts(box: Box) -> EvmChain:
    chain = EvmChain(box.url, CHAIN_ID)
    await chain.start()
    chain.use((await deploy(chain, box.key, PARAMS)).addresses)
    return chain


def test_a_deployment_is_where_it_was_predicted_and_verified(box: Box) -> None:
    async def story() -> None:
        chain = EvmChain(box.url, CHAIN_ID)
        first = await chain.nonce(box.account)
        made = await deploy(chain, box.key, PARAMS)
        assert made.addresses["OpenToken"] == create_address(box.account, first)
        chain.use(made.addresses)
        head = (await chain.head()).number  # the box mines every second too
        assert (await chain.events(made.genesis_block, head))[0].name == "Transfer"
        assert await chain.events(0, made.genesis_block - 1) == []
        pool = made.addresses["AttributionPool"]
        assert await chain.read("WorkerStake", "pool") == pool
        swapped = {**made.addresses, "CommitLog": pool}
        with pytest.raises(ChainError, match="wrong-code"):
            await verify_code(chain, swapped)
        await chain.close()

    asyncio.run(story())


def test_the_operator_is_told_what_to_change(box: Box) -> None:
    async def story() -> None:
        wrong = EvmChain(box.url, CHAIN_ID + 1)
        with pytest.raises(OperatorError, match=f"serves chain {CHAIN_ID}"):
            await wrong.start()
        with pytest.raises(OperatorError, match="no-contract"):
            await wrong.read("OpenToken", "totalSupply")
        gone = EvmChain("http://127.0.0.1:9", CHAIN_ID)
        with pytest.raises(ChainError, match="unreachable"):
            await gone.start()
        for chain in (wrong, gone):
            await chain.close()

    asyncio.run(story())


def test_one_key_and_many_keys_write_at_once(box: Box) -> None:
    async def story() -> None:
        chain = await chain_with_contracts(box)
        start = (await chain.head()).number
        for account in ACCOUNTS[:3]:
            await chain.transfer_eth(box.key, account, 10**18)
        assert await chain.balance(ACCOUNTS[0]) == 10**18
        entries = [(KEYS[n % 3], bytes([n]) * 32) for n in range(12)]
        await asyncio.gather(
            *(
                chain.write(key, "CommitLog", "commit", bytes(32), subject, bytes(32))
                for key, subject in entries
            )
        )
        found = await chain.events(start + 1, (await chain.head()).number)
        assert {event.args["subject"] for event in found} == {subject for _, subject in entries}
        assert [await chain.nonce(account) for account in ACCOUNTS[:3]] == [4, 4, 4]
        await chain.close()

    asyncio.run(story())


def test_a_refused_call_costs_nothing(box: Box) -> None:
    async def story() -> None:
        chain = await chain_with_contracts(box)
        await chain.transfer_eth(box.key, ACCOUNTS[4], 10**18)
        for function, args, error in (
            ("transfer", (ACCOUNTS[1], 1), "ERC20InsufficientBalance"),
            ("transfer", ("0x" + "00" * 20, 1), "ERC20InvalidReceiver"),
        ):
            with pytest.raises(Reverted) as caught:
                await chain.write(KEYS[4], "OpenToken", function, *args)
            assert caught.value.code == error
        with pytest.raises(Reverted, match="Panic"):
            await chain.read("WorkerStake", "stakerAt", 0)
        with pytest.raises(LocalError, match="bad-argument"):
            await chain.write(KEYS[4], "OpenToken", "transfer", ACCOUNTS[1])
        assert await chain.balance(ACCOUNTS[4]) == 10**18
        with pytest.raises(ChainError):
            await chain.transfer_eth(KEYS[7], ACCOUNTS[1], 1)
        await chain.close()

    asyncio.run(story())
