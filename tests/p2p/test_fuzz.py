"""Thousands of hostile streams: the node lives, serves the honest, forgets nothing it refused.

The small siege runs always; the one of 10,000 streams with 200 slow connections by
``python -m pytest -m slow tests/p2p/test_fuzz.py`` (its figures: ``python -m tests.bench.fuzz``).
"""

import pytest

from tests.p2p.siege import Siege, lay

GROWTH_BYTES = 128 * 1024 * 1024


def check(siege: Siege, streams: int) -> None:
    sent = siege.sent
    assert sent["streams"] == streams
    assert sent["framed"] * 2 >= streams and sent["signed"] * 4 >= streams
    assert siege.honest > 0 and siege.failed == []
    assert siege.rss_after - siege.rss_before < GROWTH_BYTES
    # every refusal that an attacker saw has its reason
    assert siege.counted("request-refused-") >= sent["refused"] > 0
    # every signed message was judged: refused under a reason, but for records that were only old
    judged = siege.counted("gossip-ignored-", "gossip-rejected-")
    lost = sent["hung-up"] + sent["timed-out"]  # streams that ended before all was sent
    assert judged >= sent["messages"] - sent["may-pass"] - 4 * lost
    assert siege.counted("inbound-handshake-failed") > 0
    assert siege.counted("gossip-failed", "stop", "libp2p-stopped") == 0


async def test_a_small_siege() -> None:
    check(await lay(120, 20, seed=20), 120)


@pytest.mark.slow
async def test_a_long_siege() -> None:
    check(await lay(10_000, 200, seed=1), 10_000)
