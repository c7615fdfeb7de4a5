"""``status``, ``peers`` and ``dashboard``: what the running node says of itself."""

from typing import Annotated, Any

import typer

from node.cli import client
from node.cli.app import WATCH, JsonFlag, app, home_of
from node.cli.output import money, print_json, print_line, print_table


@app.command(rich_help_panel=WATCH)
def status(context: typer.Context, as_json: JsonFlag = False) -> None:
    """What this node is doing, and why."""
    value = client.get(home_of(context), "status")
    if as_json:
        print_json(value)
        return
    print_line(value["duty"])
    head = value["head"]
    rows = [
        ("Peer id", value["peer_id"]),
        ("Operator", value["operator"]),
        ("Payout", value["payout"] or "none chosen"),
        ("Roles", ", ".join(value["roles"])),
        ("Network", f"{value['network']}, chain {value['chain_id']}, block {head['number']}"),
        ("Reachable", _reachable(value["reachability"])),
        ("Stake", money(value["stake"])),
        ("Claimable", money(value["claimable_open"])),
        ("Claimed", money(value["claimed_open"])),
        ("Mesh", ", ".join(f"{t}: {n} peers" for t, n in value["mesh"].items()) or "no topic"),
        ("Wire", _newer(value["wire"])),
        ("Shards", _shards(value["shards"])),
        ("Keys", "backed up" if value["backed_up"] else "NOT backed up: openledger backup FILE"),
    ]
    rows += [
        (f"Refused by {one['peers']}", f"{one['reason']}: {one['text']} {one['remedy']}")
        for one in value["refused_by"]
    ]
    print_table(["", ""], rows, "")


@app.command(rich_help_panel=WATCH)
def peers(context: typer.Context, as_json: JsonFlag = False) -> None:
    """Who this node is connected to, and why it lost the others."""
    value = client.get(home_of(context), "peers")
    if as_json:
        print_json(value)
        return
    rows = [
        (
            f"…{peer['peer_id'][-8:]}",
            _state(peer),
            peer["direction"],
            "" if peer["latency_ms"] is None else f"{peer['latency_ms']} ms",
            ", ".join(peer["roles"]),
            peer["agent"],
            "relayed" if peer["relayed"] else peer["reach"],
            peer["faults"] or "",
        )
        for peer in value
    ]
    empty = "No peers yet: the node is dialling the network's seeds. Try: openledger doctor"
    columns = ["Peer", "State", "Way", "Latency", "Roles", "Agent", "Reach", "Faults"]
    print_table(columns, rows, empty)


def _reachable(reach: dict[str, Any]) -> str:
    return f"{reach['verdict']}: {reach['why']}. {reach['advice']}".strip()


def _shards(shards: dict[str, Any]) -> str:
    lookups = shards["lookups"]
    text = f"provides {shards['provided']}, keeps {shards['records']} records of providers"
    if not lookups:
        return text
    return f"{text}; {lookups.get('found', 0)} of {sum(lookups.values())} lookups found a holder"


def _newer(wire: dict[str, Any]) -> str:
    text = f"version {wire['version']}"
    if not wire["newer"]:
        return text
    return f"{text}; {wire['newer']} of {wire['peers']} peers are newer: update openledger-node"


def _state(peer: dict[str, Any]) -> str:
    """Connected, or why not."""
    if peer["banned_seconds"]:
        return f"banned for {peer['banned_seconds']} s"
    if peer["refused"]:
        return f"refused: {peer['refused']}"
    return "connected" if peer["connected"] else peer["lost_reason"] or "never met"


@app.command(rich_help_panel=WATCH)
def dashboard(
    context: typer.Context,
    browser: Annotated[bool, typer.Option(help="Open it in the browser.")] = True,
    as_json: JsonFlag = False,
) -> None:
    """The link to the running node's page."""
    home = home_of(context)
    client.get(home, "status")  # says so when the node is gone
    url = f"{client.address(home)}/?token={client.token(home)}"
    if as_json:
        print_json({"url": url})
        return
    print_line(url)
    if browser:
        import webbrowser

        webbrowser.open(url)
