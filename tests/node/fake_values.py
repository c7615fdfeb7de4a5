"""The fixed values of a fake node's snapshot: one full, one empty."""

from typing import Any

TOKEN = "ab" * 32
OPEN = 10**18
NOW = 1_767_225_600
OWNERS = {
    "kjv-1": ("0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf", 1),
    "kjv-2": ("0x2B5AD5c4795c026514f8317c7a215E218DcCD6cF", 2),
    "garbage": ("0x6813Eb9362372EEF6200f3b1dbC3f819671cBA69", 3),
    "copycat": ("0x1efF47bc3a10a45D4B230B5d10E37751FE6AA718", 4),
}
FAQ, KJV = "construction-faq", "king-james"


def _status() -> dict[str, Any]:
    return {
        "version": "0.1.0",
        "agent": "openledger/0.1.0",
        "peer_id": "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN",
        "operator": "0x7E5F4552091A69125d5DfCb7b8C2659029395Bdf",
        "owner_index": 1,
        "payout": "0x52908400098527886E0F7030069857D2E4169EE7",
        "payout_pending": None,
        "roles": ["contributor", "verifier"],
        "network": "devnet-box",
        "network_id": "5f" * 32,
        "chain_id": 31_337,
        "head": {"number": 412, "time": NOW},
        "balance_open": str(250 * OPEN),
        "claimed_open": str(12 * OPEN + OPEN // 2),
        "claimable_open": str(3 * OPEN + 141_592_653_589_793_238),
        "stake": str(100 * OPEN),
        "backed_up": False,
        "duty": "Verifying step 5 of unit 3fa9c1d2, because the beacon of block 408 drew it.",
        "mesh": {"datanets": 6, "jobs": 6, "verdicts": 0},
        "published_to_zero": 2,
        "reachability": {
            "verdict": "outbound-only",
            "why": "2 of 2 seeds could not dial /ip4/198.51.100.7/tcp/4001",
            "advice": "Forward TCP port 4001 of the router to 192.168.1.5:4001.",
            "addrs": [],
            "observed": "198.51.100.7",
            "asked": 2,
        },
        "refused_by": [
            {
                "reason": "clock-skew",
                "text": "The clocks differ by 95 s, limit 30 s.",
                "remedy": "Synchronise this machine's clock.",
                "peers": 1,
            }
        ],
        "wire": {"version": 1, "in_force": 1, "peers": 3, "newer": 1},
        "shards": {"provided": 3, "records": 12, "lookups": {"found": 2, "empty": 1}},
    }


def _peers() -> list[dict[str, Any]]:
    def peer(name: str, operator: str, roles: list[str], lost: str | None) -> dict[str, Any]:
        return {
            "peer_id": f"12D3KooW{name * 4}",
            "operator": operator,
            "roles": roles,
            "addrs": [f"/ip4/127.0.0.1/tcp/41{len(name)}01/p2p/12D3KooW{name * 4}"],
            "payout": operator,
            "stake": str(100 * OPEN),
            "connected": lost is None,
            "direction": None if lost else "out" if "seed" in roles else "in",
            "relayed": False,
            "latency_ms": None if lost else 3,
            "announced": True,
            "agent": "openledger/0.1.0",
            "wire": None if lost else 1,
            "reach": None if lost else "public",
            "last_seen": NOW - 4,
            "refused": None,
            "faults": 35.0 if lost else 0.0,
            "banned_seconds": 0,
            "lost_reason": lost,
        }

    return [
        peer("AlphaWorker", OWNERS["kjv-1"][0], ["worker", "contributor"], None),
        peer("BravoVerify", OWNERS["kjv-2"][0], ["verifier", "aggregator"], None),
        peer("CharlieSeed", OWNERS["garbage"][0], ["seed"], None),
        peer("DeltaWorker", OWNERS["copycat"][0], ["worker"], "ping-timeout"),
    ]


def _datanets() -> list[dict[str, Any]]:
    def shard(owner: str, records: int, yielded: int, reason: str | None) -> dict[str, Any]:
        return {
            "commitment": (owner * 32).encode().hex()[:64],
            "owner": OWNERS[owner][0],
            "owner_index": OWNERS[owner][1],
            "records": records,
            "reserved": 4,
            "revealed": True,
            "block": 20 + OWNERS[owner][1],
            "yielded_ppm": yielded,
            "reason": reason,
        }

    shards = [
        shard("kjv-1", 40, 0, None),
        shard("kjv-2", 38, 12_000, None),
        shard("garbage", 40, 0, None),
        shard("copycat", 40, 873_000, "near-duplicate of earlier records"),
    ]
    empty: list[dict[str, Any]] = []
    founded = {"founder": OWNERS["kjv-1"][0], "data_class": "open"}
    return [
        {"id": "a1" * 32, "name": KJV, **founded, "licence": "PD", "shards": shards},
        {"id": "b2" * 32, "name": FAQ, **founded, "licence": "CC-BY", "shards": empty},
    ]


def _unit(name: str, owner: str, state: str, reason: str | None, start: int) -> dict[str, Any]:
    losses = [start - 90_000 * i + (i % 3) * 40_000 for i in range(8)] if start else []
    return {
        "unit": name * 8,
        "worker": OWNERS[owner][0],
        "state": state,
        "reason": reason,
        "losses_micro": losses,
        "tokens": 1_904 if start else 0,
        "block": 60,
    }


def _jobs() -> list[dict[str, Any]]:
    lazy = "check B: distance 0.237 above tolerance"
    return [
        {
            "id": "c3" * 32,
            "name": "scripture and sites",
            "state": "round 2 of 2",
            "base": "SmolLM2-135M-Instruct",
            "escrow": str(120 * OPEN),
            "unit_pay": str(2 * OPEN),
            "block": 55,
            "reason": None,
            "model": "e5" * 32,
            "adapter": "d4" * 32,
            "loss": {
                "before": {KJV: 3_912_000, FAQ: 3_204_000},
                "after": {KJV: 3_405_000, FAQ: 2_871_000},
            },
            "rounds": [
                {
                    "round": 1,
                    "state": "merged",
                    "adapter": "d4" * 32,
                    "bytes": 3_522_112,
                    "units": [
                        _unit("3fa9c1d2", "kjv-1", "accepted", None, 3_900_000),
                        _unit("81b2aa07", "copycat", "failed", lazy, 3_700_000),
                        _unit("c0ffee11", "kjv-2", "accepted", None, 3_300_000),
                    ],
                    "loss": {KJV: 3_600_000, FAQ: 3_010_000},
                },
                {
                    "round": 2,
                    "state": "open",
                    "adapter": None,
                    "bytes": 0,
                    "units": [_unit("77aa31f0", "kjv-1", "judging", None, 3_500_000)],
                    "loss": {KJV: 3_405_000, FAQ: 2_871_000},
                },
            ],
        }
    ]


def _verdict(step: int, finding: str, distance: int) -> dict[str, Any]:
    return {
        "kind": "verdict",
        "unit": "81b2aa07" * 8 if finding != "ok" else "3fa9c1d2" * 8,
        "job": "c3" * 32,
        "worker": OWNERS["kjv-1"][0],
        "step": step,
        "verifier": OWNERS["kjv-2"][0],
        "finding": finding,
        "distance_ppb": distance,
        "optimiser_ppb": distance * 4,
        "tolerance_ppb": 50_000,
        "block": 70 + step,
    }


def _attribution() -> list[dict[str, Any]]:
    def row(owner: str, influence: int, share: int, yielded: int, reason: str) -> dict[str, Any]:
        return {
            "epoch": 1,
            "kind": "job",
            "pot": "4a" * 32,
            "job": "c3" * 32,
            "owner": OWNERS[owner][0],
            "owner_index": OWNERS[owner][1],
            "role": "contributor",
            "records": 40,
            "yielded_ppm": yielded,
            "influence": influence,
            "share": str(share * OPEN // 100),
            "reason": reason,
        }

    return [
        row("kjv-1", 91_240, 4_120, 0, "31 records above the threshold"),
        row("kjv-2", 73_005, 3_300, 12_000, "29 records above the threshold"),
        row("garbage", 810, 41, 0, "1 record above the threshold"),
        row("copycat", 4_100, 185, 873_000, "87 % yielded to an earlier owner"),
    ]


def _epochs() -> list[dict[str, Any]]:
    return [
        {
            "epoch": 1,
            "root": "e5" * 32,
            "total": str(76 * OPEN + 46 * OPEN // 100),
            "leaves": 6,
            "signers": [OWNERS["kjv-1"][0], OWNERS["kjv-2"][0]],
            "tx": "f6" * 32,
            "block": 120,
            "active": True,
            "on_trial": False,
        }
    ]


def _answers() -> list[dict[str, Any]]:
    prompt, verse = "Who led the people out of Egypt?", "And Moses led the people out of the land"
    return [
        {
            "receipt": "0a" * 32,
            "model": "e5" * 32,
            "adapter": "d4" * 32,
            "lineage": ["5b" * 32],
            "prompt": prompt,
            "text": f"{verse} of Egypt, as the Lord commanded him.",
            "base_text": "The people of Egypt were led by a king.",
            "fee": str(OPEN // 50),
            "records": [
                {
                    "record": "1b" * 32,
                    "owner": 1,
                    "datanet": KJV,
                    "score": 4_410,
                    "text": f"{verse} of Egypt by the strength of hand.",
                },
                {
                    "record": "2c" * 32,
                    "owner": 2,
                    "datanet": KJV,
                    "score": 1_207,
                    "text": "And he brought them forth with silver and gold.",
                },
            ],
            "spans": [{"text": verse, "record": "1b" * 32, "owner": 1}],
            "split": {
                "host": str(OPEN // 250),
                "owner": str(OPEN // 500),
                "contributors": str(OPEN // 80),
                "treasury": str(OPEN // 666),
            },
        }
    ]


def full_snapshot() -> dict[str, Any]:
    """One node in the middle of a job, with something in every section."""
    return {
        "status": _status(),
        "peers": _peers(),
        "datanets": _datanets(),
        "jobs": _jobs(),
        "verdicts": [
            _verdict(2, "ok", 3_900),
            _verdict(5, "ok", 1_200),
            _verdict(3, "B", 237_000_000),
        ],
        "slashes": [
            {
                "unit": "81b2aa07" * 8,
                "operator": OWNERS["kjv-1"][0],
                "amount": str(8 * OPEN),
                "reporter": OWNERS["kjv-2"][0],
                "tx": "9d" * 32,
                "evidence": "8c" * 32,
            }
        ],
        "attribution": _attribution(),
        "epochs": _epochs(),
        "claims": [
            {"owner_index": 1, "amount": str(25 * OPEN // 2), "tx": "7e" * 32, "block": 131}
        ],
        "answers": _answers(),
        "failures": [
            {
                "reason": "ping-timeout",
                "count": 1,
                "text": "A peer stopped answering and was dropped.",
                "last": NOW - 60,
            },
            {
                "reason": "bad-signature",
                "count": 3,
                "text": "An announcement whose signature does not match its author.",
                "last": NOW - 9,
            },
        ],
        "log": [
            {"time": NOW - 30, "stage": "verify", "text": "drew step 5 of unit 3fa9c1d2"},
            {"time": NOW - 12, "stage": "slash", "text": "unit 81b2aa07 lost 8 OPEN"},
        ],
    }


def empty_snapshot() -> dict[str, Any]:
    """A node that has just started and met nobody."""
    status = _status() | {
        "owner_index": None,
        "payout": "0x" + "0" * 40,
        "balance_open": "0",
        "claimed_open": "0",
        "claimable_open": "0",
        "stake": "0",
        "backed_up": True,
        "duty": "Waiting: 0 open tasks.",
        "mesh": {},
        "published_to_zero": 0,
    }
    names = [name for name in full_snapshot() if name != "status"]
    return {"status": status} | {name: [] for name in names}


GOVERNANCE: dict[str, Any] = {
    "version": 1,
    "rules": {"contributors_bps": 5_000, "samples": 2},
    "versions": [
        {"version": 1, "start": 1_767_225_600, "rules": {"contributors_bps": 5_000, "samples": 2}},
        {"version": 2, "start": 1_767_312_000, "rules": {"contributors_bps": 3_000, "samples": 2}},
    ],
    "guardian": "0x" + "0" * 40,
    "paused_until": None,
    "operator": "0x" + "0" * 40,
    "open": str(250 * OPEN),
    "gopen": str(10 * OPEN),
    "delegate": "0x" + "0" * 40,
    "votes": str(10 * OPEN),
    "governor": {
        "delay_seconds": 2,
        "vote_seconds": 15,
        "timelock_seconds": 5,
        "threshold": str(10_000 * OPEN),
        "fee": str(100 * OPEN),
        "quorum": str(10_000_000 * OPEN),
    },
    "successors": [{"old": "AttributionPool", "next": "0x" + "2" * 40}],
    "earliest_start": 1_767_232_800,
    "proposals": [
        {
            "proposal": "1f" * 32,
            "state": "active",
            "text": "less to contributors",
            "proposer": "0x" + "0" * 40,
            "votes": {"against": "0", "for": str(7 * OPEN), "abstain": "0"},
            "starts": 1_767_225_700,
            "ends": 1_767_226_000,
            "executable": None,
            "calls": ["rules from 1767312000: contributors_bps=3000"],
        }
    ],
}
