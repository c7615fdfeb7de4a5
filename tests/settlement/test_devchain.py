"""The chain in a box, by plain HTTP and by AsyncWeb3: the execution API as other nodes speak it."""

import asyncio
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from eth_account import Account
from web3 import AsyncHTTPProvider, AsyncWeb3
from web3.exceptions import ContractCustomError

from protocol.ids import address_bytes, checksum
from settlement import abi
from settlement.devchain import DevChain
from tests.settlement.box import BOTH, CHAIN_ID, Box, need_anvil, started, stopped
from tests.settlement.pair import ACCOUNTS, KEYS

ETHER = 10**18


@pytest.fixture(scope="module", params=BOTH)
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    if request.param == "settlement.anvil":
        need_anvil()
    made = started(request.param)
    yield made
    made.process.terminate()
    assert stopped(made) == 0


pytestmark = pytest.mark.process


def test_a_call_is_answered_in_the_standard_s_form(box: Box) -> None:
    assert box.rpc("eth_chainId") == {"jsonrpc": "2.0", "id": 7, "result": hex(CHAIN_ID)}
    assert box.ask("net_version") == str(CHAIN_ID)
    assert box.ask("eth_syncing") is False
    assert int(box.ask("eth_getBalance", box.account, "latest"), 16) > ETHER


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", -32700),
        ([], -32600),
        ({"id": 1}, -32600),
        ({"id": 1, "method": "eth_nothing"}, -32601),
        ({"id": 1, "method": "__init__"}, -32601),
        ({"id": 1, "method": "eth_getBalance"}, -32602),
        ({"id": 1, "method": "eth_getBalance", "params": ["0x01", "latest"]}, -32602),
        ({"id": 1, "method": "eth_getBalance", "params": {}}, -32602),
        ({"id": 1, "method": "eth_getBlockByNumber", "params": [5, False]}, -32602),
        ({"id": 1, "method": "eth_getBlockByNumber", "params": ["5", False]}, -32602),
        ({"id": 1, "method": "eth_sendRawTransaction", "params": ["0x1234"]}, -32000),
        ({"id": 1, "method": "eth_getCode", "params": ["0x" + "00" * 20, "0xffffff"]}, -32000),
    ],
)
def test_a_bad_request_gets_the_standard_s_error(box: Box, body: Any, code: int) -> None:
    if isinstance(body, dict):
        body = {"jsonrpc": "2.0", **body}
    answer = box.post(body)
    if box.is_ours:
        assert answer["error"]["code"] == code
    else:  # anvil takes decimal block numbers, and tells some faults by other codes of the standard
        assert "result" in answer or -32700 <= answer["error"]["code"] <= -32000


def test_a_batch_is_answered_in_order(box: Box) -> None:
    calls = [{"jsonrpc": "2.0", "id": n, "method": "eth_chainId"} for n in range(3)]
    answers = box.post([*calls, {"id": 3, "method": "eth_nothing"}])
    assert [answer["id"] for answer in answers] == [0, 1, 2, 3]
    assert "error" in answers[3]


def test_blocks_come_every_second_and_never_ahead_of_the_clock(box: Box) -> None:
    first = int(box.ask("eth_blockNumber"), 16)
    time.sleep(2.2)
    last = int(box.ask("eth_blockNumber"), 16)
    assert 1 <= last - first <= 4
    blocks = [box.ask("eth_getBlockByNumber", hex(n), False) for n in range(first, last + 1)]
    times = [int(block["timestamp"], 16) for block in blocks]
    assert times == sorted(times)
    assert times[-1] <= time.time()
    for parent, child in pairwise(blocks):
        assert child["parentHash"] == parent["hash"]
        assert box.ask("eth_getBlockByHash", child["hash"], False) == child
    assert box.ask("eth_getBlockByNumber", hex(last + 1_000), False) is None


def test_a_transaction_is_mined_at_once(box: Box) -> None:
    tx = box.send(to=ACCOUNTS[0], value=5)
    receipt = box.receipt(tx)
    assert (receipt["status"], receipt["gasUsed"]) == ("0x1", hex(21_000))
    sent = box.ask("eth_getTransactionByHash", tx)
    assert (sent["from"], sent["value"]) == (box.account.lower(), "0x5")
    block = box.ask("eth_getBlockByNumber", receipt["blockNumber"], True)
    assert block["transactions"] == [sent]
    assert box.ask("eth_getTransactionReceipt", "0x" + "00" * 32) is None


def test_a_transaction_that_cannot_be_mined_is_refused(box: Box) -> None:
    plain = {"nonce": 10**6, "gas": 21_000, "gasPrice": 4 * 10**9, "to": ACCOUNTS[0], "value": 1}
    foreign = Account.sign_transaction({**plain, "chainId": CHAIN_ID + 1}, box.key)
    future = Account.sign_transaction({**plain, "chainId": CHAIN_ID}, box.key)
    poor = Account.sign_transaction({**plain, "nonce": 0, "chainId": CHAIN_ID}, KEYS[5])
    for signed in (foreign, future, poor):
        answer = box.rpc("eth_sendRawTransaction", signed.raw_transaction.to_0x_hex())
        if box.is_ours:
            assert answer["error"]["code"] == -32000
        assert box.ask("eth_getTransactionReceipt", signed.hash.to_0x_hex()) is None


def test_logs_are_found_by_range_address_and_topic(box: Box) -> None:
    contract = deployed(box, "CommitLog")
    known = abi.function("CommitLog", "commitMany", view=False)
    entries = [(bytes([n]) * 32, b"s" * 32, b"v" * 32) for n in range(3)]
    start = int(box.ask("eth_blockNumber"), 16)
    tx = box.send(to=contract, data=known.call_data([entries]))
    receipt = box.receipt(tx)
    query = {"fromBlock": hex(start), "toBlock": "latest", "address": contract.lower()}
    assert box.ask("eth_getLogs", query) == receipt["logs"]
    assert [log["logIndex"] for log in receipt["logs"]] == ["0x0", "0x1", "0x2"]
    topic = "0x" + "01" * 32
    for wanted in ([None, topic], [None, [topic, "0x" + "09" * 32]]):
        found = box.ask("eth_getLogs", {**query, "topics": wanted})
        assert found == receipt["logs"][1:2]
    assert box.ask("eth_getLogs", {**query, "address": ACCOUNTS[0]}) == []
    assert box.ask("eth_getLogs", {**query, "toBlock": hex(start)}) == []
    assert box.ask("eth_getLogs", {"blockHash": receipt["blockHash"]}) == receipt["logs"]


def test_a_revert_carries_its_data(box: Box) -> None:
    contract = deployed(box, "AssetRegistry", b"\x00" * 32)
    data = abi.function("AssetRegistry", "operatorOf", view=True).call_data([9])
    call = {"to": contract, "data": "0x" + data.hex()}
    for method in ("eth_call", "eth_estimateGas"):
        error = box.rpc(method, call)["error"]
        assert error["code"] == 3
        assert abi.error_name(bytes.fromhex(error["data"][2:])) == "UnknownOwner"


def test_fees_are_in_camel_case(box: Box) -> None:
    history = box.ask("eth_feeHistory", "0x2", "latest", [50.0])
    assert len(history["baseFeePerGas"]) == 3
    assert len(history["gasUsedRatio"]) == len(history["reward"]) == 2
    assert int(box.ask("eth_gasPrice"), 16) > int(box.ask("eth_maxPriorityFeePerGas"), 16)


def test_async_web3_deploys_writes_reads_and_sees_errors(box: Box) -> None:
    async def story() -> None:
        web3 = AsyncWeb3(AsyncHTTPProvider(box.url))
        contract = web3.eth.contract(
            abi=abi.artifact("AssetRegistry").abi, bytecode=abi.artifact("AssetRegistry").bytecode
        )
        sender = {"from": web3.to_checksum_address(box.account)}
        plain = await contract.constructor(60).build_transaction(
            {**sender, "nonce": await web3.eth.get_transaction_count(sender["from"])}
        )
        signed = web3.eth.account.sign_transaction(plain, box.key)
        sent = await web3.eth.send_raw_transaction(signed.raw_transaction)
        receipt = await web3.eth.wait_for_transaction_receipt(sent)
        at = web3.eth.contract(address=receipt["contractAddress"], abi=contract.abi)
        assert await at.functions.ownerCount().call() == 0
        assert (await web3.eth.fee_history(2, "latest"))["oldestBlock"] > 0
        with pytest.raises(ContractCustomError):
            await at.functions.operatorOf(0).call()
        await web3.provider.disconnect()

    asyncio.run(story())


@pytest.mark.parametrize("module", BOTH)
def test_it_stops_when_its_parent_is_gone(module: str) -> None:
    if module == "settlement.anvil":
        need_anvil()
    made = started(module)
    assert made.process.stdin is not None
    made.process.stdin.close()
    assert stopped(made) == 0


def test_several_blocks_share_a_second_and_a_clock_set_back_is_no_harm() -> None:
    now = [1_000.0]
    chain = DevChain(1, [address_bytes(ACCOUNTS[0])], lambda: now[0])
    plain = {"chainId": 1, "gas": 21_000, "gasPrice": 4 * 10**9, "to": ACCOUNTS[1], "value": 1}
    for nonce, at in enumerate([1_000.0, 1_000.9, 999.0, 1_001.0]):
        now[0] = at
        chain.send(Account.sign_transaction({**plain, "nonce": nonce}, KEYS[0]).raw_transaction)
        chain.tick()
    assert [chain.header(n).timestamp for n in range(5)] == [1_000, 1_000, 1_000, 1_000, 1_001]


def deployed(box: Box, contract: str, args: bytes = b"") -> str:
    tx = box.send(data=abi.artifact(contract).bytecode + args)
    return checksum(address_bytes(box.receipt(tx)["contractAddress"]))
