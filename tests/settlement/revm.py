"""The only door to pyrevm: an EVM fast enough for random operations by the ten thousand.

pyrevm keeps one journal open over all calls, so slots stay warm and what it says of gas is not a
transaction's: no gas is reported.
"""

import re
from collections.abc import Callable

from pyrevm import EVM, BlockEnv, CfgEnv, Env

from protocol.ids import address_bytes, checksum
from tests.settlement.engines import BLOCK_GAS, Receipt

PADDING = 33  # zeros that revm keeps behind the code it has analysed
FAILED = re.compile(r"^(?:Revert \{ gas_used: \d+, output: 0x([0-9a-f]*) \}|Halt \{ .*)")


class Revm:
    """revm, without signatures, nonces and gas of transactions."""

    def __init__(self, chain_id: int, now: Callable[[], int]) -> None:
        self._now = now
        self._number = 0
        self.at = 0
        self._evm = EVM(Env(cfg=CfgEnv(chain_id=chain_id)), spec_id="CANCUN")
        self.tick()

    def create(self, key: bytes, sender: str, code: bytes) -> None:
        self._evm.deploy(sender, code)
        self.tick()

    def send(self, key: bytes, sender: str, to: str, data: bytes) -> Receipt:
        receipt = self._call(sender, to, data)
        if not receipt.failed:
            self.tick()
        return receipt

    def view(self, to: str, data: bytes) -> Receipt:
        return self._call(checksum(bytes(20)), to, data, static=True)

    def code(self, address: str) -> bytes:
        return bytes(self._evm.get_code(address) or b"")[:-PADDING]

    def tick(self) -> None:
        self._number += 1
        block = BlockEnv(self._number, timestamp=self._now(), basefee=0, gas_limit=BLOCK_GAS)
        self._evm.set_block_env(block)

    def next(self) -> int:
        return self._number

    def block_hash(self, number: int) -> bytes:
        return bytes(self._evm.block_hash(number))

    def _call(self, sender: str, to: str, data: bytes, *, static: bool = False) -> Receipt:
        self.at = self._number
        try:
            output = self._evm.message_call(
                sender, to, calldata=data, gas=BLOCK_GAS, is_static=static
            )
        except RuntimeError as error:
            found = FAILED.match(str(error))
            if found is None:
                raise
            return Receipt(bytes.fromhex(found[1] or ""), True)
        finally:
            self._evm.reset_transient_storage()  # as at the end of a transaction
        result = self._evm.result
        assert result is not None
        logs = tuple(
            (address_bytes(log.address), tuple(log.data[0]), bytes(log.data[1]))
            for log in result.logs
        )
        return Receipt(bytes(output), False, logs)
