"""Messages, ids and roles: small enough for gossip, one id for one thing, topics that fit."""

import typing
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocol import ids, messages, roles
from protocol.codec import Max, Size, pack, unpack
from protocol.compute import Hyper
from protocol.errors import DecodeError
from protocol.messages import FINDINGS, GOSSIP, JobSpec, judged
from protocol.signing import WIRE_VERSION
from protocol.wire import KINDS
from settlement.models.pots import pot_id

ENVELOPE_BODY = 3_584  # bytes, protocol/signing.py
MESSAGES = [
    cls
    for cls in vars(messages).values()
    if is_dataclass(cls) and cls.__module__ == messages.__name__
]
HYPER = Hyper(8, 16, ("q_proj",), 8, 4, 64, 1_000_000, 1_000_000, 700_000, 900_000, "fp32", 1)
SPEC = JobSpec(
    name="story",
    base="integer:tiny",
    base_digest=b"b" * 32,
    start=b"s" * 32,
    datanets=(b"d" * 32,),
    include_private=False,
    rounds=2,
    workers=3,
    escrow=10**21,
    unit_pay=10**19,
    rule_version=1,
    hyper=HYPER,
    builder=b"a" * 20,
)


def strategy(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotated field."""
    size, limit = None, 3
    if typing.get_origin(kind) is typing.Annotated:
        for mark in kind.__metadata__:
            size = mark.exact if isinstance(mark, Size) else size
            limit = min(limit, mark.limit) if isinstance(mark, Max) else limit
        kind = typing.get_args(kind)[0]
    if is_dataclass(kind):
        return struct(typing.cast(type, kind))
    if typing.get_origin(kind) is tuple:
        return st.lists(strategy(typing.get_args(kind)[0]), max_size=limit).map(tuple)
    scalars: dict[Any, Callable[[], st.SearchStrategy[Any]]] = {
        int: lambda: st.integers(-(2**200), 2**200),
        bool: st.booleans,
        str: lambda: st.text(max_size=limit),
        bytes: lambda: st.binary(min_size=size or 0, max_size=limit if size is None else size),
    }
    return scalars[kind]()


def struct(cls: type) -> st.SearchStrategy[Any]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return st.builds(cls, **{field.name: strategy(hints[field.name]) for field in fields(cls)})


@pytest.mark.parametrize("cls", MESSAGES)
@given(data=st.data())
def test_every_message_has_one_encoding(cls: type, data: st.DataObject) -> None:
    value = data.draw(struct(cls))
    assert unpack(cls, pack(value)) == value


@pytest.mark.parametrize("cls", MESSAGES)
@given(raw=st.binary(max_size=200))
def test_any_other_bytes_are_refused_or_canonical(cls: type, raw: bytes) -> None:
    try:
        value = unpack(cls, raw)
    except DecodeError:
        return
    assert pack(value) == raw


def test_every_gossiped_message_is_known_to_the_mail_by_its_name() -> None:
    assert {cls.__name__: cls for cls in GOSSIP} == KINDS[WIRE_VERSION]


def test_full_gossip_messages_fit_an_envelope() -> None:
    record = messages.NodeRecord(
        b"o" * 20, 63, ("/" * 256,) * 8, b"k" * 32, "a" * 128, b"p" * 20, "r" * 16, b"s" * 65
    )
    hint = messages.BlobHint(tuple(n.to_bytes(32, "big") for n in range(64)))
    names = ("n" * 128,) * 7  # the adapted matrices of a layer
    spec = replace(
        SPEC,
        name="n" * 128,
        base="b" * 512,
        datanets=(b"d" * 32,) * 16,
        hyper=replace(HYPER, targets=names),
    )
    for message in (record, hint, spec):
        assert len(pack(message)) <= ENVELOPE_BODY


# -- ids ---


def test_a_jobs_id_is_its_pots_id() -> None:
    assert SPEC.job == pot_id(ids.checksum(SPEC.builder), SPEC.digest)


@pytest.mark.parametrize(
    "change", [{"name": "other"}, {"rounds": 3}, {"escrow": 1}, {"builder": b"c" * 20}]
)
def test_any_other_spec_is_another_job(change: dict[str, Any]) -> None:
    assert replace(SPEC, **change).job != SPEC.job
    assert replace(SPEC, **change).digest != SPEC.digest


@given(st.lists(st.binary(max_size=6), max_size=4), st.lists(st.binary(max_size=6), max_size=4))
def test_parts_of_a_chain_id_cannot_flow_into_each_other(
    one: list[bytes], other: list[bytes]
) -> None:
    same = ids.chain_id_of("p", *one) == ids.chain_id_of("p", *other)
    assert same == (one == other)


def test_a_purpose_makes_another_id() -> None:
    assert ids.chain_id_of("a", b"x") != ids.chain_id_of("b", b"x")
    assert ids.value_id("a", SPEC) != ids.value_id("b", SPEC)
    assert ids.job_round(b"j" * 32, 1) != ids.job_round(b"j" * 32, 2)


def test_every_worker_and_round_has_a_unit_of_its_own() -> None:
    units = {
        ids.unit_id(job, number, worker)
        for job in (b"j" * 32, b"k" * 32)
        for number in (0, 1)
        for worker in (b"a" * 20, b"b" * 20)
    }
    assert len(units) == 8


@given(st.binary(min_size=20, max_size=20))
def test_address_text_round_trip(address: bytes) -> None:
    assert ids.address_bytes(ids.checksum(address)) == address
    assert ids.address_bytes(address.hex()) == address


@pytest.mark.parametrize("text", ["", "0x", "0x00", "00" * 21, "zz" * 20])
def test_bad_addresses_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"address|hex"):
        ids.address_bytes(text)


# -- topics ---


@pytest.mark.parametrize(
    "kind", [messages.VERDICT, messages.RULING, messages.SCORED, messages.RECEIPT_CHECK]
)
@pytest.mark.parametrize("finding", FINDINGS)
def test_every_finding_has_a_topic(kind: str, finding: str) -> None:
    raw = judged(kind, finding)
    assert len(raw) == 32
    assert raw.rstrip(b"\x00").decode() == f"{kind}/{finding}"


def test_unknown_findings_and_long_topics_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown finding"):
        judged(messages.VERDICT, "E")
    with pytest.raises(ValueError, match="longer than 32"):
        ids.topic("x" * 33)


# -- roles ---


@given(st.sets(st.sampled_from(sorted(roles.BITS))))
def test_role_names_round_trip(names: set[str]) -> None:
    bits = roles.mask(names)
    assert set(roles.names(bits)) == names
    assert all(roles.has(bits, name) == (name in names) for name in roles.BITS)


def test_each_role_has_a_bit_of_its_own() -> None:
    assert len(set(roles.BITS.values())) == len(roles.BITS)
    assert all(bit.bit_count() == 1 for bit in roles.BITS.values())


def test_an_unknown_role_is_named() -> None:
    with pytest.raises(ValueError, match="'miner'"):
        roles.mask(["worker", "miner"])
