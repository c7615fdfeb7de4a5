"""What a deployment would cost: the same transactions, run on an EVM of our own."""

from collections.abc import Mapping

from eth_abi.abi import encode
from eth_utils.crypto import keccak

from protocol.ids import checksum
from protocol.typed_data import address_of
from settlement import abi
from settlement.deploy import DeployParams, constructor_args, predicted
from settlement.devchain import DevChain
from settlement.transaction import Call, Fees, Unsigned, sign

CHAIN_ID = 1
GAS = 15_000_000
FEES = Fees(100 * 10**9, 10**9)
KEY = keccak(b"openledger deployment quote")


def gas_of_deployment(params: DeployParams) -> Mapping[str, int]:
    """Gas by contract, in order of deployment; within some hundred, as addresses have other zeros."""
    deployer = checksum(address_of(KEY))
    box = DevChain(CHAIN_ID, [address_of(KEY)])
    gas = {}
    for nonce, (contract, args) in enumerate(
        constructor_args(params, predicted(deployer, 0)).items()
    ):
        inputs = abi.constructor(contract)
        words = encode([param.canonical for param in inputs], abi.typed(inputs, args))
        call = Call(b"", 0, abi.artifact(contract).bytecode + words)
        mined = box.transaction(box.send(sign(KEY, Unsigned(CHAIN_ID, nonce, FEES, GAS, call))))
        assert mined is not None, "the chain in a box mines at once"
        gas[contract] = int(mined.receipt.gas_used)
    return gas
