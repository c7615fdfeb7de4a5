"""A scenario is data: who takes part, whose text, what is trained and asked. TOML in, values out."""

import tomllib
from dataclasses import dataclass, fields, replace
from importlib.resources import files
from pathlib import Path
from typing import Any

from protocol import roles
from protocol.errors import OperatorError


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """What an owner publishes. ``copies`` names whose records a copycat re-submits."""

    datanet: str
    source: str
    part: int
    parts: int
    records: int
    copies: str = ""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """One process."""

    name: str
    roles: tuple[str, ...]
    shard: ShardPlan | None = None
    actor: str = ""


@dataclass(frozen=True, slots=True)
class DatanetPlan:
    name: str
    data_class: str
    licence: str
    description: str
    founder: str


STAGES = ("data", "job", "answer")
DOES = ("kill", "freeze", "restart")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to a process (a node's name, or ``chain``) ``after`` seconds of a stage.

    ``kill`` is SIGKILL, ``freeze`` SIGSTOP for ``lasts`` seconds, ``restart`` SIGKILL and a start with the
    same home ``lasts`` seconds later. In virtual time a frozen node is one that nothing reaches or leaves.
    """

    node: str
    stage: str
    does: str = "kill"
    after: float = 0.0
    lasts: float = 30.0


@dataclass(frozen=True, slots=True)
class Scenario:
    """``escrow`` and ``builder_open`` in OPEN."""

    preset: str
    base: str
    escrow: str
    builder_open: int
    prompt: str
    answer_tokens: int
    datanets: tuple[DatanetPlan, ...]
    nodes: tuple[NodePlan, ...]
    faults: tuple[Fault, ...] = ()
    name: str = ""  # of the packaged scenario, or of the file

    def named(self, name: str) -> NodePlan:
        return next(node for node in self.nodes if node.name == name)

    def with_role(self, role: str) -> tuple[NodePlan, ...]:
        return tuple(node for node in self.nodes if role in node.roles)

    @property
    def garbage(self) -> tuple[NodePlan, ...]:
        """Owners whose text is garbage by the plan; only the report's checks ask for it."""
        return tuple(n for n in self.nodes if n.shard and n.shard.source.startswith("garbage:"))

    @property
    def copycats(self) -> tuple[NodePlan, ...]:
        return tuple(n for n in self.nodes if n.shard and n.shard.copies)

    @property
    def cheats(self) -> tuple[NodePlan, ...]:
        """Workers that misbehave by the plan."""
        return tuple(n for n in self.nodes if n.actor)


def load_scenario(name: str) -> Scenario:
    """A packaged scenario by name, or one from a ``.toml`` path. Raises OperatorError naming the entry."""
    path = Path(name) if name.endswith(".toml") else None
    packaged = files("simnet").joinpath("scenarios", f"{name}.toml")
    try:
        text = path.read_text() if path else packaged.read_text()
        table = tomllib.loads(text)
        scenario = replace(_scenario(table), name=path.stem if path else name)
    except FileNotFoundError as error:
        raise OperatorError(
            "unknown-scenario",
            f"There is no scenario {name!r}.",
            "Known: demo, hurt, or a .toml path.",
        ) from error
    except (KeyError, TypeError, ValueError) as error:
        raise OperatorError(
            "bad-scenario", f"The scenario {name} is faulty: {error}.", "See simnet/scenarios/."
        ) from error
    return scenario


def _scenario(table: dict[str, Any]) -> Scenario:
    if "extends" in table:
        base = load_scenario(table.pop("extends"))
        return replace(base, faults=_faults(table, base.nodes))
    nodes = tuple(_node(dict(item)) for item in table.pop("nodes"))
    datanets = tuple(DatanetPlan(**item) for item in table.pop("datanets"))
    faults = _faults(table, nodes)
    unknown = set(table) - ({field.name for field in fields(Scenario)} - {"name"})
    if unknown:
        raise ValueError(f"unknown entry {sorted(unknown)[0]!r}")
    if len({node.name for node in nodes}) != len(nodes):
        raise ValueError("two nodes have one name")
    return Scenario(**table, datanets=datanets, nodes=nodes, faults=faults)


def _faults(table: dict[str, Any], nodes: tuple[NodePlan, ...]) -> tuple[Fault, ...]:
    """The faults of a scenario; what a runner could not do is refused before anything starts."""
    found = tuple(Fault(**item) for item in table.pop("faults", ()))
    for fault in found:
        if fault.node not in {"chain", *(node.name for node in nodes)}:
            raise ValueError(f"a fault of {fault.node!r}, which is no node")
        if fault.stage not in STAGES or fault.does not in DOES:
            raise ValueError(f"the fault of {fault.node} has a stage or deed that is not known")
        if fault.node in ("chain", "builder") and fault.does == "restart":
            raise ValueError(f"{fault.node} cannot be restarted: the run hangs on it")
    return found


def _node(item: dict[str, Any]) -> NodePlan:
    shard = item.pop("shard", None)
    names = tuple(item.pop("roles"))
    roles.mask(names)
    return NodePlan(roles=names, shard=ShardPlan(**shard) if shard else None, **item)
