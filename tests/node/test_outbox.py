"""The outbox against a real EVM: whatever is cut, lost, replaced or reorganised, one intent is paid once."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import trio

from node import outbox
from node.aio import AsyncioThread
from node.doors import SystemClock
from node.outbox import OUTBOX, OutboxChain
from node.store import SqliteStore, open_store
from protocol.errors import ChainError, OperatorError, Reverted
from protocol.ids import checksum
from protocol.seams import TxReceipt
from protocol.typed_data import address_of
from settlement.deploy import Deployment, deploy
from settlement.evm import EvmChain
from settlement.transaction import Call, Fees, Unsigned, sign
from tests.settlement.box import CHAIN_ID, Box, started, stopped
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS
from tests.settlement.proxy import Lose, proxy

pytestmark = pytest.mark.process
ROOT = Path(__file__).resolve().parents[2]
CONFIRMATIONS = 3
GAS = 10**18
KEY, FROM = KEYS[3], ACCOUNTS[3]
ZERO = bytes(32)


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    made = started()
    yield made
    made.process.terminate()
    assert stopped(made) == 0


@pytest.fixture(autouse=True)
def mining(box: Box) -> Iterator[None]:
    yield
    box.ask("evm_setAutomine", True)
    box.ask("evm_mine")


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become tenths."""
    for name, seconds in (("BUMP", 0.4), ("RESEND", 0.2), ("WAIT", 12.0)):
        monkeypatch.setattr(outbox, f"{name}_SECONDS", seconds)
    monkeypatch.setattr(outbox, "TEND_S", 0.2)
    monkeypatch.setattr(outbox, "RECHECK_S", 0.4)


@pytest.fixture(scope="module")
def deployment(box: Box) -> Deployment:
    async def made() -> Deployment:
        chain = EvmChain(box.url, CHAIN_ID)
        with AsyncioThread() as thread:
            found = await thread.run(deploy, chain, box.key, PARAMS)
            chain.use(found.addresses)
            await thread.run(chain.transfer_eth, box.key, FROM, GAS)
            await thread.run(chain.write, box.key, "OpenToken", "transfer", FROM, 10**6)
            await thread.run(chain.close)
        return found

    return trio.run(made)


class World:
    """One outbox over one database file, and what the chain says without it."""

    def __init__(self, box: Box, thread: AsyncioThread, wire: EvmChain, store: SqliteStore) -> None:
        self.box, self.thread, self.wire, self.store = box, thread, wire, store
        self.chain = OutboxChain(wire, thread, store, SystemClock(), CONFIRMATIONS)

    async def pay(self, to: str, amount: int = 7) -> TxReceipt:
        return await self.chain.write(KEY, "OpenToken", "transfer", to, amount)

    async def held(self, account: str) -> int:
        return int(await self.chain.read("OpenToken", "balanceOf", account))

    async def nonce(self) -> int:
        return await self.thread.run(self.wire.nonce, FROM)

    async def rows(self) -> int:
        ((count,),) = await self.store.query("select count(*) from outbox")
        return int(count)

    async def until(self, what: Callable[[], Awaitable[bool]], why: str) -> None:
        with trio.move_on_after(20):
            while not await what():
                await trio.sleep(0.05)
            return
        raise TimeoutError(f"{why}: {dict(self.chain.faults)}")


@asynccontextmanager
async def world(
    box: Box, deployment: Deployment, file: Path, url: str = ""
) -> AsyncIterator[World]:
    wire = EvmChain(url or box.url, CHAIN_ID, deployment.addresses, seconds=3.0)
    with AsyncioThread() as thread:
        store = await open_store(file, thread, (OUTBOX,))
        try:
            yield World(box, thread, wire, store)
        finally:
            with trio.CancelScope(shield=True):
                await store.close()
                await thread.run(wire.close)


def fresh(label: str) -> str:
    """An account that holds nothing."""
    return checksum(address_of(label.encode().rjust(32, b"\1")))


async def test_a_mined_write_is_forgotten_when_it_is_final(
    box: Box, deployment: Deployment, tmp_path: Path, hurried: None
) -> None:
    async with world(box, deployment, tmp_path / "o.db") as at, trio.open_nursery() as nursery:
        receipt = await at.pay(fresh("a"))
        assert (await at.held(fresh("a")), await at.rows()) == (7, 1)
        nursery.start_soon(at.chain.tend)
        await at.until(lambda: _none(at), "the outbox keeps it")
        assert (await at.chain.head()).number >= receipt.block + CONFIRMATIONS
        nursery.cancel_scope.cancel()


async def _none(at: World) -> bool:
    return await at.rows() == 0


async def test_a_refused_call_leaves_nothing(
    box: Box, deployment: Deployment, tmp_path: Path
) -> None:
    async with world(box, deployment, tmp_path / "o.db") as at:
        before = await at.nonce()
        with pytest.raises(Reverted, match="ERC20InsufficientBalance"):
            await at.pay(fresh("b"), 10**30)
        assert (await at.rows(), await at.nonce()) == (0, before)


CHILD = """
import os, signal, sys, trio
from pathlib import Path
from node.aio import AsyncioThread
from node.doors import SystemClock
from node.outbox import OUTBOX, OutboxChain
from node.store import open_store
from settlement.evm import EvmChain

url, chain_id, file, token, key, to, when = sys.argv[1:]

class Wire(EvmChain):
    async def send(self, raw):
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        await super().send(raw)
        os.kill(os.getpid(), signal.SIGKILL)

async def main():
    with AsyncioThread() as thread:
        store = await open_store(Path(file), thread, (OUTBOX,))
        wire = Wire(url, int(chain_id), {"OpenToken": token})
        chain = OutboxChain(wire, thread, store, SystemClock(), 3)
        await chain.write(bytes.fromhex(key), "OpenToken", "transfer", to, 7)

trio.run(main)
"""


@pytest.mark.parametrize("when", ["before", "after"])
async def test_sigkill_around_the_sending_pays_once(
    box: Box, deployment: Deployment, tmp_path: Path, when: str
) -> None:
    file, to = tmp_path / "o.db", fresh(when)
    arguments = [box.url, str(CHAIN_ID), str(file), deployment.addresses["OpenToken"]]
    command = [sys.executable, "-c", CHILD, *arguments, KEY.hex(), to, when]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    killed = await trio.run_process(command, check=False, env=env)
    assert killed.returncode == -signal.SIGKILL
    async with world(box, deployment, file) as at:
        assert await at.held(to) == (0 if when == "before" else 7)
        assert await at.rows() == 1
        before = await at.nonce()
        await at.chain.load()
        await at.chain.recover(KEY)
        assert await at.held(to) == 7
        assert await at.nonce() == before + (when == "before")
        assert await at.rows() == 1, "kept until it is final"
        await at.chain.recover(KEY)
        assert await at.held(to) == 7


async def test_a_lost_answer_is_no_second_payment(
    box: Box, deployment: Deployment, tmp_path: Path
) -> None:
    def lossy(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_sendRawTransaction":
            raise Lose
        return result

    with proxy(box.url, lossy) as between:
        async with world(box, deployment, tmp_path / "o.db", between.url) as at:
            before = await at.nonce()
            receipt = await at.pay(fresh("lost"))
            assert (await at.held(fresh("lost")), await at.nonce()) == (7, before + 1)
            assert receipt.events[0].name == "Transfer"
            assert at.chain.faults["unreachable"] == 1


async def test_a_slow_chain_is_waited_for_with_a_rising_fee(
    box: Box, deployment: Deployment, tmp_path: Path, hurried: None
) -> None:
    async with world(box, deployment, tmp_path / "o.db") as at, trio.open_nursery() as nursery:
        box.ask("evm_setAutomine", False)
        before, found = await at.nonce(), []

        async def pay() -> None:
            found.append(await at.pay(fresh("slow")))

        nursery.start_soon(pay)
        await at.until(lambda: _bumped(at, 3), "the fee does not rise")
        forms = [attempt.signed for attempt in at.chain.pending()[0].attempts]
        assert {form.unsigned.nonce for form in forms} == {before}
        fees = [form.unsigned.fees for form in forms]
        assert all(10 * b.most >= 11 * a.most for a, b in pairwise(fees))
        box.ask("evm_mine")
        await at.until(lambda: _true(found), "not mined")
        assert found[0].tx in {attempt.hash for attempt in forms} | {
            a.signed.hash for p in at.chain._parcels.values() for a in p.attempts
        }
        assert (await at.held(fresh("slow")), await at.nonce()) == (7, before + 1)


async def _bumped(at: World, forms: int) -> bool:
    return any(len(parcel.attempts) >= forms for parcel in at.chain.pending())


async def _true(found: list[Any]) -> bool:
    return bool(found)


async def test_an_equal_write_joins_the_one_that_is_open(
    box: Box, deployment: Deployment, tmp_path: Path
) -> None:
    async with world(box, deployment, tmp_path / "o.db") as at:
        box.ask("evm_setAutomine", False)
        before, found = await at.nonce(), []

        async def pay(to: str) -> None:
            found.append(await at.pay(to))

        async with trio.open_nursery() as nursery:
            for to in (fresh("j"), fresh("j"), fresh("k")):
                nursery.start_soon(pay, to)
            await at.until(lambda: _sent(at, 2), "not sent")
            await trio.sleep(0.3)
            box.ask("evm_mine")
        assert len({receipt.tx for receipt in found}) == 2
        assert [await at.held(fresh(name)) for name in "jk"] == [7, 7]
        assert await at.nonce() == before + 2


async def _sent(at: World, count: int) -> bool:
    return len([p for p in at.chain.pending() if p.sent]) >= count


async def test_a_replaced_nonce_is_told_and_not_sent_again(
    box: Box, deployment: Deployment, tmp_path: Path, hurried: None
) -> None:
    async with world(box, deployment, tmp_path / "o.db") as at, trio.open_nursery() as nursery:
        box.ask("evm_setAutomine", False)
        nonce, caught = await at.nonce(), []

        async def pay() -> None:
            try:
                await at.pay(fresh("replaced"))
            except ChainError as error:
                caught.append(error.code)

        nursery.start_soon(pay)
        await at.until(lambda: _sent(at, 1), "not sent")
        foreign = Unsigned(
            CHAIN_ID, nonce, Fees(400 * 10**9, 300 * 10**9), 21_000, Call(b"\5" * 20, 1, b"")
        )
        box.ask("eth_sendRawTransaction", "0x" + sign(KEY, foreign).hex())
        box.ask("evm_mine")
        await at.until(lambda: _true(caught), "still waiting")
        assert caught == ["replaced"]
        assert (await at.held(fresh("replaced")), await at.nonce()) == (0, nonce + 1)
        box.ask("evm_setAutomine", True)
        await at.pay(fresh("replaced"))
        assert await at.held(fresh("replaced")) == 7


async def test_a_reorganised_write_is_sent_again_by_itself(
    box: Box, deployment: Deployment, tmp_path: Path, hurried: None
) -> None:
    async with world(box, deployment, tmp_path / "o.db") as at, trio.open_nursery() as nursery:
        nursery.start_soon(at.chain.tend)
        snapshot, before = box.ask("evm_snapshot"), await at.nonce()
        commit = ("CommitLog", "commit", ZERO, b"reorg".ljust(32), ZERO)
        receipt = await at.chain.write(KEY, *commit)
        was = await at.chain.block(receipt.block)
        box.ask("evm_revert", snapshot)
        assert await at.nonce() == before
        await at.until(lambda: _nonce(at, before + 1), "not sent again")
        await at.until(lambda: _none(at), "never final")
        head = await at.chain.head()
        found = await at.chain.events(was.number - 1, head.number)
        assert [e.args["subject"] for e in found].count(commit[3]) == 1
        assert (await at.chain.block(was.number)).hash != was.hash
        nursery.cancel_scope.cancel()


async def _nonce(at: World, nonce: int) -> bool:
    return await at.nonce() == nonce


async def test_what_cannot_be_mined_stops_the_start_with_advice(
    box: Box, deployment: Deployment, tmp_path: Path, hurried: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "WAIT_SECONDS", 1.0)
    file = tmp_path / "o.db"
    box.ask("evm_setAutomine", False)
    async with world(box, deployment, file) as at:
        with pytest.raises(ChainError, match="stalled"):
            await at.pay(fresh("stuck"))
    async with world(box, deployment, file) as at:
        await at.chain.load()
        with pytest.raises(OperatorError, match="outbox-stalled"):
            await at.chain.recover(KEY)
        box.ask("evm_mine")
        await at.chain.recover(KEY)
        assert await at.held(fresh("stuck")) == 7
    async with world(box, deployment, file) as at:
        await at.chain.load()
        assert [len(p.attempts) >= 2 for p in at.chain._parcels.values()] == [True]
