"""The shared vectors: Python must give these bytes, and the deployed contracts accept them.

``tests/vectors/settlement.json`` is for every other language too. It is rewritten by
``python -m tests.settlement.test_vectors`` only when a format changes on purpose.
"""

import json
from pathlib import Path
from typing import Any

from protocol import merkle, typed_data
from protocol.ids import address_bytes, datanet_id, model_id
from protocol.params import OPEN
from settlement import claims, vouchers
from tests.contracts.scene import EVIDENCE, TASK, UNIT, Scene
from tests.settlement.pair import ACCOUNTS, KEYS, PARAMS

VECTORS = Path(__file__).parent.parent / "vectors" / "settlement.json"
ASSET, CONTENT = b"m" * 32, b"c" * 32
HASHES = {"keccak256": merkle.keccak256, "blake3": merkle.blake3}


def shown(value: Any) -> Any:
    """JSON form: bytes as 0x-hex, integers as decimal text."""
    if isinstance(value, bytes):
        return "0x" + value.hex()
    if isinstance(value, dict):
        return {key: shown(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [shown(each) for each in value]
    return str(value) if isinstance(value, int) else value


def vectors(scene: Scene) -> dict[str, Any]:
    """Everything that another implementation must reproduce, from one fixed deployment."""
    tree = scene.tree(5 * OPEN, 0, 3 * OPEN, 1)
    epoch = scene.epoch(tree, typed_data.Draw(scene.job, tree.total))
    order, orders = scene.slash_args(4, 3 * OPEN, reporter=2)
    channel = vouchers.channel_id(ACCOUNTS[0], b"j" * 32)
    usage = (vouchers.Usage(ASSET, 1, 1_000), vouchers.Usage(b"n" * 32, 1, 7))
    voucher = scene.voucher(channel, OPEN, *usage)
    leaves = [b"", b"a", b"bb", b"ccc", b"dddd"]
    trees = {name: merkle.MerkleTree(leaves, h) for name, h in HASHES.items()}
    domains = {name: scene.domain(name) for name in ("AttributionPool", "InferenceChannels")}
    statement = typed_data.WorkCommitment(UNIT, b"r" * 32, b"a" * 32)
    return shown(
        {
            "keys": KEYS[:5],
            "accounts": ACCOUNTS[:5],
            "domains": {name: domain.separator() for name, domain in domains.items()},
            "sum_tree": {
                "leaves": [[leaf.index, leaf.owner_id, leaf.cumulative] for leaf in tree.leaves],
                "root": tree.root,
                "total": tree.total,
                "root_facts": claims.root_args(epoch),
                "head": claims.head_of(*claims.root_args(epoch)),
                "proofs": [claims.claim_args(tree, index)[3] for index in range(4)],
            },
            "pot": {"funder": ACCOUNTS[0], "salt": b"j" * 32, "id": scene.job},
            "unit": {"operator": ACCOUNTS[4], "task": TASK, "id": UNIT},
            "datanet": {
                "operator": ACCOUNTS[1],
                "content": CONTENT,
                "id": datanet_id(address_bytes(ACCOUNTS[1]), CONTENT),
            },
            "model": {
                "operator": ACCOUNTS[1],
                "content": CONTENT,
                "id": model_id(address_bytes(ACCOUNTS[1]), CONTENT),
            },
            "commit": {
                "digest": epoch.digest(domains["AttributionPool"]),
                "arguments": scene.commit_args(epoch),
            },
            "slash": {"order": order, "signatures": orders},
            "voucher": {
                "usage_hash": vouchers.usage_hash(usage),
                "arguments": voucher.claim_args(),
            },
            "statement": {
                "domain": typed_data.statement_domain(4242, b"n" * 32).separator(),
                "digest": statement.digest(typed_data.statement_domain(4242, b"n" * 32)),
            },
            "merkle": {
                "leaves": leaves,
                **{
                    name: {"root": tree.root, "proofs": [tree.proof(at) for at in range(5)]}
                    for name, tree in trees.items()
                },
            },
        }
    )


def test_python_reproduces_the_vectors() -> None:
    assert vectors(Scene()) == json.loads(VECTORS.read_text())


def test_the_contracts_accept_the_vectors() -> None:
    scene, known = Scene(), json.loads(VECTORS.read_text())
    assert scene.read("AttributionPool", "potId", ACCOUNTS[0], b"j" * 32) == raw(known["pot"]["id"])
    assert scene.read("AttributionPool", "unitId", ACCOUNTS[4], TASK) == raw(known["unit"]["id"])
    for kind in ("datanet", "model"):
        said = scene.read("AssetRegistry", f"{kind}Id", known[kind]["operator"], CONTENT)
        assert said == raw(known[kind]["id"])
    struct, draws, signatures = known["commit"]["arguments"]
    scene.anchor()
    scene.done(2, "Arbiter", "accuse", UNIT, b"B".ljust(32, b"\x00"), EVIDENCE)
    order, seats = known["slash"]["order"], known["slash"]["signatures"]
    args = (order[0], raw(order[1]), int(order[2]), raw(order[3]), order[4])
    scene.done(8, "Arbiter", "order", args, tuple(map(raw, seats)))
    epoch = tuple(int(v) if not v.startswith("0x") else raw(v) for v in struct)
    drawn = tuple((raw(pot), int(amount)) for pot, amount in draws)
    scene.done(5, "AttributionPool", "commit", epoch, drawn, raw(signatures))
    leaves, hashed = (
        int(known["sum_tree"]["root_facts"][2]),
        raw(known["sum_tree"]["root_facts"][3]),
    )
    scene.wait(PARAMS.window)
    for leaf, proof in zip(known["sum_tree"]["leaves"], known["sum_tree"]["proofs"], strict=True):
        index, owner, cumulative = int(leaf[0]), raw(leaf[1]), int(leaf[2])
        if cumulative:
            args = (bytes(32), leaves, hashed, index, owner, cumulative, raw(proof))
            scene.done(8, "AttributionPool", "claim", *args)
    scene.channel()
    channel, ceiling, usage, signature = known["voucher"]["arguments"]
    used = tuple((raw(asset), int(rule), int(amount)) for asset, rule, amount in usage)
    args = (raw(channel), int(ceiling), used, raw(signature))
    scene.done(8, "InferenceChannels", "claim", *args)


def raw(text: str) -> bytes:
    """The bytes of a 0x-hex text."""
    return bytes.fromhex(text[2:])


if __name__ == "__main__":
    VECTORS.write_text(json.dumps(vectors(Scene()), indent=1) + "\n")
