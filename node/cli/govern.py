"""``govern``: wrap votes, propose, vote, queue, execute; the rules in force."""

from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from node.cli import client
from node.cli.app import JsonFlag, home_of
from node.cli.output import money, print_json, print_line, print_table, short
from protocol.errors import OperatorError

app = typer.Typer(no_args_is_help=True, help="Vote on the rules of the network.")

Proposal = Annotated[str, typer.Argument(help="Its number, or the beginning of it.")]
Amount = Annotated[str, typer.Argument(help="OPEN, e.g. 10000 or 0.5.")]
Why = Annotated[str, typer.Option("--why", help="The reason, for the voters.")]


@app.command()
def show(context: typer.Context, as_json: JsonFlag = False) -> None:
    """The rules in force and to come, and this node's votes."""
    value = client.get(home_of(context), "govern")
    if as_json:
        print_json(value)
        return
    print_line(f"Rule version {value['version']} is in force.")
    print_table(["Rule", "Value"], list(value["rules"].items()), "")
    for coming in value["versions"][value["version"] :]:
        rules = coming["rules"].items()
        changes = ", ".join(f"{k}={v}" for k, v in rules if value["rules"][k] != v)
        print_line(f"From {_time(coming['start'])} version {coming['version']}: {changes}")
    if value["paused_until"]:
        print_line(f"Commits and new channels are paused until {_time(value['paused_until'])}.")
    for each in value["successors"]:
        print_line(f"New business of {each['old']} belongs to {each['next']}.")
    g = value["governor"]
    print_line(
        f"A proposal needs {_votes(g['threshold'])} and {money(g['fee'])}, the vote a quorum of "
        f"{_votes(g['quorum'])}; it begins after {g['delay_seconds']} s, lasts "
        f"{g['vote_seconds']} s, and acts after {g['timelock_seconds']} s more."
    )
    print_line(
        f"This operator: {money(value['open'])}, {_votes(value['gopen'])} wrapped, "
        f"{_votes(value['votes'])} to vote with."
    )


@app.command("list")
def list_(context: typer.Context, as_json: JsonFlag = False) -> None:
    """All proposals and where they stand."""
    value = client.get(home_of(context), "govern")["proposals"]
    if as_json:
        print_json(value)
        return
    rows = [
        (
            short(each["proposal"]),
            each["state"],
            _votes(each["votes"]["for"]),
            _votes(each["votes"]["against"]),
            _time(each["ends"]),
            "; ".join(each["calls"]),
            each["text"],
        )
        for each in value
    ]
    columns = ["Proposal", "State", "For", "Against", "Vote ends", "Does", "Why"]
    print_table(columns, rows, "No proposals yet. Make one: openledger govern propose NAME=VALUE")


@app.command()
def propose(
    context: typer.Context,
    changes: Annotated[list[str], typer.Argument(help="NAME=VALUE: openledger govern show.")],
    why: Why,
    start: Annotated[int, typer.Option(help="Unix second; 0: as soon as may be.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Propose new rules, or guardian=ADDRESS, or successor=OLD:NEW. Costs the proposal fee."""
    home, pairs = home_of(context), [_pair(text) for text in changes]
    names = [name for name, _ in pairs]
    if names == ["guardian"]:
        value = client.post(home, "govern/guardian", {"address": pairs[0][1], "text": why})
    elif names == ["successor"]:
        old, _, next_ = pairs[0][1].partition(":")
        value = client.post(home, "govern/successor", {"old": old, "next": next_, "text": why})
    else:
        body = {"changes": {n: _whole(n, v) for n, v in pairs}, "start": start, "text": why}
        value = client.post(home, "govern/propose", body)
    if as_json:
        print_json(value)
        return
    print_line(f"Proposal {value['proposal']}")
    if "start" in value:
        print_line(f"If it passes, the rules are in force from {_time(value['start'])} on.")


@app.command()
def vote(
    context: typer.Context,
    proposal: Proposal,
    choice: Annotated[str, typer.Argument(help="for, against or abstain.")],
    as_json: JsonFlag = False,
) -> None:
    """Cast this operator's votes."""
    body = {"proposal": proposal, "choice": choice}
    value = client.post(home_of(context), "govern/vote", body)
    print_json(value) if as_json else print_line(f"{_votes(value['votes'])} cast {choice}.")


@app.command()
def queue(context: typer.Context, proposal: Proposal, as_json: JsonFlag = False) -> None:
    """Put a proposal that passed into the timelock."""
    _step(context, "queue", proposal, as_json)


@app.command()
def execute(context: typer.Context, proposal: Proposal, as_json: JsonFlag = False) -> None:
    """Do what a queued proposal says, once its delay is over."""
    _step(context, "execute", proposal, as_json)


@app.command()
def delegate(
    context: typer.Context,
    address: Annotated[str, typer.Argument(help="Who votes; without it this operator.")] = "",
    as_json: JsonFlag = False,
) -> None:
    """Let wrapped coins vote: they have no vote before."""
    value = client.post(home_of(context), "govern/delegate", {"address": address})
    print_json(value) if as_json else print_line(f"{value['delegate']} votes for {_held(value)}.")


@app.command()
def wrap(context: typer.Context, amount: Amount, as_json: JsonFlag = False) -> None:
    """Turn OPEN of this operator into gOPEN, 1:1."""
    value = client.post(home_of(context), "govern/wrap", {"amount": amount})
    print_json(value) if as_json else print_line(f"This operator has {_held(value)}.")


@app.command()
def unwrap(context: typer.Context, amount: Amount, as_json: JsonFlag = False) -> None:
    """Turn gOPEN of this operator back into OPEN, 1:1."""
    value = client.post(home_of(context), "govern/unwrap", {"amount": amount})
    print_json(value) if as_json else print_line(f"This operator has {_held(value)}.")


def _step(context: typer.Context, action: str, proposal: str, as_json: bool) -> None:
    value = client.post(home_of(context), f"govern/{action}", {"proposal": proposal})
    print_json(value) if as_json else print_line(f"The proposal is {value['state']}.")


def _pair(text: str) -> tuple[str, str]:
    name, found, value = text.partition("=")
    if not found or not name or not value:
        raise OperatorError("bad-change", f"{text!r} is not NAME=VALUE.", "E.g. samples=4")
    return name, value


def _whole(name: str, value: str) -> int:
    if not value.isdecimal():
        text = f"{name} is a whole number in the contract's units, not {value!r}."
        raise OperatorError("bad-change", text, "See: openledger govern show")
    return int(value)


def _held(value: dict[str, Any]) -> str:
    return f"{_votes(value['gopen'])} wrapped"


def _votes(units: str) -> str:
    return money(units).replace("OPEN", "gOPEN")


def _time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
