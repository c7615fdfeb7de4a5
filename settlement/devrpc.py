"""JSON-RPC of the chain in a box: the Ethereum execution API over HTTP/1.1 on loopback.

Written against https://ethereum.github.io/execution-apis: quantities without leading zeros,
camelCase, revert data under error code 3, batches. Replies are written in one piece and Nagle's
algorithm is off, else every call waits for a delayed ACK.
"""

import json
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from settlement.devjson import (
    Call,
    Log,
    Mined,
    RpcError,
    call_of,
    header_json,
    log_json,
    receipt_json,
    to_bytes,
    to_hex,
    to_int,
    transaction_json,
)

MAX_BODY = 4 * 1024 * 1024  # bytes of one request
MAX_HISTORY = 1024  # blocks of one eth_feeHistory
PREFIXES = ("eth_", "evm_", "net_", "web3_")
TIP = 10**9  # wei a gas, what eth_maxPriorityFeePerGas suggests


class Chain(Protocol):
    """What the methods below need of a chain."""

    chain_id: int

    def head(self) -> int: ...
    def header(self, number: int) -> Any: ...
    def number_of(self, block_hash: bytes) -> int | None: ...
    def transactions(self, number: int) -> Sequence[Mined]: ...
    def transaction(self, tx: bytes) -> Mined | None: ...
    def logs(self, first: int, last: int) -> Sequence[Log]: ...
    def account(self, address: bytes, number: int) -> tuple[int, int, bytes]: ...
    def storage(self, address: bytes, slot: int, number: int) -> int: ...
    def call(self, call: Call, number: int) -> bytes: ...
    def estimate(self, call: Call, number: int) -> int: ...
    def send(self, raw: bytes) -> bytes: ...
    def automine(self, on: bool) -> None: ...
    def mine(self) -> None: ...
    def snapshot(self) -> int: ...
    def revert(self, snapshot: int) -> bool: ...


class Methods:
    """The methods by name; each takes its JSON parameters and returns a JSON value."""

    def __init__(self, chain: Chain) -> None:
        self._chain = chain

    def answer(self, request: object) -> dict[str, Any]:
        """The response object of one request object."""
        given = request.get("id") if isinstance(request, dict) else None
        try:
            return {"jsonrpc": "2.0", "id": given, "result": self._dispatch(request)}
        except RpcError as error:
            fault: dict[str, Any] = {"code": error.code, "message": str(error)}
            if error.data is not None:
                fault["data"] = error.data
            return {"jsonrpc": "2.0", "id": given, "error": fault}

    def _dispatch(self, request: object) -> Any:
        if not isinstance(request, dict) or not isinstance(request.get("method"), str):
            raise RpcError(-32600, "invalid request")
        name, params = request["method"], request.get("params", [])
        method = getattr(self, name, None) if name.startswith(PREFIXES) else None
        if method is None:
            raise RpcError(-32601, f"the method {name} does not exist")
        if not isinstance(params, list):
            raise RpcError(-32602, "params must be an array")
        try:
            return method(*params)
        except (TypeError, ValueError, KeyError, AttributeError) as error:
            raise RpcError(-32602, f"invalid params for {name}: {error}") from error

    def web3_clientVersion(self) -> str:
        return "openledger-devchain/1"

    def net_version(self) -> str:
        return str(self._chain.chain_id)

    def eth_chainId(self) -> str:
        return hex(self._chain.chain_id)

    def eth_syncing(self) -> bool:
        return False

    def eth_accounts(self) -> list[str]:
        return []

    def eth_blockNumber(self) -> str:
        return hex(self._chain.head())

    def eth_gasPrice(self) -> str:
        return hex(self._chain.header(self._chain.head()).base_fee_per_gas + TIP)

    def eth_maxPriorityFeePerGas(self) -> str:
        return hex(TIP)

    def eth_feeHistory(
        self, count: str | int, newest: str, percentiles: Sequence[float] = ()
    ) -> dict[str, Any]:
        last = self._at(newest)
        wanted = to_int(count) if isinstance(count, str) else count
        first = max(0, last - min(max(wanted, 1), MAX_HISTORY) + 1)
        headers = [self._chain.header(number) for number in range(first, last + 1)]
        # the last entry is the next block's; an unchanged base fee is close enough an estimate
        fees = [hex(header.base_fee_per_gas) for header in [*headers, headers[-1]]]
        ratios = [header.gas_used / header.gas_limit for header in headers]
        history = {"oldestBlock": hex(first), "baseFeePerGas": fees, "gasUsedRatio": ratios}
        tips = {"reward": [[hex(TIP)] * len(percentiles)] * len(headers)} if percentiles else {}
        return {**history, **tips}

    def eth_getBalance(self, address: str, block: str = "latest") -> str:
        return hex(self._chain.account(to_bytes(address, 20), self._at(block))[0])

    def eth_getTransactionCount(self, address: str, block: str = "latest") -> str:
        return hex(self._chain.account(to_bytes(address, 20), self._at(block))[1])

    def eth_getCode(self, address: str, block: str = "latest") -> str:
        return to_hex(self._chain.account(to_bytes(address, 20), self._at(block))[2])

    def eth_getStorageAt(self, address: str, slot: str, block: str = "latest") -> str:
        word = self._chain.storage(to_bytes(address, 20), to_int(slot), self._at(block))
        return to_hex(word.to_bytes(32, "big"))

    def eth_call(self, call: Mapping[str, str], block: str = "latest") -> str:
        return to_hex(self._chain.call(call_of(call), self._at(block)))

    def eth_estimateGas(self, call: Mapping[str, str], block: str = "latest") -> str:
        return hex(self._chain.estimate(call_of(call), self._at(block)))

    def eth_sendRawTransaction(self, raw: str) -> str:
        return to_hex(self._chain.send(to_bytes(raw)))

    def eth_getBlockByNumber(self, block: str, full: bool = False) -> dict[str, Any] | None:
        number = self._number(block)
        return self._block(number, full) if number <= self._chain.head() else None

    def eth_getBlockByHash(self, block: str, full: bool = False) -> dict[str, Any] | None:
        number = self._chain.number_of(to_bytes(block, 32))
        return None if number is None else self._block(number, full)

    def eth_getTransactionByHash(self, tx: str) -> dict[str, Any] | None:
        mined = self._chain.transaction(to_bytes(tx, 32))
        return None if mined is None else transaction_json(mined, self._base_fee(mined))

    def eth_getTransactionReceipt(self, tx: str) -> dict[str, Any] | None:
        mined = self._chain.transaction(to_bytes(tx, 32))
        if mined is None:
            return None
        logs = [log for log in self._chain.logs(mined.block, mined.block) if log.tx == to_bytes(tx)]
        return receipt_json(mined, self._base_fee(mined), logs)

    def eth_getLogs(self, query: Mapping[str, Any]) -> list[dict[str, Any]]:
        if "blockHash" in query:
            number = self._chain.number_of(to_bytes(query["blockHash"], 32))
            if number is None:
                raise RpcError(-32000, "unknown block")
            first = last = number
        else:
            first = self._number(query.get("fromBlock", "latest"))
            last = self._number(query.get("toBlock", "latest"))
        wanted = query.get("address") or []
        addresses = {to_bytes(a, 20) for a in ([wanted] if isinstance(wanted, str) else wanted)}
        topics = query.get("topics") or []
        return [
            log_json(log)
            for log in self._chain.logs(first, last)
            if (not addresses or log.address in addresses) and _matches(log, topics)
        ]

    def evm_setAutomine(self, on: bool) -> bool:
        self._chain.automine(on)
        return True

    def evm_mine(self) -> str:
        self._chain.mine()
        return "0x0"

    def evm_snapshot(self) -> str:
        return hex(self._chain.snapshot())

    def evm_revert(self, snapshot: str) -> bool:
        return self._chain.revert(to_int(snapshot))

    def _at(self, block: str) -> int:
        number = self._number(block)
        if number > self._chain.head():
            raise RpcError(-32000, "header not found")
        return number

    def _number(self, block: str) -> int:
        if block in ("latest", "pending", "safe", "finalized"):
            return self._chain.head()
        return 0 if block == "earliest" else to_int(block)

    def _base_fee(self, mined: Mined) -> int:
        return int(self._chain.header(mined.block).base_fee_per_gas)

    def _block(self, number: int, full: bool) -> dict[str, Any]:
        header, mined = self._chain.header(number), self._chain.transactions(number)
        fee = header.base_fee_per_gas
        listed = [transaction_json(m, fee) if full else to_hex(m.transaction.hash) for m in mined]
        return {**header_json(header), "transactions": listed, "uncles": [], "withdrawals": []}


def server(chain: Chain, port: int) -> ThreadingHTTPServer:
    """An HTTP server on loopback, a thread a connection; port 0 takes a free one."""
    methods = Methods(chain)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1
        disable_nagle_algorithm = True

        def do_POST(self) -> None:
            size = self.headers.get("Content-Length", "")
            if not size.isdecimal() or int(size) > MAX_BODY:
                self.close_connection = True
                return self.send_error(413 if size.isdecimal() else 411)
            body = json.dumps(reply(methods, self.rfile.read(int(size)))).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)
            return None

        def log_message(self, format: str, *args: Any) -> None:
            """Requests are not logged: a node polls every second."""

    made = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    made.daemon_threads = True
    return made


def reply(methods: Methods, body: bytes) -> Any:
    """The JSON value that answers a request body, single or batch."""
    try:
        request = json.loads(body)
    except ValueError:
        fault = {"code": -32700, "message": "parse error"}
        return {"jsonrpc": "2.0", "id": None, "error": fault}
    if isinstance(request, list) and request:
        return [methods.answer(each) for each in request]
    return methods.answer(request)


def _matches(log: Log, wanted: Sequence[str | Sequence[str] | None]) -> bool:
    if len(wanted) > len(log.topics):
        return False
    return all(
        choice is None
        or topic in {to_bytes(each) for each in ([choice] if isinstance(choice, str) else choice)}
        for choice, topic in zip(wanted, log.topics, strict=False)
    )
