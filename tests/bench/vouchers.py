"""Vouchers signed and checked a second on one core: ``python -m tests.bench.vouchers``.

Each names eight assets, as a host with eight adapters sees them. Fails below the least.
"""

import sys
import time
from collections.abc import Callable

from protocol.ids import address_bytes, checksum
from protocol.typed_data import Domain, address_of
from settlement.vouchers import Usage, sign_voucher, verify_voucher

LEAST = 1_000  # signed a second
COUNT, ASSETS = 4_000, 8
KEY = bytes(31) + b"\7"
DOMAIN = Domain("InferenceChannels", 1, contract=address_bytes("0x" + "11" * 20))


def main() -> None:
    """Print the table; exit 1 below the least."""
    payer, channel = checksum(address_of(KEY)), bytes(32)
    lists = [
        [Usage(bytes([asset]) * 32, 1, number + asset) for asset in range(ASSETS)]
        for number in range(COUNT)
    ]
    ceiling = COUNT * ASSETS * 2
    signed = []
    signing = rate(lambda n: signed.append(sign_voucher(KEY, DOMAIN, channel, ceiling, lists[n])))
    checking = rate(lambda n: verify_voucher(signed[n], DOMAIN, payer))
    sys.stdout.write(
        f"signed  {signing:8,.0f} a second, at least {LEAST:,} ({signing / LEAST:.1f} x)\n"
    )
    sys.stdout.write(f"checked {checking:8,.0f} a second\n")
    sys.exit(signing < LEAST)


def rate(act: Callable[[int], None]) -> float:
    """Calls a second of CPU."""
    begun = time.process_time()
    for number in range(COUNT):
        act(number)
    return COUNT / (time.process_time() - begun)


if __name__ == "__main__":
    main()
