"""The demo's story: a local network of real processes goes once round the loop.

The runner hands each node its config and the network file, funds it, asks what people would ask over the
nodes' own APIs, and reads what happened from the chain and from those APIs. It decides nothing.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from bootstrap.network import NetworkFile
from node.cli import client
from node.config import write_config
from node.doors import SystemRandomness
from node.home import Home
from node.keys import Identity, create_identity
from node.slots import WAITING
from protocol.errors import OpenLedgerError, OperatorError
from protocol.ids import checksum
from protocol.params import Params, preset
from protocol.typed_data import address_of
from settlement.anvil import local_chain
from simnet import texts
from simnet.processes import Group, environment, give
from simnet.scenario import NodePlan, Scenario, ShardPlan
from simnet.show import Progress
from simnet.simulation import shard_rows
from simnet.strikes import Strikes
from simnet.treasury import Seat, Treasury

CHAIN_ID = 31_337
POLL_S = 2.0
SILENCE_S = 120.0  # a node of a busy machine may take longer for one answer than a client waits
CHILDREN = 2  # compute children at a time on this machine
IDLE_S = 3  # so that a node with much to do finds the other's slot free
Json = dict[str, Any]


@dataclass(slots=True)
class Member:
    """One node of the run."""

    plan: NodePlan
    home: Home
    identity: Identity
    payout: str
    balance_before: int = 0
    rows: list[dict[str, str]] = field(default_factory=list)

    @property
    def seat(self) -> Seat:
        return Seat(self.plan.name, self.identity.operator, self.plan.roles)

    def get(self, path: str) -> Any:
        return client.get(self.home, path)

    def post(self, path: str, body: Json) -> Any:
        return client.post(self.home, path, body)


class Demo:
    """A run of one scenario in a folder."""

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        folder: Path,
        cache: Path,
        progress: Progress,
        isolate: bool = False,
    ) -> None:
        self.scenario = scenario
        self.seed = seed
        self.folder = folder
        self.progress = progress
        self.params: Params = preset(scenario.preset)
        self.group = Group(environment())
        self.members: dict[str, Member] = {}
        self.started = time.monotonic()
        self.job: Json = {}
        self.answer: Json = {}
        self.gone: dict[str, str] = {}  # members that ended in mid-run, and how
        self.strikes = Strikes(scenario.faults, self.group, self._restart, progress.warn)
        self.treasury: Treasury
        self.network: NetworkFile
        self._busy = [n.name for r in ("worker", "verifier") for n in scenario.with_role(r)]
        self._turn = 0  # whose duty is told next
        self._cache = cache
        self._isolate = isolate

    # -- setting up ---

    def set_up(self) -> None:
        """Chain, contracts, homes, processes, stakes."""
        self.progress.stage("chain", "starting the chain in a box and deploying the contracts")
        self._prepare()
        self._start_chain()
        seats = [member.seat for member in self.members.values()]
        self.network = network = self.treasury.found(self.params, seats, ())
        first = self.scenario.with_role("seed")[0]
        path = self.folder / "network.toml"
        self.treasury.save(path, network)
        for seat in seats:
            self.treasury.gas(seat.operator)
        self.progress.stage("nodes", f"starting {len(self.members)} nodes")
        addrs = self._start(first, path)
        self.treasury.save(path, replace(network, seeds=addrs))
        for plan in self.scenario.nodes:
            if plan is not first:
                self._launch(plan, path)
        for plan in self.scenario.nodes:
            if plan is not first:
                self.group.processes[plan.name].ready()
                self.progress.tick(f"{plan.name} is up")
        self._fund(seats)

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        random = SystemRandomness().token
        for number, plan in enumerate(self.scenario.nodes):
            home = Home(self.folder / plan.name)
            home.create()
            identity = create_identity(home, random, "file")
            payout = checksum(address_of(random(32)))  # its key is kept nowhere
            write_config(
                home,
                {
                    "network": home.network,
                    "payout": payout,
                    "roles": plan.roles,
                    "listen_host": "127.0.0.1",
                    "compute_cache": self._cache,
                    "compute_slots": self.folder / "slots",
                    "compute_children": CHILDREN,
                    "compute_threads": 1,
                    "compute_idle_seconds": IDLE_S,
                },
            )
            self.members[plan.name] = Member(plan, home, identity, payout)
            if self._isolate:
                give(home.path, 20_000 + number)
        slots = self.folder / "slots"
        slots.mkdir(exist_ok=True)
        slots.chmod(0o777 if self._isolate else 0o700)
        for name in (WAITING, *(f"slot-{number}" for number in range(CHILDREN))):
            (slots / name).touch()
            (slots / name).chmod(0o666)  # inside a folder that only this run's users enter

    def _start_chain(self) -> None:
        command = [*local_chain(), "--port", "0", "--chain-id", str(CHAIN_ID)]
        command += ["--accounts-seed", str(self.seed)]
        facts = self.group.add("chain", command, self.folder / "chain.log").ready()
        key = bytes.fromhex(facts["funded_key"].removeprefix("0x"))
        self.treasury = Treasury(facts["url"], facts["chain_id"], key)

    def _launch(self, plan: NodePlan, network: Path) -> None:
        home = self.members[plan.name].home
        home.write(home.network, network.read_bytes(), mode=0o644)
        if plan.actor:
            command = ["-m", "simnet.actor_node", "--home", str(home.path), "--actor", plan.actor]
        else:
            command = ["-m", "node.cli", "--home", str(home.path), "run", "--json"]
        user = None
        if self._isolate:
            user = home.path.stat().st_uid
            give(home.path, user)
        log = self.folder / f"{plan.name}.log"
        self.group.add(plan.name, command, log, user)

    def _start(self, plan: NodePlan, network: Path) -> tuple[str, ...]:
        self._launch(plan, network)
        return tuple(self.group.processes[plan.name].ready()["addrs"])

    def _fund(self, seats: list[Seat]) -> None:
        self.progress.stage("stakes", "owners register; stakes are deposited")
        self.treasury.approve_stakes(self.params, seats)
        for seat in seats:
            self._wait(
                partial(self.treasury.registered, seat.operator),
                120,
                f"{seat.name} did not register as an owner",
            )
            self.treasury.deposit(self.params, seat)
        self.treasury.pay(self.members["builder"].identity.operator, self.scenario.builder_open)
        for member in self.members.values():
            member.balance_before = self.balance(member.payout)
        self._wait(self._all_registered, 120, "not every node has registered its roles")

    def _all_registered(self) -> bool:
        peers = self.builder.get("peers")
        known = {peer["operator"] for peer in peers if peer["connected"] and peer["announced"]}
        return all(m.identity.operator in known for m in self.members.values())

    # -- the loop ---

    def run(self) -> None:
        """Data, job, attribution, payment, answer, payment of the answer."""
        self.strikes.begin("data")
        self._publish()
        self._post_job()
        self.strikes.begin("job")
        self._follow_job()
        self.strikes.begin("answer")
        self._chat()
        self._follow_answer()

    def _restart(self, name: str) -> None:
        self._launch(self.members[name].plan, self.folder / "network.toml")
        self.group.processes[name].ready()
        self.gone.pop(name, None)

    @property
    def builder(self) -> Member:
        return self.members["builder"]

    def _publish(self) -> None:
        self.progress.stage("data", "Datanets are founded, shards committed and revealed")
        for plan in self.scenario.datanets:
            founder = self.members[plan.founder]
            body = {"name": plan.name, "data_class": plan.data_class}
            founder.post(
                "datanets", {**body, "licence": plan.licence, "description": plan.description}
            )
        owners = [m for m in self.members.values() if m.plan.shard]
        for member in owners:
            shard = member.plan.shard
            assert shard is not None
            self._wait(partial(self._knows, member, shard), 60, "a Datanet is not announced")
            args = (shard.source, shard.part, shard.parts, shard.records)
            member.rows = shard_rows(*args, self.seed)
            path = member.home.path / "records.jsonl"
            texts.write_jsonl(path, member.rows)
            if self._isolate:
                give(member.home.path, member.home.path.stat().st_uid)
            found = member.post("shards", {"datanet": shard.datanet, "path": str(path)})
            self.progress.tick(f"{member.plan.name} committed {found['records']} records")
        self._wait(lambda: self._revealed() == len(owners), 180, "not every shard was revealed")

    def _knows(self, member: Member, shard: ShardPlan) -> bool:
        return any(d["name"] == shard.datanet for d in member.get("datanets"))

    def _revealed(self) -> int:
        shards = [s for d in self.builder.get("datanets") for s in d["shards"]]
        return sum(s["revealed"] for s in shards)

    def _post_job(self) -> None:
        self.progress.stage("job", "the builder funds a job over all Datanets")
        names = ", ".join(f'"{d.name}"' for d in self.scenario.datanets)
        recipe = (
            f'name = "demo"\nbase = "{self.scenario.base}"\ndatanets = [{names}]\n'
            f'escrow = "{self.scenario.escrow}"\ninclude_private = true\n'
            f"[train]\nseed = {self.seed}\n"
        )
        self.job = self.builder.post("jobs", {"recipe": recipe})

    def _follow_job(self) -> None:
        """Until the job's epoch is claimed by everyone whom it pays."""
        deadline = (
            2 * self.params.rounds * self.params.judge_seconds + self.params.attribute_seconds
        )
        self._wait(lambda: self._epochs() >= 1, deadline, "the job was not settled", self._tell_job)
        self._wait(self._claimed, 180, "not everyone has claimed")

    def _tell_job(self) -> None:
        found = self.builder.get("snapshot")
        job = next((j for j in found["jobs"] if j["id"] == self.job["job"]), None)
        if job is None:
            return
        units = [u for r in job["rounds"] for u in r["units"]]
        done = sum(u["state"] not in ("reserved", "judging", "disputed") for u in units)
        verdicts, slashes = len(found["verdicts"]), len(found["slashes"])
        self.progress.stage(
            "job",
            f"{job['state']}: {done} of {len(units)} units judged, {verdicts} findings, "
            f"{slashes} slashes",
        )
        busy = self._busy[self._turn % len(self._busy)]
        self._turn += 1
        if self._alive(busy):
            self.progress.tick(f"{busy}: {self.members[busy].get('status')['duty']}")

    def _epochs(self) -> int:
        return sum(epoch["active"] for epoch in self.builder.get("epochs"))

    def _claimed(self) -> bool:
        """Whether every living member has claimed its cumulative amount; the treasury runs no node."""
        shares = self.builder.get("attribution")
        earned: dict[str, int] = {}
        for share in shares:
            earned[share["owner"]] = earned.get(share["owner"], 0) + int(share["share"])
        for name, member in self.members.items():
            due = earned.get(member.identity.operator, 0)
            if self._alive(name) and self.balance(member.payout) < member.balance_before + due:
                return False
        return True

    def _chat(self) -> None:
        self.progress.stage("answer", "a user asks the adapter and pays by voucher")
        job = next(j for j in self.builder.get("jobs") if j["id"] == self.job["job"])
        if not job["model"]:
            text = f"The job is {job['state']} and has no model to ask."
            raise OperatorError("job-failed", text, self._advice())
        body = {"prompt": self.scenario.prompt, "max_tokens": self.scenario.answer_tokens}
        self.answer = self.builder.post("chat", {"model": job["model"], **body})

    def _follow_answer(self) -> None:
        self.progress.stage("fee", "the host claims its fee; the answer's own pot is settled")
        deadline = 2 * self.params.attribute_seconds  # a drawn verifier that is dead has its time
        self._wait(lambda: self._epochs() >= 2, deadline, "the answer's fee was not settled")
        self._wait(self._claimed, 180, "not everyone has claimed the answer's share")

    # -- helpers ---

    def snapshots(self) -> dict[str, Json]:
        """What every living node says, by name. Raises OperatorError when one stays silent."""
        found: dict[str, Json] = {}

        def ask() -> bool:
            for name, member in self.members.items():
                if self._alive(name) and name not in found:
                    found[name] = member.get("snapshot")
            return True

        self._wait(ask, SILENCE_S, "not every node answered")
        return found

    def balance(self, address: str) -> int:
        """OPEN of an address, read from the chain."""
        return int(self.treasury.read("OpenToken", "balanceOf", address))

    def _alive(self, name: str) -> bool:
        return name not in self.gone and name not in self.strikes.frozen

    def _wait(
        self,
        done: Callable[[], bool],
        seconds: float,
        why: str,
        tell: Callable[[], None] | None = None,
    ) -> None:
        """Poll until done; raises OperatorError with the reason and what the nodes say."""
        deadline = time.monotonic() + seconds
        while True:
            self._look()
            try:
                if done():
                    return
                if tell:
                    tell()
            except OpenLedgerError as error:  # a node that is busy or just ended
                self.progress.tick(f"{error.code}: {error.text}")
            if time.monotonic() > deadline:
                raise OperatorError("demo-stuck", f"{why} in {seconds:.0f} s.", self._advice())
            self.progress.tick()
            time.sleep(POLL_S)

    def _look(self) -> None:
        """Do what is due, and notice processes that have ended; without a chain nothing is settled."""
        self.strikes.look()
        for name, process in self.group.processes.items():
            if process.alive or name in self.gone:
                continue
            self.gone[name] = process.last_words()
            self.progress.warn(f"{name} has ended: {self.gone[name]}")
            if name == "chain":
                raise OperatorError(
                    "chain-gone",
                    "The chain process has ended; commitments, claims and slashes need it.",
                    f"Look at {process.log} and run the demo again.",
                )
            if name == "builder":
                raise OperatorError(
                    "builder-gone", "The builder's node has ended.", f"Look at {process.log}."
                )

    def _advice(self) -> str:
        lines = [f"Logs and homes are in {self.folder}."]
        for name, member in self.members.items():
            if self._alive(name):
                try:
                    found = member.get("snapshot")
                except OpenLedgerError as error:
                    lines.append(f"{name}: {error}")
                    continue
                lines.append(f"{name}: {found['status']['duty']}")
                lines += [
                    f"    {f['reason']} x{f['count']}: {f['text']}"
                    for f in found["failures"]
                    if f["text"] != "counted by the network"
                ]
        return "\n".join(lines)
