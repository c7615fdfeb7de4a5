"""Endpoints that lie, stall or answer slowly; and several that must agree."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import pytest

from protocol.errors import ChainError
from settlement.agreed import AgreedChain
from settlement.deploy import Deployment, deploy
from settlement.evm import EvmChain
from tests.settlement.box import CHAIN_ID, Box, started, stopped
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS
from tests.settlement.proxy import Lose, Raw, Refuse, Stall, Twist, honest, proxy

pytestmark = pytest.mark.process
SHORT_S, LONG_S = 2.0, 30.0  # of one request: where one is stalled, and where none may fail
ZERO = bytes(32)


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    made = started()
    yield made
    made.process.terminate()
    assert stopped(made) == 0


async def founded(box: Box) -> Deployment:
    chain = EvmChain(box.url, CHAIN_ID)
    try:
        made = await deploy(chain, box.key, PARAMS)
        await chain.transfer_eth(box.key, ACCOUNTS[0], 10**18)
        return made
    finally:
        await chain.close()


@pytest.fixture(scope="module")
def deployment(box: Box) -> Deployment:
    return asyncio.run(founded(box))


@asynccontextmanager
async def client(url: str, deployment: Deployment, seconds: float) -> AsyncIterator[EvmChain]:
    chain = EvmChain(url, CHAIN_ID, deployment.addresses, seconds=seconds)
    try:
        yield chain
    finally:
        await chain.close()


def story(
    box: Box,
    deployment: Deployment,
    twist: Twist,
    act: Callable[..., Awaitable[None]],
    seconds: float = LONG_S,
) -> None:
    async def run() -> None:
        with proxy(box.url, twist) as between:
            async with client(between.url, deployment, seconds) as chain:
                await act(chain)

    asyncio.run(run())


def changed(method: str, change: Callable[[Any], Any]) -> Twist:
    """Another result for one method."""
    return lambda asked, params, result: change(result) if asked == method else result


def raising(method: str, error: Exception) -> Twist:
    def twist(asked: str, params: list[Any], result: Any) -> Any:
        if asked == method:
            raise error
        return result

    return twist


BLOCK, LOGS, RECEIPT = "eth_getBlockByNumber", "eth_getLogs", "eth_getTransactionReceipt"
SEND, ESTIMATE = "eth_sendRawTransaction", "eth_estimateGas"
LOG = {
    "address": "0x" + "77" * 20,
    "topics": ["0x" + "01" * 32],
    "data": "0x",
    "blockNumber": "0x1",
    "blockHash": "0x" + "02" * 32,
    "transactionHash": "0x" + "03" * 32,
    "transactionIndex": "0x0",
    "logIndex": "0x0",
    "removed": False,
}


@pytest.mark.parametrize(
    ("twist", "code"),
    [
        (raising(BLOCK, Stall()), "unreachable"),
        (raising(BLOCK, Lose()), "unreachable"),
        (raising(BLOCK, Raw(b"<html>")), "bad-answer"),
        (raising(BLOCK, Raw(b"[]")), "bad-answer"),
        (raising(BLOCK, Raw(b'{"jsonrpc":"2.0","id":1}')), "bad-answer"),
        (changed(BLOCK, lambda b: "block"), "bad-answer"),
        (changed(BLOCK, lambda b: []), "bad-answer"),
        (changed(BLOCK, lambda b: {}), "bad-answer"),
        (changed(BLOCK, lambda b: {**b, "number": "0x7777"}), "bad-answer"),
        (changed(BLOCK, lambda b: {**b, "hash": "0x01"}), "bad-answer"),
        (changed(BLOCK, lambda b: {**b, "timestamp": None}), "bad-answer"),
        (changed(BLOCK, lambda b: None), "no-block"),
        (raising(BLOCK, Refuse("rate limit")), "rpc-error"),
    ],
)
def test_a_block_is_what_was_asked_for_or_a_counted_reason(
    box: Box, deployment: Deployment, twist: Twist, code: str
) -> None:
    async def act(chain: EvmChain) -> None:
        with pytest.raises(ChainError) as caught:
            await chain.block(1)
        assert caught.value.code == code

    story(box, deployment, twist, act, SHORT_S if code == "unreachable" else LONG_S)


@pytest.mark.parametrize(
    "change",
    [
        lambda logs: [*logs, LOG],
        lambda logs: [{**log, "blockNumber": "0x77777"} for log in logs],
        lambda logs: logs[::-1],
        lambda logs: [*logs, *logs],
        lambda logs: [{**log, "topics": LOG["topics"]} for log in logs],
        lambda logs: [{**log, "data": "0x00"} for log in logs],
        lambda logs: "none",
        lambda logs: [None],
    ],
)
def test_logs_that_were_not_asked_for_are_not_folded(
    box: Box, deployment: Deployment, change: Callable[[Any], Any]
) -> None:
    async def act(chain: EvmChain) -> None:
        entries = [(bytes([n]) * 32, ZERO, ZERO) for n in range(2)]
        receipt = await chain.write(KEYS[0], "CommitLog", "commitMany", entries)
        with pytest.raises(ChainError, match="bad-answer"):
            await chain.events(receipt.block, receipt.block)

    story(box, deployment, changed(LOGS, change), act)


@pytest.mark.parametrize(
    ("twist", "code"),
    [
        (changed(ESTIMATE, lambda gas: hex(10**12)), "bad-answer"),
        (changed(BLOCK, lambda b: {**b, "baseFeePerGas": hex(10**15)}), "too-expensive"),
        (raising(SEND, Refuse("insufficient funds")), "refused"),
        (changed(RECEIPT, lambda r: {**r, "transactionHash": "0x" + "09" * 32}), "bad-answer"),
        (changed(RECEIPT, lambda r: {**r, "logs": [{}]}), "bad-answer"),
    ],
)
def test_a_write_is_never_signed_or_believed_at_any_price(
    box: Box, deployment: Deployment, twist: Twist, code: str
) -> None:
    async def act(chain: EvmChain) -> None:
        with pytest.raises(ChainError) as caught:
            await chain.write(KEYS[0], "CommitLog", "commit", ZERO, ZERO, ZERO)
        assert caught.value.code == code

    story(box, deployment, twist, act)


def test_one_that_knows_a_transaction_already_is_no_fault(box: Box, deployment: Deployment) -> None:
    async def act(chain: EvmChain) -> None:
        receipt = await chain.write(KEYS[0], "CommitLog", "commit", ZERO, ZERO, ZERO)
        assert receipt.events[0].name == "Committed"

    story(box, deployment, raising(SEND, Refuse("already known")), act)


# -- several endpoints ---


def agreed(
    box: Box,
    deployment: Deployment,
    twists: list[Twist],
    act: Callable[..., Awaitable[None]],
    seconds: float = LONG_S,
) -> None:
    async def run() -> None:
        with ExitStack() as stack:
            urls = [stack.enter_context(proxy(box.url, twist)).url for twist in twists]
            addresses = deployment.addresses
            ends = [EvmChain(url, CHAIN_ID, addresses, seconds=seconds) for url in urls]
            chain = AgreedChain(ends)
            try:
                await act(chain)
            finally:
                await chain.close()

    asyncio.run(run())


def other_hash(block: dict[str, Any]) -> dict[str, Any]:
    return {**block, "hash": "0x" + "66" * 32}


LIAR = changed(BLOCK, other_hash)


def test_two_honest_endpoints_are_one_chain(box: Box, deployment: Deployment) -> None:
    async def act(chain: AgreedChain) -> None:
        await chain.start()
        head = await chain.head()
        assert await chain.block(head.number) == head
        found = await chain.events(deployment.genesis_block, head.number)
        assert found[0].contract == "OpenToken"
        assert await chain.read("OpenToken", "symbol") == "OPEN"
        assert not chain.faults

    agreed(box, deployment, [honest, honest], act)


@pytest.mark.parametrize(
    ("method", "change", "ask"),
    [
        (BLOCK, other_hash, lambda chain, at: chain.block(at)),
        (BLOCK, other_hash, lambda chain, at: chain.head()),
        (LOGS, lambda logs: logs[1:], lambda chain, at: chain.events(at, at + 3)),
        (
            "eth_getTransactionCount",
            lambda n: hex(int(n, 16) + 1),
            lambda chain, at: chain.nonce(ACCOUNTS[0]),
        ),
        (
            "eth_getCode",
            lambda code: "0x60",
            lambda chain, at: chain.code(chain.address("CommitLog")),
        ),
    ],
)
def test_two_endpoints_that_disagree_are_not_believed(
    box: Box, deployment: Deployment, method: str, change: Any, ask: Any
) -> None:
    async def act(chain: AgreedChain) -> None:
        with pytest.raises(ChainError) as caught:
            await ask(chain, deployment.genesis_block)
        assert caught.value.code == "endpoints-disagree"

    agreed(box, deployment, [honest, changed(method, change)], act)


def test_a_third_endpoint_outvotes_a_liar_and_counts_it(box: Box, deployment: Deployment) -> None:
    async def act(chain: AgreedChain) -> None:
        assert (await chain.block(1)).hash != b"\x66" * 32
        assert [name.split()[1] for name in chain.faults] == ["differs"]

    agreed(box, deployment, [LIAR, honest, honest], act)


def test_one_that_is_silent_is_missed_and_two_are_enough(box: Box, deployment: Deployment) -> None:
    async def two(chain: AgreedChain) -> None:
        with pytest.raises(ChainError, match="unreachable"):
            await chain.block(1)
        assert await chain.read("OpenToken", "symbol") == "OPEN"

    async def three(chain: AgreedChain) -> None:
        assert (await chain.block(1)).number == 1
        assert [name.split()[1] for name in chain.faults] == ["unreachable"]

    agreed(box, deployment, [raising(BLOCK, Stall()), honest], two, SHORT_S)
    agreed(box, deployment, [raising(BLOCK, Stall()), honest, honest], three, SHORT_S)


def test_an_invented_head_does_not_lead(box: Box, deployment: Deployment) -> None:
    def ahead(method: str, params: list[Any], result: Any) -> Any:
        return {**result, "number": "0xffffff"} if params[:1] == ["latest"] else result

    async def act(chain: AgreedChain) -> None:
        assert (await chain.head()).number < 0xFFFFFF

    agreed(box, deployment, [ahead, honest], act)
