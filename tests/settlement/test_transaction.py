"""Transactions in bytes, against eth-account's; signers that sign something else; the outbox's rules."""

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from eth_account import Account
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import OperatorError, PeerError
from protocol.ids import address_bytes, checksum
from settlement.outbox import bumped, intent, is_final, next_nonce
from settlement.signer import ExternalSigner, LocalSigner
from settlement.transaction import Call, Fees, Unsigned, parse, sign
from tests.settlement.pair import ACCOUNTS, KEYS

UINT64 = st.integers(0, 2**64 - 1)
FEES = st.builds(Fees, st.integers(0, 10**15), st.integers(0, 10**15))
CALLS = st.builds(
    Call,
    st.one_of(st.just(b""), st.binary(min_size=20, max_size=20)),
    st.integers(0, 2**128),
    st.binary(max_size=300),
)
TRANSACTIONS = st.builds(
    Unsigned, st.integers(1, 2**32), UINT64, FEES, st.integers(21_000, 2**32), CALLS
)
SAMPLE = Unsigned(7, 3, Fees(40, 2), 50_000, Call(b"\x11" * 20, 5, b"data"))


def as_account(unsigned: Unsigned) -> dict[str, Any]:
    call = unsigned.call
    return {
        **({"to": checksum(call.to)} if call.to else {}),
        "type": 2,
        "chainId": unsigned.chain_id,
        "nonce": unsigned.nonce,
        "maxFeePerGas": unsigned.fees.most,
        "maxPriorityFeePerGas": unsigned.fees.tip,
        "gas": unsigned.gas,
        "value": call.value,
        "data": call.data,
    }


@given(TRANSACTIONS, st.sampled_from(KEYS))
def test_bytes_are_eth_account_s_and_say_all_again(unsigned: Unsigned, key: bytes) -> None:
    raw = sign(key, unsigned)
    theirs = Account.sign_transaction(as_account(unsigned), key)
    assert raw == bytes(theirs.raw_transaction)
    found = parse(raw)
    assert (found.unsigned, found.hash) == (unsigned, bytes(theirs.hash))
    assert found.sender == ACCOUNTS[KEYS.index(key)]


@given(st.binary(max_size=200))
def test_other_bytes_are_no_transaction(raw: bytes) -> None:
    for body in (raw, b"\x02" + raw, sign(KEYS[0], SAMPLE)[:-1], sign(KEYS[0], SAMPLE) + b"\x00"):
        with pytest.raises(PeerError):
            parse(body)


# -- rules ---


@given(FEES, FEES, st.integers(0, 10**16))
def test_a_raised_fee_replaces_and_stays_below_the_ceiling(
    last: Fees, market: Fees, ceiling: int
) -> None:
    raised = bumped(last, market, ceiling)
    if raised is None:
        assert max(market.most, last.most * 113 // 100 + 1) > ceiling
        return
    assert raised.most <= ceiling and raised.tip <= raised.most
    assert raised.most >= market.most and 10 * raised.most >= 11 * last.most


@given(UINT64, st.lists(UINT64))
def test_a_nonce_is_never_taken_twice(mined: int, taken: list[int]) -> None:
    nonce = next_nonce(mined, taken)
    assert nonce >= mined and nonce not in taken and nonce <= max([mined, *(t + 1 for t in taken)])


def test_an_intent_is_who_does_what() -> None:
    call = Call(b"\x11" * 20, 5, b"data")
    others = [
        intent(ACCOUNTS[1], call),
        intent(ACCOUNTS[0], replace(call, to=b"\x12" * 20)),
        intent(ACCOUNTS[0], replace(call, value=6)),
        intent(ACCOUNTS[0], replace(call, data=b"date")),
        intent(ACCOUNTS[0], replace(call, to=b"")),
    ]
    assert intent(ACCOUNTS[0], call) not in others and len(set(others)) == 5


def test_confirmations_are_blocks_on_top() -> None:
    assert [is_final(10, head, 3) for head in (10, 12, 13)] == [False, False, True]
    assert is_final(10, 10, 0)


# -- signers ---


@contextmanager
def clef(answer: Callable[[dict[str, Any]], Any]) -> Iterator[str]:
    """A program that keeps keys, as JSON-RPC."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            assert asked["method"] == "account_signTransaction"
            body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], **answer(asked["params"][0])})
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing is logged."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def signed_as_asked(asked: dict[str, Any]) -> str:
    number = {k: int(v, 16) for k, v in asked.items() if k not in ("from", "to", "data", "input")}
    fees = Fees(number["maxFeePerGas"], number["maxPriorityFeePerGas"])
    call = Call(address_bytes(asked["to"]), number["value"], bytes.fromhex(asked["data"][2:]))
    plain = Unsigned(number["chainId"], number["nonce"], fees, number["gas"], call)
    return "0x" + sign(KEYS[0], plain).hex()


def through(answer: Callable[[dict[str, Any]], Any]) -> Any:
    with clef(answer) as url:
        return asyncio.run(ExternalSigner(url, ACCOUNTS[0]).sign(SAMPLE))


def test_an_external_signer_signs_what_a_local_one_does() -> None:
    local = asyncio.run(LocalSigner(KEYS[0]).sign(SAMPLE))
    assert through(lambda asked: {"result": {"raw": signed_as_asked(asked), "tx": {}}}) == local
    assert through(lambda asked: {"result": signed_as_asked(asked)}) == local


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        ({"error": {"code": -32000, "message": "request denied"}}, "signer-refused"),
        ({"result": "0x1234"}, "signer-answer"),
        ({"result": None}, "signer-answer"),
        ({"result": "0x" + sign(KEYS[1], SAMPLE).hex()}, "signer-changed"),
        ({"result": "0x" + sign(KEYS[0], replace(SAMPLE, nonce=4)).hex()}, "signer-changed"),
        (
            {
                "result": "0x"
                + sign(KEYS[0], replace(SAMPLE, call=Call(b"\x12" * 20, 5, b""))).hex()
            },
            "signer-changed",
        ),
    ],
)
def test_nothing_else_than_what_was_asked_for_is_taken(answer: Any, code: str) -> None:
    with pytest.raises(OperatorError) as caught:
        through(lambda asked: answer)
    assert caught.value.code == code


def test_a_signer_that_is_not_there_is_told() -> None:
    with pytest.raises(OperatorError, match="signer-unreachable"):
        asyncio.run(ExternalSigner("http://127.0.0.1:9", ACCOUNTS[0]).sign(SAMPLE))
