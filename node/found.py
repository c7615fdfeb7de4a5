"""Founding a network: all contracts on a chain, and the network file that others join by.

A plan is written beside the network file before the first transaction; with it an interrupted run goes
on, and a second run finds what is there. Awaits the chain only: it runs in the asyncio thread.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.crypto import keccak

from bootstrap.network import Contract, Genesis, NetworkFile, load_network, save_network
from node.home import write_file
from protocol.errors import ChainError, OperatorError
from protocol.ids import address_bytes
from protocol.params import Params
from protocol.signing import WIRE_VERSION
from settlement.deploy import (
    Deployment,
    DeployParams,
    Start,
    go_on,
    start_now,
    terms_of,
    verify_code,
)
from settlement.evm import EvmChain
from settlement.signer import Signer

Tell = Callable[[str], None]
REMEDY = "Name another --out, or move the old files away."


@dataclass(frozen=True, slots=True)
class Founding:
    """What a founder decides. Addresses are EIP-55 text."""

    name: str
    params: Params
    seats: tuple[str, ...]  # operators of the aggregators
    quorum: int
    committee: tuple[str, ...]
    treasury: str
    seeds: tuple[str, ...]
    rpc: tuple[str, ...]

    @property
    def terms(self) -> DeployParams:
        """The constructors' parameters. Raises OperatorError ``bad-deploy``."""
        if not 1 <= self.quorum <= len(self.seats):
            text = f"A quorum of {self.quorum} out of {len(self.seats)} seats."
            raise OperatorError("bad-deploy", text, "Name more --seat, or another --quorum.")
        judges = self.params.committee_quorum
        if len(self.committee) < judges:
            text = f"{len(self.committee)} committee seats, {judges} must agree."
            raise OperatorError("bad-deploy", text, "Name more --committee.")
        return terms_of(self.params, self.seats, self.quorum, self.committee, judges, self.treasury)

    def file(self, made: Deployment) -> NetworkFile:
        """The network file of a deployment."""
        genesis = Genesis(
            chain_id=made.chain_id,
            genesis_block=made.genesis_block,
            contracts=tuple(
                Contract(name, address_bytes(at)) for name, at in sorted(made.addresses.items())
            ),
            seats=tuple(address_bytes(seat) for seat in self.seats),
            quorum=self.quorum,
            committee=tuple(address_bytes(seat) for seat in self.committee),
            treasury=address_bytes(self.treasury),
            params=self.params.hash,
        )
        return NetworkFile(self.name, self.params, genesis, self.seeds, self.rpc, WIRE_VERSION)


async def found(
    chain: EvmChain, signer: Signer, wanted: Founding, out: Path, tell: Tell
) -> NetworkFile:
    """Deploy what is missing, register the treasury, write the network file; idempotent.

    Raises OperatorError ``other-network`` for a file of something else, ``other-plan``, ChainError.
    """
    if out.exists():
        return await _found_already(chain, wanted, out, tell)
    plan = out.with_name(out.name + ".plan")
    start = await _planned(chain, signer, wanted, plan)
    made = await go_on(chain, signer, wanted.terms, start, tell)
    chain.use(made.addresses)
    await _register(chain, signer, wanted.treasury, tell)
    network = wanted.file(made)
    save_network(out, network)
    plan.unlink()
    tell(f"wrote {out}, network id {network.id.hex()}")
    return network


async def _found_already(chain: EvmChain, wanted: Founding, out: Path, tell: Tell) -> NetworkFile:
    network = load_network(out)
    at = {name: network.contract(name) for name in (c.name for c in network.genesis.contracts)}
    made = Deployment(chain.chain_id, network.genesis.genesis_block, at)
    if wanted.file(made).genesis != network.genesis:
        raise OperatorError("other-network", f"{out} is of another network.", REMEDY)
    try:
        await verify_code(chain, at)
    except ChainError as error:
        raise OperatorError("other-network", f"{out}: {error.text}.", REMEDY) from error
    tell(f"{out}: everything is deployed, with our bytecode")
    return network


async def _planned(chain: EvmChain, signer: Signer, wanted: Founding, plan: Path) -> Start:
    """The start that an earlier run wrote down, or a new one, on disk before anything is sent."""
    facts: dict[str, Any] = {
        "chain_id": chain.chain_id,
        "deployer": signer.address,
        "terms": keccak(repr(wanted.terms).encode()).hex(),
    }
    if plan.exists():
        try:
            known = json.loads(plan.read_text())
            start = Start(signer.address, int(known["nonce"]), int(known["genesis_block"]))
        except (ValueError, KeyError, TypeError) as error:
            raise OperatorError("other-plan", f"{plan} is unreadable.", REMEDY) from error
        if {name: known.get(name) for name in facts} != facts:
            raise OperatorError("other-plan", f"{plan} began another deployment.", REMEDY)
        return start
    start = await start_now(chain, signer.address)
    facts |= {"nonce": start.nonce, "genesis_block": start.genesis_block}
    write_file(plan, json.dumps(facts, indent=1).encode())
    return start


async def _register(chain: EvmChain, signer: Signer, treasury: str, tell: Tell) -> None:
    """The treasury must be an owner to be paid; only its own account can say so."""
    if await chain.read("AssetRegistry", "isRegistered", treasury):
        return
    if treasury != signer.address:
        tell(
            f"the treasury {treasury} must call AssetRegistry.registerOwner before the first epoch"
        )
        return
    await chain.transact(signer, chain.call_of("AssetRegistry", "registerOwner", (treasury,)))
    tell(f"registered the treasury {treasury}")
