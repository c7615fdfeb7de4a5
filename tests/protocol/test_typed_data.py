"""EIP-712: our hashes are the standard's, our signatures OpenZeppelin's; each binds everything."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import Any

import pytest
from eth_account import Account
from eth_account.messages import encode_typed_data
from hypothesis import given
from hypothesis import strategies as st

from protocol import typed_data
from protocol.errors import LocalError, PeerError
from protocol.typed_data import Domain, Draw, EpochCommit, Slash, Typed, Voucher

KEY = b"\x07" * 32
DOMAINS = {
    "contract": Domain("InferenceChannels", 4242, contract=b"\x11" * 20),
    "statement": typed_data.statement_domain(4242, b"\x22" * 32),
}
DRAWS = (Draw(b"a" * 32, 4), Draw(b"b" * 32, 5))
VALUES: list[Typed] = [
    Voucher(b"c" * 32, 5, b"h" * 32),
    Slash(b"\x01" * 20, b"u" * 32, 7, b"e" * 32, bytes(20)),
    EpochCommit(b"P" * 32, 1, b"p" * 32, b"r" * 32, 9, 4, b"e" * 32, 2, ()),
    EpochCommit(b"P" * 32, 1, b"p" * 32, b"r" * 32, 9, 4, b"e" * 32, 2, DRAWS),
    typed_data.WorkCommitment(b"u" * 32, b"r" * 32, b"a" * 32),
    typed_data.VerdictStatement(b"u" * 32, 3, 1, b"e" * 32),
    typed_data.RowRoot(b"j" * 32, b"r" * 32),
    typed_data.ReceiptRoot(b"q" * 32),
]
NAMES = [type(value).__name__ for value in VALUES]


def members(kind: str) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Struct names and their (type, name) pairs, from an EIP-712 type string."""
    for part in kind.rstrip(")").split(")"):
        name, inside = part.split("(")
        pairs = [member.split(" ") for member in inside.split(",")]
        yield name, [(pair[0], pair[1]) for pair in pairs]


def message(value: Typed) -> dict[str, Any]:
    """The value as the standard's JSON message, member names from its type string."""
    _, pairs = next(members(value.TYPE))
    given_values = [getattr(value, field.name) for field in fields(value)]  # type: ignore[arg-type]
    return {
        name: [message(draw) for draw in one]
        if kind.endswith("[]")
        else ("0x" + one.hex() if kind == "address" else one)
        for (kind, name), one in zip(pairs, given_values, strict=True)
    }


def standard_digest(value: Typed, domain: Domain) -> bytes:
    """What eth-account would sign: an independent implementation of the standard."""
    structs = {
        name: [{"name": member, "type": kind} for kind, member in pairs]
        for name, pairs in members(value.TYPE)
    }
    where: dict[str, Any] = {"name": domain.name, "version": "1", "chainId": domain.chain_id}
    if domain.contract:
        where["verifyingContract"] = "0x" + domain.contract.hex()
    if domain.salt:
        where["salt"] = domain.salt
    encoded = encode_typed_data(where, structs, message(value))
    signed = Account.sign_message(encoded, KEY)
    return bytes(signed.message_hash)


@pytest.mark.parametrize("domain", DOMAINS.values(), ids=DOMAINS)
@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_digests_are_the_standard_s(value: Typed, domain: Domain) -> None:
    assert value.digest(domain) == standard_digest(value, domain)


@pytest.mark.parametrize("value", VALUES, ids=NAMES)
def test_every_field_is_bound(value: Typed) -> None:
    domain = DOMAINS["contract"]
    for field in fields(value):  # type: ignore[arg-type]
        old = getattr(value, field.name)
        new: Any = old + 1 if isinstance(old, int) else (Draw(bytes(32), 1),)
        if isinstance(old, bytes):
            new = bytes([old[0] ^ 1]) + old[1:]
        assert replace(value, **{field.name: new}).digest(domain) != value.digest(domain)  # type: ignore[type-var]


def test_every_part_of_the_domain_is_bound() -> None:
    value, domain = VALUES[0], DOMAINS["statement"]
    others = [
        replace(domain, name="Other"),
        replace(domain, chain_id=1),
        replace(domain, salt=b"\x23" * 32),
        replace(domain, contract=b"\x11" * 20),
    ]
    assert len({value.digest(each) for each in [domain, *others]}) == 5


@given(st.binary(min_size=32, max_size=32), st.integers(1, 2**250))
def test_a_signature_names_its_key(digest: bytes, secret: int) -> None:
    key = secret.to_bytes(32, "big")
    signature = typed_data.sign(key, digest)
    assert len(signature) == 65
    assert signature[64] in (27, 28)
    assert int.from_bytes(signature[32:64], "big") <= typed_data.HALF_ORDER
    assert typed_data.recover(digest, signature) == typed_data.address_of(key)
    assert bytes.fromhex(Account.from_key(key).address[2:]) == typed_data.address_of(key)


def test_signatures_of_other_forms_are_refused() -> None:
    digest = b"d" * 32
    good = typed_data.sign(KEY, digest)
    order = 2 * typed_data.HALF_ORDER + 1
    s = order - int.from_bytes(good[32:64], "big")
    high = good[:32] + s.to_bytes(32, "big") + bytes([55 - good[64]])
    no_point = b"\xff" * 32 + good[32:]
    for wrong in (good[:64], good + b"\x00", good[:64] + b"\x00", high, no_point, b""):
        with pytest.raises(PeerError, match="bad-signature"):
            typed_data.recover(digest, wrong)


@pytest.mark.parametrize(
    "value",
    [
        Voucher(b"short", 1, bytes(32)),
        Voucher(bytes(32), -1, bytes(32)),
        Voucher(bytes(32), 2**256, bytes(32)),
        Slash(b"\x01" * 32, bytes(32), 1, bytes(32), bytes(20)),
        EpochCommit(bytes(32), 2**64, bytes(32), bytes(32), 1, 1, bytes(32), 1, ()),
        EpochCommit(bytes(32), 1, bytes(32), bytes(32), 1, 2**32, bytes(32), 1, ()),
        typed_data.VerdictStatement(bytes(32), 1, 256, bytes(32)),
    ],
)
def test_values_beyond_their_type_are_refused(value: Typed) -> None:
    with pytest.raises(LocalError, match="bad-value"):
        value.digest(DOMAINS["contract"])
