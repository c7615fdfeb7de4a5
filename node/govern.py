"""Governance as a node does it: wrap and delegate votes, propose, vote, queue, execute; what is in force.

The operator key signs and pays: whoever holds gOPEN elsewhere delegates it to this node's operator. A
proposal is a list of calls that the timelock will make; those that people need have a maker here.
"""

from collections.abc import Mapping
from dataclasses import asdict, replace

from eth_utils.address import is_checksum_address
from eth_utils.crypto import keccak

from node.actions import amount
from node.context import Context
from node.facade import Json
from protocol.errors import OperatorError, Reverted
from protocol.ids import checksum
from protocol.params import in_open
from protocol.rules import NAMES, Rules, genesis
from settlement import abi
from tasks.entries import ProposalEntry

GOVERNOR, RULES, VOTES = "OpenGovernor", "RuleRegistry", "GOpen"
STATES = (
    "pending",
    "active",
    "canceled",
    "defeated",
    "succeeded",
    "queued",
    "expired",
    "executed",
)
CHOICES = ("against", "for", "abstain")
REMEDIES = {
    "GovernorInsufficientProposerVotes": "Wrap more OPEN, or have gOPEN delegated to this operator.",
    "GovernorUnexpectedProposalState": "See its state: openledger govern list",
    "GovernorAlreadyCastVote": "A vote is cast once.",
    "TimelockUnexpectedOperationState": "Its time in the timelock is not over, or it was executed.",
    "StartTooEarly": "The rules' start has passed or lies before another version's; propose again.",
    "OffTheRails": "Keep the rails: openledger govern show",
    "ERC20InsufficientBalance": "Send OPEN to this node's operator, or take less.",
    "ERC20InsufficientAllowance": "Send OPEN to this node's operator.",
}

Call = tuple[str, str, tuple[object, ...]]  # contract, function, arguments


def rules_now(ctx: Context) -> Rules:
    """The rules in force at the head."""
    return ctx.board.rules_of(ctx.version) or genesis(ctx.params)


def changed(ctx: Context, changes: Mapping[str, int]) -> Rules:
    """The last version's rules with some of them changed. Raises OperatorError for an unknown name."""
    unknown = sorted(set(changes) - set(NAMES))
    if unknown:
        raise OperatorError(
            "unknown-rule", f"There is no rule {unknown[0]!r}.", f"Rules are: {', '.join(NAMES)}."
        )
    if not changes:
        raise OperatorError("no-change", "The proposal changes no rule.", "Name one: NAME=VALUE.")
    last = ctx.board.rules_of(len(ctx.board.rules)) or genesis(ctx.params)
    return replace(last, **changes)


def earliest_start(ctx: Context) -> int:
    """The first second at which rules proposed now can be in force, with a minute's leave to act."""
    p = ctx.params
    return ctx.head.time + p.vote_delay_seconds + p.vote_seconds + p.timelock_seconds + 60


async def propose_rules(
    ctx: Context, changes: Mapping[str, int], start: int, text: str
) -> tuple[int, int]:
    """Propose a version in force from ``start`` on (0: as soon as may be). Returns (proposal, start).

    What the timelock would be refused for is refused here, before it costs a fee.
    """
    rules, least = changed(ctx, changes), earliest_start(ctx)
    start = start or least
    if start < least:
        raise OperatorError(
            "starts-too-early",
            f"The vote and its delay end after {start}.",
            f"Start at {least} (Unix seconds) or later.",
        )
    await _check_rails(ctx, rules)
    call: Call = (RULES, "append", (rules.astuple(), start))
    return await propose(ctx, (call,), text), start


async def _check_rails(ctx: Context, rules: Rules) -> None:
    """What the registry would refuse the timelock for. Raises OperatorError ``off-the-rails``."""
    read = ctx.seams.chain.read
    fixed = [await read(RULES, name) for name in ("minWindow", "maxWindow", "unitStake")]
    broken = rules.broken_rail(*fixed)
    if broken:
        raise OperatorError("off-the-rails", f"{broken}.", "Keep the rails, which no vote moves.")


async def propose(ctx: Context, calls: tuple[Call, ...], text: str) -> int:
    """Pay the fee and propose; the proposal's number. Raises OperatorError with what to do."""
    targets = [ctx.seams.chain.address(contract) for contract, _, _ in calls]
    data = [
        abi.function(contract, function, view=False).call_data(args)
        for contract, function, args in calls
    ]
    fee = await ctx.seams.chain.read(GOVERNOR, "proposalFee")
    await _act(ctx, "OpenToken", "approve", ctx.seams.chain.address(GOVERNOR), fee)
    await _act(ctx, GOVERNOR, "propose", targets, [0] * len(calls), data, text)
    found = [p for p in ctx.board.proposals.values() if p.proposer == ctx.operator]
    number = found[-1].number
    ctx.note("govern", f"proposed {number:x} for {in_open(fee)}: {text}")
    return number


def proposal(ctx: Context, wanted: str) -> ProposalEntry:
    """A proposal by its number in hex, or the beginning of it. Raises OperatorError ``no-proposal``."""
    known = ctx.board.proposals.values()
    found = [p for p in known if f"{p.number:064x}".startswith(wanted.lower().removeprefix("0x"))]
    if len(found) != 1:
        text = f"{len(found)} proposals match {wanted!r}."
        raise OperatorError("no-proposal", text, "See: openledger govern list")
    return found[0]


async def vote(ctx: Context, wanted: str, choice: str) -> int:
    """Cast this operator's votes: their weight. Raises OperatorError."""
    if choice not in CHOICES:
        text = f"{choice!r} is no choice."
        raise OperatorError("bad-choice", text, f"Choose one of: {', '.join(CHOICES)}.")
    found = proposal(ctx, wanted)
    if ctx.head.time <= found.start:
        text = f"The vote begins after {found.start}."
        raise OperatorError("not-yet", text, "Vote then.")
    own = checksum(ctx.operator)
    votes = await ctx.seams.chain.read(VOTES, "getPastVotes", own, found.start)
    if not votes:
        raise OperatorError(
            "no-votes",
            "This operator had no votes when the vote began.",
            "Wrap OPEN and delegate before the next proposal: openledger govern wrap, delegate.",
        )
    await _act(ctx, GOVERNOR, "castVote", found.number, CHOICES.index(choice))
    return int(votes)


async def queue(ctx: Context, wanted: str) -> None:
    """Put a proposal that passed into the timelock; by anyone."""
    await _act(ctx, GOVERNOR, "queue", *_calls(proposal(ctx, wanted)))


async def execute(ctx: Context, wanted: str) -> None:
    """Make the calls of a queued proposal whose delay is over; by anyone."""
    await _act(ctx, GOVERNOR, "execute", *_calls(proposal(ctx, wanted)))


async def wrap(ctx: Context, amount: int) -> None:
    """OPEN of this operator into gOPEN, 1:1."""
    await _act(ctx, "OpenToken", "approve", ctx.seams.chain.address(VOTES), amount)
    await _act(ctx, VOTES, "depositFor", checksum(ctx.operator), amount)


async def unwrap(ctx: Context, amount: int) -> None:
    """gOPEN of this operator back into OPEN, 1:1."""
    await _act(ctx, VOTES, "withdrawTo", checksum(ctx.operator), amount)


async def delegate(ctx: Context, to: str) -> None:
    """Give this operator's votes to an address, its own included: before that they do not count."""
    await _act(ctx, VOTES, "delegate", to)


async def state(ctx: Context, entry: ProposalEntry) -> str:
    """Where a proposal stands, in a word."""
    return STATES[await ctx.seams.chain.read(GOVERNOR, "state", entry.number)]


def _calls(entry: ProposalEntry) -> tuple[object, ...]:
    return entry.targets, entry.values, entry.payloads, keccak(entry.text.encode())


async def _act(ctx: Context, contract: str, function: str, *args: object) -> None:
    try:
        receipt = await ctx.write(contract, function, *args)
    except Reverted as error:
        text = f"{contract}.{function} was refused: {error.code}."
        remedy = REMEDIES.get(error.code, "See: openledger govern show")
        raise OperatorError(error.code, text, remedy) from error
    await ctx.reached(receipt.block)


# -- what the API answers ---


async def view(ctx: Context) -> Json:
    """Rules in force and to come, this operator's votes, the governor's terms, all proposals."""
    read, own = ctx.seams.chain.read, checksum(ctx.operator)
    return {
        "version": ctx.version,
        "rules": asdict(rules_now(ctx)),
        "versions": [
            {"version": number, "start": entry.start, "rules": asdict(entry.rules)}
            for number, entry in enumerate(ctx.board.rules, 1)
        ],
        "guardian": await read(RULES, "guardian"),
        "paused_until": await read(RULES, "pausedUntil") if await read(RULES, "paused") else None,
        "operator": own,
        "open": str(await read("OpenToken", "balanceOf", own)),
        "gopen": str(await read(VOTES, "balanceOf", own)),
        "delegate": await read(VOTES, "delegates", own),
        "votes": str(await read(VOTES, "getVotes", own)),
        "governor": await _terms(ctx),
        "successors": [
            {"old": _name(ctx, old), "next": following}
            for old, following in ctx.board.successors.items()
        ],
        "earliest_start": earliest_start(ctx),
        "proposals": [await _shown(ctx, entry) for entry in ctx.board.proposals.values()],
    }


async def _terms(ctx: Context) -> Json:
    read = ctx.seams.chain.read
    return {
        "delay_seconds": await read(GOVERNOR, "votingDelay"),
        "vote_seconds": await read(GOVERNOR, "votingPeriod"),
        "timelock_seconds": await read("OpenTimelock", "getMinDelay"),
        "threshold": str(await read(GOVERNOR, "proposalThreshold")),
        "fee": str(await read(GOVERNOR, "proposalFee")),
        "quorum": str(await read(GOVERNOR, "quorum", ctx.head.time - 1)),
    }


async def _shown(ctx: Context, entry: ProposalEntry) -> Json:
    against, for_, abstain = await ctx.seams.chain.read(GOVERNOR, "proposalVotes", entry.number)
    eta = await ctx.seams.chain.read(GOVERNOR, "proposalEta", entry.number)
    return {
        "proposal": f"{entry.number:064x}",
        "state": await state(ctx, entry),
        "text": entry.text,
        "proposer": checksum(entry.proposer),
        "votes": {"against": str(against), "for": str(for_), "abstain": str(abstain)},
        "starts": entry.start,
        "ends": entry.end,
        "executable": eta or None,
        "calls": [
            described(ctx, to, data) for to, data in zip(entry.targets, entry.payloads, strict=True)
        ],
    }


def _name(ctx: Context, address: str) -> str:
    names = {ctx.seams.chain.address(name): name for name in abi.CONTRACTS}
    return names.get(address, address)


def described(ctx: Context, to: str, data: bytes) -> str:
    """A call in words; its bytes where they are no call of our contracts."""
    names = {ctx.seams.chain.address(name): name for name in abi.CONTRACTS}
    known = abi.selectors(names[to]).get(data[:4]) if to in names else None
    if known is None:
        return f"{names.get(to, to)} 0x{data.hex()}"
    args = known.arguments(data[4:])
    if (names[to], known.name) == (RULES, "append"):
        rules, start = Rules(*args[0]), args[1]
        last = asdict(rules_now(ctx))
        changes = [f"{k}={v}" for k, v in asdict(rules).items() if last[k] != v]
        return f"rules from {start}: {', '.join(changes) or 'as now'}"
    return f"{names[to]}.{known.name}({', '.join(map(str, args))})"


async def act(ctx: Context, action: str, body: Json) -> Json:
    """One action by its name, with a checked body. Raises OperatorError."""
    text = body.get("text", "")
    if action == "propose":
        number, start = await propose_rules(ctx, body["changes"], body["start"], text)
        return {"proposal": f"{number:064x}", "start": start}
    if action == "guardian":
        call: Call = (RULES, "nameGuardian", (_address(body["address"]),))
        return {"proposal": f"{await propose(ctx, (call,), text):064x}"}
    if action == "successor":
        old, next_ = (_address(body[name]) for name in ("old", "next"))
        call = (RULES, "nameSuccessor", (old, next_))
        return {"proposal": f"{await propose(ctx, (call,), text):064x}"}
    if action == "vote":
        return {"votes": str(await vote(ctx, body["proposal"], body["choice"]))}
    if action in ("queue", "execute"):
        await (queue if action == "queue" else execute)(ctx, body["proposal"])
        return {"state": await state(ctx, proposal(ctx, body["proposal"]))}
    if action == "delegate":
        await delegate(ctx, _address(body["address"] or checksum(ctx.operator)))
    elif action in ("wrap", "unwrap"):
        await (wrap if action == "wrap" else unwrap)(ctx, amount(body["amount"]))
    else:
        raise OperatorError("no-action", f"There is no action {action!r}.", "See the docs.")
    own = checksum(ctx.operator)
    names = {"gopen": "balanceOf", "delegate": "delegates", "votes": "getVotes"}
    return {name: str(await ctx.seams.chain.read(VOTES, f, own)) for name, f in names.items()}


def _address(text: str) -> str:
    if not is_checksum_address(text):
        raise OperatorError(
            "bad-address", f"{text!r} is no EIP-55 address.", "Copy it with its capitals."
        )
    return text
