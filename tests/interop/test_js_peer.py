"""An independent js-libp2p peer in a running network: it hears, verifies, fetches, and serves what it holds.

``peer.mjs`` was written from docs/protocol.md and shares no code with us; its libp2p, MessagePack, BLAKE3,
keccak and Ed25519 are other people's. The second half leaves a starting Python node nobody but that peer.
"""

import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datanet.reserve import reserve_count
from protocol.ids import address_bytes, topic
from protocol.messages import HELD
from protocol.params import SIMNET
from protocol.signing import key_of_peer
from tests.interop.peer import Peer, Refused, running
from tests.process.place import Node, Place, place
from tests.protocol.test_vectors import VECTORS

pytestmark = pytest.mark.process

ROWS = [
    {"prompt": f"What is rule {i}?", "completion": f"Rule {i} says {'so ' * i}."} for i in range(12)
]
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def js() -> Iterator[Peer]:
    with running() as peer:
        yield peer


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("interop"), ("verifier", "aggregator")) as made:
        yield made


def test_both_give_the_same_bytes(js: Peer) -> None:
    file = json.loads(VECTORS.read_text())
    given = js.ask("vectors", file=file)
    assert given.pop("kinds") == ["BlobHint", "DatanetRecord"]
    assert None not in given.pop("refused")
    assert given == {name: file[name] for name in given}


def registered(box: Place, node: Node) -> Node:
    """A node with gas, owner index, stake and its roles on chain."""
    box.treasury.gas(node.member.identity.operator)
    node.until(lambda: box.treasury.registered(node.member.identity.operator))
    box.stake(node.member)
    operator = node.member.identity.operator
    node.until(lambda: operator in [p["operator"] for p in node.ask("peers", "--json").json])
    return node


def killed(node: Node) -> None:
    """SIGKILL, without a word to anybody."""
    node.process.signal(signal.SIGKILL)
    assert node.process.popen is not None
    node.process.popen.wait()
    node.process.close()


def until(what: Callable[[], Any]) -> Any:
    """The first true value."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := what()):
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.3)
    return found


def posts(box: Place, kind: str) -> list[tuple[str, bytes, bytes]]:
    """(sender, subject, value) of the CommitLog entries of a kind."""
    found = []
    for event in box.treasury.events(box.network.genesis.genesis_block):
        if event.name == "Committed" and event.args["topic"] == topic(kind):
            args = event.args
            found.append((str(args["operator"]), bytes(args["subject"]), bytes(args["value"])))
    return found


def test_it_joins_hears_verifies_fetches_and_serves(box: Place, js: Peer, tmp_path: Path) -> None:
    founder = registered(box, box.start(box.founder))
    seeded = replace(box.network, seeds=tuple(founder.facts["addrs"]))
    box.treasury.save(box.absent.home.network, seeded)
    late = registered(box, box.start(box.absent))  # so that reserved records are sealed to it too
    until(lambda: sum(p["announced"] for p in founder.ask("peers", "--json").json) >= 2)
    killed(late)

    network = {"network": box.network.id.hex(), "params": SIMNET.hash.hex()}
    own = js.ask(
        "start",
        **network,
        chain_id=box.network.genesis.chain_id,
        topic=f"openledger/{box.network.id.hex()[:16]}/1",
    )
    met = js.ask("connect", addr=founder.facts["addrs"][0])
    assert (met["refusal"], met["same"]) == ("", True)
    assert met["agent"].startswith("openledger-node/")
    until(lambda: own["peer_id"] in founder.ask("peers", "--json").out)  # in the founder's book

    commitment = publish(founder, tmp_path)
    reveal = until(lambda: posts(box, "reveal"))[0][2].hex()
    author = founder.member.identity.peer_id
    until(lambda: reveal in js.ask("hinted")["blobs"])
    heard = js.ask("hears", kind="DatanetRecord")
    assert len(heard["envelopes"]) == 1 and heard["refused"] == []

    shard = fetched(js, author, reveal, commitment)
    assert shard["owner"] == address_bytes(founder.member.identity.operator).hex()
    aside = reserve_count(len(ROWS), SIMNET.reserve_ppm, SIMNET.reserve_min)
    assert (shard["records"], shard["training"]) == (len(ROWS), len(ROWS) - aside)
    assert shard["first"] in [[row["prompt"], row["completion"]] for row in ROWS]
    own_key = key_of_peer(author).hex()  # the founder stands near to its shard itself
    until(lambda: own_key in js.ask("providers", peer=author, shard=commitment)["holders"])
    with pytest.raises(Refused, match="no-blob"):
        js.ask("fetch", peer=author, blob="00" * 32)

    killed(founder)
    box.treasury.save(box.absent.home.network, replace(box.network, seeds=tuple(own["addrs"])))
    box.start(box.absent)
    holder = box.absent.identity.operator
    held = until(lambda: [post for post in posts(box, HELD) if post[0] == holder])
    assert (held[0][1].hex(), held[0][2].hex()) == (commitment, reveal)


def publish(node: Node, folder: Path) -> str:
    """Found a Datanet and commit a shard to it; its commitment."""
    rows = folder / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    made = node.ask("datanet", "create", "rules", "--licence", "CC0-1.0", "--json").json
    node.until(lambda: "rules" in node.ask("datanet", "list").out)
    added = node.ask("datanet", "add", made["datanet"], str(rows), "--json").json
    return str(added["commitment"])


def fetched(js: Peer, source: str, reveal: str, commitment: str) -> dict[str, Any]:
    """All three blobs of a shard, judged against the commitment by the peer."""
    js.ask("fetch", peer=source, blob=reveal)
    for blob in js.ask("hinted")["blobs"]:
        js.ask("fetch", peer=source, blob=blob)
    found: dict[str, Any] = js.ask("verify", reveal=reveal, commitment=commitment)
    return found
