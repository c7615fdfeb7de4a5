"""Vouchers: one set of amounts has one hash, and a host takes only what it can claim."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol.errors import LocalError, PeerError
from protocol.ids import checksum
from protocol.typed_data import Domain, address_of
from settlement.vouchers import (
    SignedVoucher,
    Usage,
    sign_voucher,
    usage_hash,
    verify_voucher,
)

KEY, OTHER = b"\x07" * 32, b"\x08" * 32
PAYER = checksum(address_of(KEY))
DOMAIN = Domain("InferenceChannels", 4242, contract=b"\x11" * 20)
CHANNEL = b"c" * 32
USAGE = st.lists(
    st.builds(
        Usage,
        st.sampled_from([b"a" * 32, b"b" * 32]),
        st.integers(0, 9),
        st.integers(0, 2**60),
    ),
    min_size=1,
    max_size=10,
    unique_by=lambda usage: usage.key,
)


@given(USAGE)
def test_the_order_of_use_does_not_matter(usage: list[Usage]) -> None:
    one = sign_voucher(KEY, DOMAIN, CHANNEL, 2**70, usage)
    assert sign_voucher(KEY, DOMAIN, CHANNEL, 2**70, usage[::-1]) == one
    verify_voucher(one, DOMAIN, PAYER)


@given(USAGE)
def test_a_change_of_anything_is_noticed(usage: list[Usage]) -> None:
    signed = sign_voucher(KEY, DOMAIN, CHANNEL, 2**70, usage)
    more = replace(signed.usage[-1], cumulative=signed.usage[-1].cumulative + 1)
    wrong = [
        replace(signed, ceiling=signed.ceiling + 1),
        replace(signed, channel=b"d" * 32),
        replace(signed, usage=(*signed.usage[:-1], more)),
    ]
    for voucher in wrong:
        with pytest.raises(PeerError, match="bad-signature"):
            verify_voucher(voucher, DOMAIN, PAYER)
    with pytest.raises(PeerError, match="bad-signature"):
        verify_voucher(signed, replace(DOMAIN, chain_id=1), PAYER)
    with pytest.raises(PeerError, match="bad-signature"):
        verify_voucher(signed, DOMAIN, checksum(address_of(OTHER)))


A, B = Usage(b"a" * 32, 1, 5), Usage(b"b" * 32, 1, 5)


@pytest.mark.parametrize(
    ("usage", "ceiling"),
    [((), 9), ((B, A), 10), ((A, A), 10), ((A, B), 9), (tuple([A] * 33), 10**6)],
)
def test_what_cannot_be_claimed_is_refused(usage: tuple[Usage, ...], ceiling: int) -> None:
    with pytest.raises(PeerError, match="bad-usage"):
        verify_voucher(SignedVoucher(CHANNEL, ceiling, usage, bytes(65)), DOMAIN, PAYER)


def test_a_payer_signs_no_list_that_cannot_be_claimed() -> None:
    for usage, ceiling in (((), 9), ((A, A), 10), ((A, B), 9)):
        with pytest.raises(LocalError, match="bad-usage"):
            sign_voucher(KEY, DOMAIN, CHANNEL, ceiling, usage)


def test_the_hash_covers_the_length() -> None:
    assert usage_hash([A]) != usage_hash([A, B])
    assert usage_hash([A, B]) != usage_hash([B, A])
