"""``chain``: the network's chain as the node sees it, and the founding of a network."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from node.cli.accounts import AccountOption, KeystoreOption, SignerOption, connected, signer_of
from node.cli.app import JsonFlag, home_of
from node.cli.output import print_json, print_line, print_table, short
from protocol.errors import OperatorError

if TYPE_CHECKING:
    from node.found import Founding
    from settlement.deploy import DeployParams
    from settlement.signer import Signer

app = typer.Typer(no_args_is_help=True, help="The settlement chain.")
GWEI, ETHER = 10**9, 10**18
NO_SIGNER = "Name --keystore FILE, or --signer URL and --account, or set OPENLEDGER_KEY."


@app.command()
def status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Head, gas, transactions on their way and contracts, as the running node knows them."""
    from node.cli import client

    value = client.get(home_of(context), "chain")
    if as_json:
        print_json(value)
        return
    head = value["head"]
    rows = [
        ("Chain", str(value["chain_id"])),
        ("Head", f"block {head['number']}, {head['age']} s old"),
        ("Folded", f"up to block {value['folded']}"),
        ("Operator", value["operator"]),
        ("Pending", f"{len(value['pending'])} transactions"),
        ("Faults", ", ".join(f"{k} x{n}" for k, n in value["faults"].items()) or "none"),
        *((name, address) for name, address in value["contracts"].items()),
    ]
    print_table(["", ""], rows, "")
    pending = [(p["nonce"], short(p["tx"]), p["forms"], f"{p['age']} s") for p in value["pending"]]
    print_table(["Nonce", "Transaction", "Signed forms", "Since"], pending, "")


@app.command()
def deploy(
    rpc: Annotated[str, typer.Option(help="JSON-RPC URL of the chain.")],
    out: Annotated[Path, typer.Option(help="The network file to write.")],
    name: Annotated[str, typer.Option(help="The network's name.")],
    seat: Annotated[list[str], typer.Option(help="An aggregator's operator; several times.")],
    committee: Annotated[
        list[str] | None, typer.Option(help="A committee member's operator (default: the seats).")
    ] = None,
    quorum: Annotated[int, typer.Option(help="Seats that must sign; 0: more than half.")] = 0,
    preset: Annotated[str, typer.Option(help="The parameters.")] = "devnet",
    treasury: Annotated[str, typer.Option(help="Its address (default: the deployer).")] = "",
    seed: Annotated[list[str] | None, typer.Option(help="A seed's multiaddr.")] = None,
    keystore: KeystoreOption = None,
    signer: SignerOption = None,
    account: AccountOption = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what it costs.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Put all contracts on a chain, verify them, write the network file. Goes on where it stopped."""
    from node.found import Founding
    from protocol.params import PRESETS
    from protocol.params import preset as preset_of

    signs = signer_of(keystore, signer, account)
    if signs is None:
        raise OperatorError("no-signer", "No account to deploy with.", NO_SIGNER)
    if preset not in PRESETS:
        raise OperatorError("bad-preset", f"No preset {preset!r}.", f"Known: {', '.join(PRESETS)}.")
    wanted = Founding(
        name=name,
        params=preset_of(preset),
        seats=_addresses(seat),
        quorum=quorum or len(seat) // 2 + 1,
        committee=_addresses(committee or seat),
        treasury=_addresses([treasury])[0] if treasury else signs.address,
        seeds=tuple(seed or ()),
        rpc=(rpc,),
    )
    if dry_run:
        _print_quote(rpc, signs.address, wanted.terms, as_json)
    else:
        _deploy(rpc, signs, wanted, out, as_json)


def _deploy(rpc: str, signs: "Signer", wanted: "Founding", out: Path, as_json: bool) -> None:
    import trio

    from node.found import found

    async def act() -> None:
        async with connected(rpc) as (thread, chain):
            tell = (lambda text: None) if as_json else print_line
            network = await thread.run(found, chain, signs, wanted, out, tell)
        if as_json:
            contracts = {c.name: network.contract(c.name) for c in network.genesis.contracts}
            facts = {"network": str(out), "id": network.id.hex(), "contracts": contracts}
            print_json({**facts, "genesis_block": network.genesis.genesis_block})

    trio.run(act)


def _print_quote(rpc: str, account: str, terms: "DeployParams", as_json: bool) -> None:
    """Gas by contract, measured on an EVM of our own, at the chain's present price."""
    import trio

    from settlement.quote import gas_of_deployment

    async def ask() -> tuple[int, int]:
        async with connected(rpc) as (thread, chain):
            fees, held = await thread.run(chain.fees), await thread.run(chain.balance, account)
        return (fees.most - fees.tip) // 2 + fees.tip, held

    price, held = trio.run(ask)
    gas = gas_of_deployment(terms)
    total = sum(gas.values())
    if as_json:
        prices = {"price_wei": str(price), "cost_wei": str(total * price), "held_wei": str(held)}
        print_json({"account": account, "gas": gas, "total_gas": total, **prices})
        return
    rows = [(contract, f"{used:,}", _coin(used * price)) for contract, used in gas.items()]
    rows.append(("All", f"{total:,}", _coin(total * price)))
    print_table(["Contract", "Gas", f"At {price / GWEI:g} gwei"], rows, "")
    print_line(
        f"{account} holds {_coin(held)}: " + ("enough" if held >= total * price else "TOO LITTLE")
    )


def _coin(wei: int) -> str:
    return f"{wei / ETHER:.6f} of the chain's coin"


def _addresses(texts: list[str]) -> tuple[str, ...]:
    from eth_utils.address import is_checksum_address

    for text in texts:
        if not is_checksum_address(text):
            raise OperatorError(
                "bad-address", f"{text!r} has no valid checksum (EIP-55).", "Copy it again."
            )
    return tuple(texts)
