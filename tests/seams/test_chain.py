"""One suite for every Chain: the integer models, and the contracts through the outbox on real EVMs."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import trio
from eth_utils.crypto import keccak

from node.aio import AsyncioThread
from node.doors import SystemClock
from node.outbox import OUTBOX, OutboxChain
from protocol.errors import ChainError, LocalError, Reverted
from protocol.ids import checksum
from protocol.params import OPEN, SIMNET
from protocol.seams import Chain
from protocol.typed_data import address_of
from settlement.deploy import Deployment, DeployParams, deploy, terms_of
from settlement.evm import EvmChain
from settlement.simchain import SimChain
from simnet.seams import MemoryStore
from tests.settlement.box import need_anvil, started, stopped

ROOT = Path(__file__).resolve().parents[2]
CHAIN_ID = 31337
SEATS = tuple(checksum(address_of(keccak(bytes([seat])))) for seat in range(3))
TERMS: DeployParams = terms_of(SIMNET, SEATS, 2, SEATS, 2, SEATS[0])
TREASURER = keccak(b"treasurer")
ETHER = 10**18


@dataclass(frozen=True, slots=True)
class World:
    """A chain with our contracts; ``treasurer`` has all coins; ``gas`` pays for a new key's."""

    chain: Chain
    treasurer: bytes
    gas: Callable[[bytes], Awaitable[None]]

    async def key(self, label: str) -> bytes:
        """A key that nobody used, with gas."""
        key = keccak(f"{label} {(await self.chain.head()).number}".encode())
        await self.gas(key)
        return key


@dataclass(frozen=True, slots=True)
class Box:
    """The chain in a box as its process printed it, with our contracts on it."""

    url: str
    treasurer: bytes
    deployment: Deployment


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    yield from chain_of("settlement.devchain")


@pytest.fixture(scope="module")
def anvil() -> Iterator[Box]:
    need_anvil()
    yield from chain_of("settlement.anvil")


def chain_of(module: str) -> Iterator[Box]:
    made = started(module, CHAIN_ID)
    with asyncio.Runner(loop_factory=asyncio.SelectorEventLoop) as runner:
        yield Box(made.url, made.key, runner.run(deployed(made.url, made.key)))
    made.process.terminate()
    stopped(made)


async def deployed(url: str, key: bytes) -> Deployment:
    chain = EvmChain(url, CHAIN_ID)
    try:
        return await deploy(chain, key, TERMS)
    finally:
        await chain.close()


async def evm_world(box: Box) -> AsyncIterator[World]:
    evm = EvmChain(box.url, CHAIN_ID, box.deployment.addresses)
    with AsyncioThread() as thread:

        async def gas(key: bytes) -> None:
            account = checksum(address_of(key))
            await thread.run(evm.transfer_eth, box.treasurer, account, ETHER)

        await thread.run(evm.start)
        store = MemoryStore((OUTBOX,))
        yield World(OutboxChain(evm, thread, store, SystemClock(), 2), box.treasurer, gas)
        await thread.run(evm.close)


async def simulated_world() -> AsyncIterator[World]:
    chain = SimChain(SystemClock(), CHAIN_ID, b"seed")
    chain.deploy(TERMS, TREASURER)

    async def gas(_: bytes) -> None:
        await trio.lowlevel.checkpoint()

    yield World(chain, TREASURER, gas)


REAL = [pytest.param(name, marks=pytest.mark.process) for name in ("box", "anvil")]


@pytest.fixture(params=["simulated", *REAL])
async def world(request: pytest.FixtureRequest) -> AsyncIterator[World]:
    if request.param == "simulated":
        async for made in simulated_world():
            yield made
        return
    async for made in evm_world(request.getfixturevalue(request.param)):
        yield made


@pytest.mark.process
def test_the_box_and_anvil_agree_on_gas(box: Box, anvil: Box) -> None:
    """The same deployment, then one transaction of each kind, by the same keys in the same order."""

    async def spent(at: Box) -> list[int]:
        chain = EvmChain(at.url, CHAIN_ID, at.deployment.addresses)
        key = keccak(b"the same on both")
        account, index = checksum(address_of(key)), checksum(b"\x77" * 20)
        entries = [(bytes([n]) * 32, bytes(32), bytes(32)) for n in range(3)]
        stake = chain.address("WorkerStake")
        receipts = [await chain.transfer_eth(at.treasurer, account, ETHER)]
        for signer, *call in (
            (key, "AssetRegistry", "registerOwner", index),
            (key, "CommitLog", "commitMany", entries),
            (at.treasurer, "OpenToken", "transfer", account, 7 * OPEN),
            (key, "OpenToken", "approve", stake, 7 * OPEN),
            (key, "WorkerStake", "deposit", account, 5 * OPEN),
        ):
            receipts.append(await chain.write(signer, *call))
        await chain.close()
        return [receipt.gas_used for receipt in receipts]

    assert box.deployment.addresses == anvil.deployment.addresses
    assert asyncio.run(spent(box)) == asyncio.run(spent(anvil))


async def test_a_chain_names_itself_and_its_contracts(world: World) -> None:
    assert world.chain.chain_id == CHAIN_ID
    names = ("OpenToken", "AssetRegistry", "CommitLog", "WorkerStake", "AttributionPool")
    addresses = {world.chain.address(name) for name in names}
    assert len(addresses) == len(names)
    assert all(checksum(bytes.fromhex(address[2:])) == address for address in addresses)


async def test_blocks_are_numbered_and_stay(world: World) -> None:
    head = await world.chain.head()
    assert len(head.hash) == 32
    assert await world.chain.block(head.number) == head
    before = await world.chain.block(head.number - 1)
    assert before.time <= head.time
    assert before.hash != head.hash
    with pytest.raises(ChainError) as caught:
        await world.chain.block(head.number + 1000)
    assert caught.value.code == "no-block"


async def test_a_write_is_mined_and_its_events_are_found_again(world: World) -> None:
    key, head = await world.key("writer"), await world.chain.head()
    topic, subject, value = b"t" * 32, b"s" * 32, b"v" * 32
    receipt = await world.chain.write(key, "CommitLog", "commit", topic, subject, value)
    assert receipt.block > head.number
    assert len(receipt.tx) == 32
    (event,) = receipt.events
    assert (event.contract, event.name) == ("CommitLog", "Committed")
    operator = checksum(address_of(key))
    told = {"topic": topic, "subject": subject, "operator": operator, "value": value}
    assert event.args == told
    assert (event.block, event.tx) == (receipt.block, receipt.tx)
    assert await world.chain.events(receipt.block, receipt.block) == [event]
    assert await world.chain.events(head.number + 1, receipt.block) == [event]
    assert (await world.chain.head()).number >= receipt.block


async def test_structs_go_in_and_events_come_in_order(world: World) -> None:
    key = await world.key("many")
    entries = [(bytes([n]) * 32, bytes(32), bytes([9 - n]) * 32) for n in range(5)]
    receipt = await world.chain.write(key, "CommitLog", "commitMany", entries)
    assert [event.args["topic"] for event in receipt.events] == [entry[0] for entry in entries]
    assert [event.log_index for event in receipt.events] == list(range(5))
    assert await world.chain.events(receipt.block, receipt.block) == list(receipt.events)


async def test_reads_give_numbers_addresses_and_tuples(world: World) -> None:
    key, payout = await world.key("reader"), checksum(b"\x11" * 20)
    await world.chain.write(key, "AssetRegistry", "registerOwner", payout)
    operator = checksum(address_of(key))
    index = await world.chain.read("AssetRegistry", "ownerIndex", operator)
    assert await world.chain.read("AssetRegistry", "ownerAt", index) == (operator, payout)
    assert await world.chain.read("AssetRegistry", "isRegistered", operator) is True
    assert await world.chain.read("AssetRegistry", "ownerCount") == index + 1
    assert await world.chain.read("OpenToken", "symbol") == "OPEN"


async def test_money_moves_to_the_last_unit(world: World) -> None:
    key = await world.key("rich")
    account, amount = checksum(address_of(key)), 7 * OPEN + 1
    await world.chain.write(world.treasurer, "OpenToken", "transfer", account, amount)
    await world.chain.write(key, "OpenToken", "transfer", checksum(b"\x22" * 20), 1)
    assert await world.chain.read("OpenToken", "balanceOf", account) == 7 * OPEN


async def test_a_revert_has_the_custom_error_s_name_and_changes_nothing(world: World) -> None:
    key, payout = await world.key("twice"), checksum(b"\x11" * 20)
    first = await world.chain.write(key, "AssetRegistry", "registerOwner", payout)
    count = await world.chain.read("AssetRegistry", "ownerCount")
    with pytest.raises(Reverted) as caught:
        await world.chain.write(key, "AssetRegistry", "registerOwner", payout)
    assert caught.value.code == "AlreadyRegistered"
    assert await world.chain.read("AssetRegistry", "ownerCount") == count
    head = await world.chain.head()
    assert await world.chain.events(first.block, head.number) == list(first.events)


async def test_a_view_reverts_by_name_too(world: World) -> None:
    with pytest.raises(Reverted) as caught:
        await world.chain.read("AssetRegistry", "ownerIndex", checksum(b"\x33" * 20))
    assert caught.value.code == "NotRegistered"


@pytest.mark.parametrize("args", [(), (b"short", bytes(32), bytes(32)), (1, 2, 3)])
async def test_arguments_of_other_types_never_reach_the_chain(
    world: World, args: tuple[object, ...]
) -> None:
    with pytest.raises(LocalError) as caught:
        await world.chain.write(world.treasurer, "CommitLog", "commit", *args)
    assert caught.value.code == "bad-argument"


async def test_one_key_may_write_many_things_at_once(world: World) -> None:
    key, start = await world.key("busy"), await world.chain.head()

    async def commit(number: int) -> None:
        subject = bytes([number]) * 32
        await world.chain.write(key, "CommitLog", "commit", bytes(32), subject, bytes(32))

    async with trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(commit, number)
    head = await world.chain.head()
    found = await world.chain.events(start.number + 1, head.number)
    assert {event.args["subject"][0] for event in found} == set(range(5))
    order = [(event.block, event.log_index) for event in found]
    assert order == sorted(order)


async def test_an_endpoint_that_is_not_there_is_unreachable() -> None:
    with AsyncioThread() as thread:
        evm = EvmChain("http://127.0.0.1:9", CHAIN_ID, {})
        with pytest.raises(ChainError) as caught:
            await OutboxChain(evm, thread, MemoryStore(), SystemClock(), 2).head()
        assert caught.value.code == "unreachable"
        await thread.run(evm.close)
