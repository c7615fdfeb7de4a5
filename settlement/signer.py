"""Who signs transactions: a key in this process, or a program that keeps it and asks its owner.

Daemon keys sign commitments and vouchers all day and hold gas only. Accounts that hold coins
(a funder's, a staker's) need not be on this machine: an external signer speaks JSON-RPC
(``account_signTransaction``, as Clef does), and what it returns is checked field by field.
"""

from typing import Any, Protocol

import aiohttp

from protocol.errors import OperatorError, PeerError
from protocol.ids import checksum
from protocol.typed_data import address_of
from settlement.transaction import Signed, Unsigned, parse, sign

ASK_SECONDS = 300.0  # a person may have to confirm


class Signer(Protocol):
    """One account that can sign."""

    @property
    def address(self) -> str:
        """Checksum address of the account."""
        ...

    async def sign(self, unsigned: Unsigned) -> Signed:
        """Raises OperatorError when it refuses, or signs something else."""
        ...


class LocalSigner:
    """A 32-byte secp256k1 key in memory."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self.address = checksum(address_of(key))

    async def sign(self, unsigned: Unsigned) -> Signed:
        return Signed(sign(self._key, unsigned), unsigned, self.address)


class ExternalSigner:
    """An account behind a JSON-RPC endpoint such as Clef's."""

    def __init__(self, url: str, address: str) -> None:
        self._url = url
        self.address = address

    async def sign(self, unsigned: Unsigned) -> Signed:
        """Ask, and take only what was asked for. Raises OperatorError ``signer-*``."""
        answer = await self._ask(asked(self.address, unsigned))
        raw = answer.get("raw") if isinstance(answer, dict) else answer
        try:
            signed = parse(bytes.fromhex(str(raw).removeprefix("0x")))
        except (ValueError, PeerError) as error:
            raise self._fault("signer-answer", f"answered no transaction ({error})") from error
        if signed.unsigned != unsigned or signed.sender != self.address:
            raise self._fault("signer-changed", "signed another transaction than was asked for")
        return signed

    async def _ask(self, transaction: dict[str, Any]) -> Any:
        body = {"jsonrpc": "2.0", "id": 1, "method": "account_signTransaction"}
        limit = aiohttp.ClientTimeout(total=ASK_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=limit) as session,
                session.post(self._url, json={**body, "params": [transaction]}) as response,
            ):
                answer = await response.json(content_type=None)
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            raise self._fault("signer-unreachable", f"does not answer ({error})") from error
        if not isinstance(answer, dict) or "result" not in answer:
            said = answer.get("error") if isinstance(answer, dict) else answer
            raise self._fault("signer-refused", f"refused: {said}")
        return answer["result"]

    def _fault(self, code: str, what: str) -> OperatorError:
        return OperatorError(
            code, f"The signer at {self._url} {what}.", "Check it, its rules and its account."
        )


def asked(account: str, unsigned: Unsigned) -> dict[str, Any]:
    """The transaction object of the execution API, hex quantities and camelCase."""
    to = {"to": checksum(unsigned.call.to)} if unsigned.call.to else {}
    return {
        "from": account,
        **to,
        "type": "0x2",
        "chainId": hex(unsigned.chain_id),
        "nonce": hex(unsigned.nonce),
        "gas": hex(unsigned.gas),
        "maxFeePerGas": hex(unsigned.fees.most),
        "maxPriorityFeePerGas": hex(unsigned.fees.tip),
        "value": hex(unsigned.call.value),
        "data": "0x" + unsigned.call.data.hex(),
        "input": "0x" + unsigned.call.data.hex(),
    }
