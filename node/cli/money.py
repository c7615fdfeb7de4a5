"""``claim``, ``challenge``, ``stake``, ``unstake``, ``fund`` and ``chat``: what is earned, locked and paid."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from node.cli import client
from node.cli.accounts import AccountOption, KeystoreOption, SignerOption, connected, signer_of
from node.cli.app import MONEY, JsonFlag, app, home_of
from node.cli.explain import epoch_state, print_explained
from node.cli.output import money, print_json, print_line, print_table, short
from node.home import Home

if TYPE_CHECKING:
    from settlement.signer import Signer


@app.command(rich_help_panel=MONEY)
def claim(
    context: typer.Context,
    explain: Annotated[
        bool, typer.Option("--explain", help="Say what is owed, and why not yet.")
    ] = False,
    batch: Annotated[
        bool, typer.Option("--batch", help="For every owner, each to its payout address.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Claim everything that is due, to the payout address."""
    home = home_of(context)
    act = "claim/batch" if batch else "claim"
    value = client.get(home, "claim/explain") if explain else client.post(home, act, {})
    if as_json:
        print_json(value)
    elif explain:
        print_explained(value)
    elif value["claimed"] == "0":
        print_line("Nothing to claim now. Why: openledger claim --explain")
    elif batch:
        print_line(f"Claimed {money(value['claimed'])} for {value['owners']} owners")
        print_line("\n".join(value["txs"]))
    else:
        print_line(f"Claimed {money(value['claimed'])}, transaction {value['tx']}")
        before, after = money(value["balance_before"]), money(value["balance_after"])
        print_line(f"Balance of the payout address: {before} -> {after}")


@app.command(rich_help_panel=MONEY)
def challenge(
    context: typer.Context,
    epoch: Annotated[
        int | None, typer.Argument(help="A pending epoch; without it: what this node finds.")
    ] = None,
    anyway: Annotated[
        bool, typer.Option("--anyway", help="Although this node derives the same.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Hold the newest epoch against what this node derives; bring it before a jury, with a bond."""
    home = home_of(context)
    if epoch is None:
        value = client.get(home, "review")
    else:
        value = client.post(home, "challenge", {"epoch": epoch, "anyway": anyway})
    if as_json:
        print_json(value)
    elif epoch is None:
        found = value["fault"] or "it pays what this node derives"
        print_line(f"Epoch {value['epoch']}: {found}")
        print_line(f"It is {epoch_state(value)}; a challenge takes {money(value['bond'])} of stake")
    else:
        print_line(f"Challenged epoch {epoch}, transaction {value['tx']}: a jury decides")


@app.command(rich_help_panel=MONEY)
def stake(
    context: typer.Context,
    amount: Annotated[
        str | None, typer.Argument(help="In OPEN; without it: what there is.")
    ] = None,
    keystore: KeystoreOption = None,
    signer: SignerOption = None,
    account: AccountOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Show or add stake: of the operator account, or of another one that signs here."""
    home = home_of(context)
    if amount is None:
        _show_stake(home, as_json)
        return
    signs = signer_of(keystore, signer, account)
    value = (
        client.post(home, "stake", {"amount": amount})
        if signs is None
        else _deposit(home, signs, amount)
    )
    if as_json:
        print_json(value)
        return
    print_line(f"Deposited {amount} OPEN, transaction {value['tx']}; now {money(value['stake'])}")


@app.command(rich_help_panel=MONEY)
def unstake(
    context: typer.Context,
    amount: Annotated[
        str | None, typer.Argument(help="In OPEN; without it: what is on its way.")
    ] = None,
    withdraw: Annotated[
        bool, typer.Option("--withdraw", help="Send what has unbonded to the payout address.")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Start the way out of stake, see how far it is, or take what has arrived."""
    home = home_of(context)
    if withdraw:
        value = client.post(home, "withdraw", {})
    elif amount is None:
        value = client.get(home, "unbonding")
    else:
        value = client.post(home, "unstake", {"amount": amount})
    if as_json:
        print_json(value)
    elif withdraw:
        print_line(
            f"{money(value['withdrawn'])} went to {value['payout']}, transaction {value['tx']}"
        )
    else:
        print_line(
            f"{money(value['unbonding'])} unbonding, {money(value['locked'])} locked by open work"
        )
        if value["unbonding"] != "0":
            print_line(f"From unix time {value['release_at']} on: openledger unstake --withdraw")


@app.command(rich_help_panel=MONEY)
def fund(
    context: typer.Context,
    pot: Annotated[str, typer.Argument(help="A job's id: openledger job list.")],
    amount: Annotated[str, typer.Argument(help="In OPEN.")],
    as_json: JsonFlag = False,
) -> None:
    """Add coins of the operator account to a job's pot."""
    value = client.post(home_of(context), "pots/fund", {"pot": pot, "amount": amount})
    if as_json:
        print_json(value)
        return
    print_line(f"Added {amount} OPEN to pot {short(pot)}, transaction {value['tx']}")


def _show_stake(home: Home, as_json: bool) -> None:
    status = client.get(home, "status")
    value = {name: status[name] for name in ("operator", "owner_index", "stake", "roles")}
    if as_json:
        print_json(value)
        return
    print_line(f"{money(value['stake'])} for {', '.join(value['roles'])}")
    print_line("Add to it: openledger stake AMOUNT, from another account with --keystore FILE")


def _deposit(home: Home, signs: "Signer", amount: str) -> dict[str, Any]:
    """Stake from an account of its own, straight to the chain of the network file."""
    import os

    import trio

    from bootstrap.network import load_network
    from node.config import load_config
    from node.money import open_units
    from settlement.abi import CONTRACTS

    config = load_config(home, os.environ)
    network, units = load_network(config.network), open_units(amount)
    operator = client.get(home, "status")["operator"]
    url = next(iter((*config.chain_rpc, *network.rpc)), "")

    async def act() -> dict[str, Any]:
        async with connected(url) as (thread, chain):
            chain.use({name: network.contract(name) for name in CONTRACTS})
            spender = chain.address("WorkerStake")
            allow = chain.call_of("OpenToken", "approve", (spender, units))
            await thread.run(chain.transact, signs, allow)
            deposit = chain.call_of("WorkerStake", "deposit", (operator, units))
            receipt = await thread.run(chain.transact, signs, deposit)
            stake = await thread.run(chain.read, "WorkerStake", "stakeOf", operator)
        return {"tx": "0x" + receipt.tx.hex(), "block": receipt.block, "stake": str(stake)}

    return trio.run(act)


@app.command(rich_help_panel=MONEY)
def chat(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="Model id: openledger job show JOB.")],
    prompt: Annotated[str, typer.Argument()],
    max_tokens: Annotated[int, typer.Option(min=1, max=2_048)] = 48,
    as_json: JsonFlag = False,
) -> None:
    """One paid answer, with the records that moved it."""
    body = {"model": model, "prompt": prompt, "max_tokens": max_tokens}
    value = client.post(home_of(context), "chat", body)
    if as_json:
        print_json(value)
        return
    print_line(value["text"])
    print_line(f"\nThe base alone: {value['base_text']}")
    print_line(f"Fee {money(value['fee'])}, receipt {value['receipt']}\n")
    rows = [(r["score"], f"#{r['owner']}", r["text"]) for r in value["records"]]
    print_table(["Score", "Owner", "Record"], rows, "No record moved this answer measurably.")
