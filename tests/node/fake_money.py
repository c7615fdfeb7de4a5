"""What the fixed node answers about coins."""

from typing import Any

OPEN = 10**18
HOST, CHANNEL = "0x52908400098527886E0F7030069857D2E4169EE7", "ab" * 32
DONE = {"tx": "0x" + "5c" * 32, "block": 130}
LEAVING = {"unbonding": str(20 * OPEN), "release_at": 1_800_000_000, "locked": str(5 * OPEN)}
OPENED = {
    "channel": CHANNEL,
    "payer": HOST,
    "host": HOST,
    "deposit": str(9 * OPEN),
    "spent": str(OPEN // 2),
    "closes_at": None,
    "state": "open",
    "hosting": False,
    "terms": None,
}
HOSTED = {
    **OPENED,
    "hosting": True,
    "terms": {"rate": str(OPEN // 2), "every": 86_400, "served": 3, "missed": 1, "now": "served"},
}
FAKE_PROOF = {
    "epoch": 1,
    "root": "e5" * 32,
    "index": 1,
    "leaves": 6,
    "siblings": 3,
    "cumulative": str(45 * OPEN),
    "valid": True,
    "claimable_at": 1_800_000_000,
    "seconds_left": 0,
}


def fake_money(name: str) -> Any:
    """The answer of one method of the money facade."""
    return {
        "stake": {**DONE, "stake": str(130 * OPEN)},
        "unstake": {**DONE, **LEAVING},
        "withdraw": {**DONE, "withdrawn": str(20 * OPEN), "payout": HOST},
        "unbonding": LEAVING,
        "fund": DONE,
        "channels": [OPENED, HOSTED],
        "open_channel": {**DONE, "channel": CHANNEL},
        "top_up": {**DONE, "channel": CHANNEL},
        "close_channel": {**DONE, **OPENED, "closes_at": 1_800_000_000, "state": "closing"},
        "review": {
            "epoch": 3,
            "active": False,
            "on_trial": False,
            "fault": "the job e5e5e5e5 pays owner 1 0 as worker, due are 5",
            "bond": str(10 * OPEN),
        },
        "challenge": {**DONE, "fault": ""},
        "claim_batch": {"owners": 4, "claimed": str(8 * OPEN), "txs": ["0x" + "5c" * 32]},
        "chain": {
            "chain_id": 31337,
            "head": {"number": 140, "time": 1_799_999_990, "age": 2},
            "folded": 139,
            "operator": HOST,
            "pending": [{"nonce": 7, "tx": "0x" + "5c" * 32, "forms": 2, "age": 31}],
            "faults": {"http://b differs": 3},
            "contracts": {"OpenToken": HOST},
        },
    }[name]
