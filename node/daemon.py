"""The daemon: the real six seams around one node, its API, and what people ask of it.

torch is never imported here: a child process per device does what needs it.
"""

import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import trio

from bootstrap.network import REMEDY, NetworkFile, load_network
from datanet import credit
from datanet.blobs import FileBlobs
from node import (
    actions,
    data,
    epoch,
    explain,
    govern,
    keep,
    keys,
    runtime,
    serve,
    split,
    view,
    view_money,
)
from node.aio import AsyncioThread
from node.api import serve as serve_api
from node.children import Children
from node.compute import ChildCompute
from node.config import NodeConfig
from node.context import JOURNAL, Context, Seams
from node.doors import SystemClock, SystemRandomness
from node.facade import Json
from node.home import Home
from node.identity import Keys, Network
from node.keys import Identity
from node.meet import Meeting
from node.money import Money
from node.outbox import OUTBOX, OutboxChain
from node.reach import Bound
from node.servable import attributed_job
from node.slots import FileSlots
from node.store import open_store
from p2p.libp2p_host import Libp2pTransport
from p2p.peers import SCHEMA as PEERS
from p2p.peers import PeerBook
from protocol.errors import ChainError, OpenLedgerError, OperatorError, PeerError
from protocol.ids import address_bytes, checksum
from protocol.seams import Blobs, Clock, Compute
from settlement.abi import CONTRACTS
from settlement.agreed import AgreedChain
from settlement.deploy import verify_code
from settlement.evm import EvmChain
from settlement.outbox import GWEI

MIGRATIONS = ((*JOURNAL, *credit.SCHEMA, *PEERS), OUTBOX)
CHANGES_S = 0.2
CLOSE_S = 1.0  # for each seam at the end: a stop takes at most three seconds
MODELS = "See `openledger job list`; `openledger job show JOB` names a finished job's model."

Wrap = Callable[[Compute, Blobs], Compute]


def network_of(file: NetworkFile) -> Network:
    """The part of a network file that stages work with."""
    genesis = file.genesis
    return Network(
        name=file.name,
        id=file.id,
        params=file.params,
        chain_id=genesis.chain_id,
        genesis_block=genesis.genesis_block,
        seats=genesis.seats,
        quorum=genesis.quorum,
        committee=genesis.committee,
        treasury=genesis.treasury,
        wire=file.wire,
    )


def seeds_for(file: NetworkFile, peer: str) -> bool:
    """Whether the network file names this peer as a seed."""
    return any(addr.endswith(f"/p2p/{peer}") for addr in file.seeds)


async def open_chain(
    config: NodeConfig, file: NetworkFile, thread: AsyncioThread
) -> EvmChain | AgreedChain:
    """A connected chain client. Raises OperatorError, with what to do: unreachable, the wrong chain,
    or one without the network's contracts.
    """
    urls = config.chain_rpc or file.rpc[:1]
    if not urls:
        raise OperatorError(
            "no-chain", "Neither config nor network file names an RPC URL.", "Set [chain] rpc."
        )
    contracts = {name: file.contract(name) for name in CONTRACTS}
    fee = config.chain_max_fee_gwei * GWEI
    endpoints = [EvmChain(url, file.genesis.chain_id, contracts, fee) for url in urls]
    chain = AgreedChain(endpoints) if len(endpoints) > 1 else endpoints[0]
    try:
        await thread.run(chain.start)
        await thread.run(verify_code, chain, contracts)
    except ChainError as error:
        raise _chain_fault(", ".join(urls), error) from error
    return chain


def _chain_fault(url: str, error: ChainError) -> OperatorError:
    if error.code == "wrong-code":
        text = f"The chain at {url} does not carry this network: {error.text}."
        return OperatorError("wrong-network", text, REMEDY)
    return OperatorError(
        "chain-unreachable",
        f"The chain does not answer ({error.text}).",
        "Start it, or set [chain] rpc in the config to an endpoint that is up.",
    )


def child_command(config: NodeConfig, home: Home) -> list[str]:
    """How the compute child is started."""
    return [
        sys.executable,
        "-m",
        "node.compute_child",
        "--blobs",
        str(home.blobs),
        "--cache",
        str(config.compute_cache),
    ]


def compute_of(config: NodeConfig, home: Home, clock: Clock) -> Children:
    """As many children as the machine may have, each started when it is needed."""
    slots = FileSlots(config.compute_slots, config.compute_children, clock)
    memory = config.compute_memory_mb * 1024 * 1024
    command, env = child_command(config, home), dict(os.environ)
    idle, threads = config.compute_idle_seconds, config.compute_threads
    seats = (
        ChildCompute(command, env, slots, memory, idle, clock, threads)
        for _ in range(config.compute_children)
    )
    return Children(tuple(seats), slots)


class Node:
    """The facade over one running context."""

    def __init__(self, ctx: Context, home: Home, meeting: Meeting, outbox: OutboxChain) -> None:
        self.money = Money(ctx, outbox)
        self._ctx = ctx
        self._home = home
        self._meeting = meeting

    async def snapshot(self) -> Json:
        return await view.snapshot(self._ctx, self._meeting, keys.backed_up(self._home))

    async def changes(self) -> AsyncIterator[None]:
        while True:
            await self._ctx.changed(2.0)
            await self._ctx.seams.clock.sleep(CHANGES_S)
            yield

    def _owner(self) -> Context:
        """The context of a node that may act on chain. Raises OperatorError ``not-registered``."""
        ctx = self._ctx
        if ctx.board.index_of(ctx.operator) is None:
            raise OperatorError(
                "not-registered",
                f"This node is not registered as an owner yet ({ctx.duty}).",
                f"It registers by itself once operator {checksum(ctx.operator)} has gas: "
                "openledger doctor.",
            )
        return ctx

    async def create_datanet(
        self, name: str, data_class: str, licence: str, description: str
    ) -> Json:
        datanet = await data.found(self._owner(), name, data_class, licence, description)
        return {"datanet": datanet.hex(), "name": name}

    async def add_shard(self, datanet: str, path: str) -> Json:
        commitment, records = await data.commit_shard(self._owner(), datanet, Path(path))
        return {"commitment": commitment.hex(), "records": records}

    async def submit_job(self, recipe: str) -> Json:
        job, tx = await actions.submit_job(self._owner(), recipe)
        return {"job": job.hex(), "pot": job.hex(), "tx": tx}

    async def chat(self, model: str, prompt: str, max_tokens: int) -> Json:
        ctx = self._ctx
        try:
            wanted = bytes.fromhex(model.removeprefix("0x"))
        except ValueError as error:
            raise OperatorError("bad-model", f"{model!r} is not a model's id.", MODELS) from error
        try:
            found = await attributed_job(ctx, wanted)
        except PeerError as error:
            raise OperatorError(error.code, f"{error.text}.", MODELS) from error
        blob, receipt = await serve.ask(ctx, wanted, prompt, max_tokens)
        return await view_money.answer(ctx, found.item, blob, receipt)

    async def claim(self) -> Json:
        ctx = self._owner()
        payout = checksum(ctx.paid_to)
        before = await ctx.seams.chain.read("OpenToken", "balanceOf", payout)
        _, amount, _ = await epoch.claimable(ctx)
        await epoch.claim_pay(ctx)
        after = await ctx.seams.chain.read("OpenToken", "balanceOf", payout)
        index = ctx.board.index_of(ctx.operator)
        mine = [claim for claim in ctx.board.claims if claim.index == index]
        return {
            "claimed": str(amount),
            "tx": "0x" + mine[-1].tx.hex() if mine else None,
            "balance_before": str(before),
            "balance_after": str(after),
        }

    async def set_payout(self, address: str) -> Json:
        return await actions.set_payout(self._owner(), address)

    async def governance(self) -> Json:
        return await govern.view(self._ctx)

    async def govern(self, action: str, body: Json) -> Json:
        return await govern.act(self._ctx, action, body)

    async def explain_claim(self) -> Json:
        try:
            leaf = await explain.proof(self._ctx)
        except OpenLedgerError as error:  # the epoch's body has not arrived yet
            self._ctx.fail("explain", error)
            leaf = None
        return explain.told(await self.snapshot(), leaf)


async def run_node(
    config: NodeConfig,
    identity: Identity,
    on_ready: Callable[[dict[str, Any]], None],
    wrap: Wrap | None = None,
) -> None:
    """Run until cancelled. ``wrap`` changes the compute seam (simnet's actors use it)."""
    home, file = Home(config.home), load_network(config.network)
    home.check()
    clock, randomness = SystemClock(), SystemRandomness()
    with AsyncioThread() as thread:
        async with AsyncExitStack() as stack:
            chain = await open_chain(config, file, thread)
            stack.push_async_callback(_shielded, thread, chain.close)
            store = await open_store(home.database, thread, MIGRATIONS)
            stack.push_async_callback(_closed, store.close)
            outbox = OutboxChain(chain, thread, store, clock, config.chain_confirmations)
            await outbox.load()
            await outbox.recover(identity.operator_key)
            blobs = FileBlobs(home.blobs)
            compute = compute_of(config, home, clock)
            stack.push_async_callback(_closed, compute.close)
            listen = f"/ip4/{config.listen_host}/tcp/{config.listen_port}"
            seams = Seams(
                clock=clock,
                randomness=randomness,
                transport=Libp2pTransport(
                    identity.peer_seed,
                    clock,
                    listen=listen,
                    announce=config.listen_announce,
                    relay="seed" in config.roles or seeds_for(file, identity.peer_id),
                ),
                store=store,
                blobs=blobs,
                compute=wrap(compute, blobs) if wrap else compute,
                chain=outbox,
            )
            await _run(config, identity, file, seams, outbox, compute, home, on_ready)


async def _shielded(thread: AsyncioThread, act: Callable[[], Any]) -> None:
    with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_S):
        await thread.run(act)


async def _closed(act: Callable[[], Any]) -> None:
    with trio.CancelScope(shield=True), trio.move_on_after(CLOSE_S):
        await act()


async def _run(
    config: NodeConfig,
    identity: Identity,
    file: NetworkFile,
    seams: Seams,
    outbox: OutboxChain,
    compute: Children,
    home: Home,
    on_ready: Callable[[dict[str, Any]], None],
) -> None:
    secrets = Keys(identity.peer_seed, identity.operator_key, identity.seal_key)
    payout = address_bytes(config.payout)
    ctx = runtime.build(seams, secrets, network_of(file), config.roles, payout)
    outbox.tell = partial(ctx.fail, "outbox")
    ctx.datanets = config.datanets
    book = PeerBook(seams.store)
    await book.load()
    local = config.listen_mdns == "on" and not config.listen_host.startswith("127.")
    bound = Bound(config.listen_host, config.listen_port != 0, local)
    meeting = Meeting(ctx, book, file.seeds, bound)
    meeting.serve()
    node = Node(ctx, home, meeting, outbox)
    token = home.api_token(seams.randomness.token)
    async with seams.transport.running(), trio.open_nursery() as nursery:
        nursery.start_soon(compute.watch)
        if config.disk_quota_mb and isinstance(seams.blobs, FileBlobs):
            quota = config.disk_quota_mb * 1024 * 1024
            nursery.start_soon(keep.collect_blobs, ctx, seams.blobs, quota)
        nursery.start_soon(outbox.tend)
        nursery.start_soon(meeting.run)
        nursery.start_soon(split.watch_split, ctx)
        await nursery.start(partial(runtime.run, ctx))
        url = await nursery.start(serve_api, node, token, config.api_port)
        home.announce(url, os.getpid())
        try:
            on_ready(
                {
                    "peer_id": seams.transport.peer_id,
                    "addrs": list(seams.transport.addrs),
                    "api": url,
                    "token_file": str(home.token),
                    "roles": list(config.roles),
                    "network": file.name,
                    "chain_id": file.genesis.chain_id,
                }
            )
            await trio.sleep_forever()
        finally:
            home.withdraw()
