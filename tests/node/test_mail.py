"""Mail: what is kept, what is refused and why, and catching up."""

from contextlib import suppress
from dataclasses import replace

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from node.mail import AUTHOR_RATE, GRAIN_S, LIFETIME_S, MAX_HAVE, SCHEMA, Mail
from p2p.gossip import RateBook
from protocol.codec import pack, unpack
from protocol.errors import Ignore, Reject
from protocol.ids import content_id
from protocol.messages import BlobHint, DatanetRecord, EpochVote, NodeRecord
from protocol.signing import Envelope, public_key, seal
from simnet.seams import MemoryStore, run_world
from tests.node import bare

NETWORK, OTHER_NETWORK = b"n" * 32, b"o" * 32
ANN, BOB = b"a" * 32, b"b" * 32
NOW = 1_800_000_000.0
HINT = BlobHint((b"h" * 32,))


def mail(seed: bytes = BOB, standing: bool = True, network: bytes = NETWORK) -> Mail:
    return Mail(network, seed, lambda author: standing)


def sent(body: object = HINT, now: float = NOW, network: bytes = NETWORK) -> Envelope:
    """What Ann's node writes."""
    return mail(ANN, network=network).write(body, now)


def changed(envelope: Envelope, **fields: object) -> bytes:
    """Another envelope, honestly signed by Ann."""
    return pack(seal(replace(envelope, **fields, signature=bytes(64)), ANN))  # type: ignore[arg-type]


def test_what_one_writes_another_keeps_with_its_author() -> None:
    box, envelope = mail(), sent()
    letter = box.accept(pack(envelope), NOW)
    assert letter.body == HINT
    assert letter.envelope.author == public_key(ANN)
    assert box.letters(BlobHint) == [letter]
    assert box.bodies(BlobHint) == [HINT]
    assert box.bodies(EpochVote) == []


def test_our_own_messages_are_kept_at_once_and_their_echo_is_a_duplicate() -> None:
    box = mail()
    envelope = box.write(HINT, NOW)
    assert box.bodies(BlobHint) == [HINT]
    with pytest.raises(Ignore, match="duplicate"):
        box.accept(pack(envelope), NOW)


@pytest.mark.parametrize("later", [0.0, 10.0, LIFETIME_S - 2.0])
def test_a_replay_is_ignored(later: float) -> None:
    box, raw = mail(), pack(sent())
    box.accept(raw, NOW)
    with pytest.raises(Ignore, match="duplicate"):
        box.accept(raw, NOW + later)
    assert box.refused["duplicate"] == 1
    assert len(box.letters(BlobHint)) == 1


@pytest.mark.parametrize(
    ("verdict", "reason", "raw", "now"),
    [
        (Ignore, "unknown-kind", changed(sent(), kind="Gossip2"), NOW),
        (Ignore, "unknown-version", changed(sent(), version=99), NOW),
        (Reject, "wrong-network", pack(sent(network=OTHER_NETWORK)), NOW),
        (Ignore, "expired", pack(sent()), NOW + LIFETIME_S),
        (Ignore, "clock-skew", pack(sent(now=NOW + 31)), NOW),
        (Reject, "bad-lifetime", changed(sent(), expires=int(NOW) + LIFETIME_S + 1), NOW),
        (Reject, "bad-signature", pack(replace(sent(), signature=bytes(64))), NOW),
        (Reject, "wrong-shape", changed(sent(), kind="EpochVote"), NOW),
        (Reject, "not-msgpack", changed(sent(), body=b"\xc1"), NOW),
        (Reject, "too-large", pack(sent()) + bytes(8_192), NOW),
    ],
)
def test_each_refusal_has_its_verdict_and_is_counted(
    verdict: type[Exception], reason: str, raw: bytes, now: float
) -> None:
    box = mail()
    with pytest.raises(verdict, match=reason):
        box.accept(raw, now)
    assert dict(box.refused) == {reason: 1}
    assert box.missing((), now) == ()


def test_an_unstaked_author_is_ignored_until_it_is_staked() -> None:
    staked: set[bytes] = set()
    box, raw = Mail(NETWORK, BOB, staked.__contains__), pack(sent())
    for _ in range(3):
        with pytest.raises(Ignore, match="no-stake"):
            box.accept(raw, NOW)
    staked.add(public_key(ANN))
    assert box.accept(raw, NOW).body == HINT
    assert box.refused["no-stake"] == 3


def test_one_author_cannot_flood_and_does_not_stop_others() -> None:
    box, refused = mail(b"c" * 32), 0
    letters = [pack(sent(BlobHint((n.to_bytes(32, "big"),)))) for n in range(100)]
    box._rates = RateBook(AUTHOR_RATE, burst=50.0)
    for raw in letters:
        try:
            box.accept(raw, NOW)
        except Ignore as verdict:
            assert verdict.reason == "author-rate"
            refused += 1
    assert 0 < refused < len(letters)
    assert box.accept(pack(mail(BOB).write(HINT, NOW)), NOW).body == HINT


@given(st.binary(max_size=300))
def test_hostile_bytes_end_in_a_verdict(raw: bytes) -> None:
    with pytest.raises((Ignore, Reject)):
        mail().accept(raw, NOW)


@given(st.data())
def test_a_flipped_bit_ends_in_a_verdict(data: st.DataObject) -> None:
    raw = bytearray(pack(sent()))
    raw[data.draw(st.integers(0, len(raw) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises((Ignore, Reject)):
        mail().accept(bytes(raw), NOW)


# -- catching up ---


def full(count: int) -> Mail:
    box = mail()
    for number in range(count):
        box.write(BlobHint((number.to_bytes(32, "big"),)), NOW)
    return box


def test_sync_gives_what_is_missing_and_only_that() -> None:
    ours, theirs = full(5), mail(ANN)
    assert len(ours.missing(theirs.ids(NOW), NOW)) == 5
    for raw in ours.missing(theirs.ids(NOW), NOW):
        theirs.accept(raw, NOW)
    assert set(theirs.bodies(BlobHint)) == set(ours.bodies(BlobHint))
    assert ours.missing(theirs.ids(NOW), NOW) == ()


def test_an_answer_is_bounded_and_rounds_of_them_reach_the_end() -> None:
    ours, theirs = full(600), mail(ANN)
    rounds = 0
    while missing := ours.missing(theirs.ids(NOW), NOW):
        assert len(missing) <= 256
        for raw in missing:
            theirs.accept(raw, NOW + rounds * 10)
        rounds += 1
    assert rounds == 3
    assert len(theirs.letters(BlobHint)) == 600


def test_expired_messages_are_neither_listed_nor_given() -> None:
    box = full(3)
    assert len(box.ids(NOW)) == 3
    assert box.ids(NOW + LIFETIME_S) == ()
    assert box.missing((), NOW + LIFETIME_S) == ()


def test_a_synced_message_is_the_envelope_as_its_author_signed_it() -> None:
    envelope = sent(DatanetRecord("kjv", 1, "open", "PD", "a text"))
    box = mail()
    box.accept(pack(envelope), NOW)
    assert unpack(Envelope, box.missing((), NOW)[0]) == envelope


def test_beyond_what_one_request_lists_only_the_missing_comes_back() -> None:
    ours, theirs = full(MAX_HAVE + 300), mail(BOB)
    ids = ours.ids(NOW) + ours.ids(NOW, ours.ids(NOW)[-1])[1:]
    lacking = set(ids[::1_000])
    for raw in [pack(letter.envelope) for letter in ours.letters(BlobHint)]:
        envelope = unpack(Envelope, raw)
        if envelope.id not in lacking:
            theirs._keep(ours._letters[envelope.id])
    found: set[bytes] = set()
    for start in (bytes(32), theirs.ids(NOW)[-1]):
        have = theirs.ids(NOW, start)
        assert len(have) == MAX_HAVE
        found |= {unpack(Envelope, raw).id for raw in ours.missing(have, NOW, start)}
    assert found == lacking


def test_every_letter_has_its_turn_behind_those_that_the_asker_refuses() -> None:
    ours = full(1_000)
    turns = [ours.missing((), NOW, content_id(bytes([n]))) for n in range(30)]
    assert all(len(turn) == 256 for turn in turns)
    assert len({raw for turn in turns for raw in turn}) == 1_000


# -- time ---


def node_record(agent: str) -> NodeRecord:
    return NodeRecord(b"o" * 20, 1, (), b"s" * 32, agent, b"p" * 20, "public", bytes(65))


def test_expired_letters_are_dropped_but_for_the_newest_record_of_each_node() -> None:
    box = mail()
    for number, agent in enumerate(("old", "new")):
        box.accept(pack(sent(node_record(agent), NOW + number)), NOW + number)
    box.accept(pack(sent()), NOW)
    box.drop(NOW + LIFETIME_S - 1)
    assert len(box.letters(BlobHint)) == 1
    box.drop(NOW + 2 * LIFETIME_S)
    assert box.letters(BlobHint) == []
    assert [record.agent for record in box.bodies(NodeRecord)] == ["new"]


def test_a_repeated_message_takes_the_place_of_the_older_never_of_the_newer() -> None:
    box = mail()
    for raw in (pack(sent(now=NOW)), pack(sent(now=NOW + 5))):
        box.accept(raw, NOW + 5)
    (letter,) = box.letters(BlobHint)
    assert letter.envelope.issued == int(NOW + 5)
    with pytest.raises(Ignore, match="superseded"):
        box.accept(pack(sent(now=NOW + 2)), NOW + 5)
    assert len(box.ids(NOW + 5)) == 1


def test_what_was_learnt_outlives_its_letter_and_is_listed_once() -> None:
    box, record = mail(), DatanetRecord("kjv", 1, "open", "PD", "a text")
    box.accept(pack(sent(record)), NOW)
    box.learn(b"d" * 32, record)
    assert box.bodies(DatanetRecord) == [record]
    box.drop(NOW + LIFETIME_S)
    assert box.letters(DatanetRecord) == []
    assert box.bodies(DatanetRecord) == [record]


def test_only_our_own_letters_are_ours_to_renew() -> None:
    box = mail()
    box.accept(pack(sent()), NOW)
    own = box.write(EpochVote(1, bytes(32), bytes(65)), NOW)
    assert box.ending(NOW, LIFETIME_S - 1) == []
    assert [letter.envelope for letter in box.ending(NOW + 10, LIFETIME_S - 10)] == [own]


# -- store ---


async def test_letters_survive_a_restart_and_dropped_ones_do_not_return() -> None:
    store, box = MemoryStore([SCHEMA]), mail()
    box.accept(pack(sent()), NOW)
    box.write(EpochVote(1, bytes(32), bytes(65)), NOW + 60)
    await box.save(store)
    again = mail()
    await again.load(store)
    assert again.ids(NOW) == box.ids(NOW)
    assert again.bodies(EpochVote) == box.bodies(EpochVote)
    again.drop(NOW + LIFETIME_S)
    await again.save(store)
    last = mail()
    await last.load(store)
    assert last.bodies(BlobHint) == []
    assert len(last.bodies(EpochVote)) == 1


async def test_a_saved_letter_that_no_longer_reads_is_counted_and_goes() -> None:
    store, box = MemoryStore([SCHEMA]), mail()
    await store.execute("insert into mail (id, envelope) values (?, ?)", (b"x" * 32, b"junk"))
    await box.load(store)
    assert sum(box.refused.values()) == 1
    await box.save(store)
    assert await store.query("select * from mail") == []


# -- versions ---


def speaking(*versions: int, wire: int = 1, standing: bool = True) -> Mail:
    return Mail(NETWORK, BOB, lambda author: standing, wire, frozenset(versions))


def test_an_older_node_is_heard_and_heard_by_nodes_that_write_its_version() -> None:
    new, old = speaking(1, 2), speaking(0, 1)
    record = node_record("new")
    there = Mail(NETWORK, ANN, lambda author: True, 1).write(record, NOW)
    for box in (new, old):
        assert box.accept(pack(there), NOW).body.agent == "new"
    assert new.newer == old.newer == set()


def test_what_is_newer_is_ignored_counted_and_its_author_remembered() -> None:
    box = speaking(0, 1)
    newer = Mail(NETWORK, ANN, lambda author: True, 2).write(HINT, NOW)
    with pytest.raises(Ignore, match="unknown-version"):
        box.accept(pack(newer), NOW)
    assert box.refused["unknown-version"] == 1 and box.newer == {public_key(ANN)}


@pytest.mark.parametrize("standing", [True, False])
def test_nobody_makes_a_node_look_old_without_standing_or_signature(standing: bool) -> None:
    box = speaking(0, 1, standing=standing)
    newer = Mail(NETWORK, ANN, lambda author: True, 2).write(HINT, NOW)
    forged = replace(newer, signature=bytes(64)) if standing else newer
    with pytest.raises(Ignore, match="unknown-version"):
        box.accept(pack(forged), NOW)
    assert box.newer == set()


def test_a_newer_envelope_of_another_shape_blames_nobody() -> None:
    with pytest.raises(Ignore, match="unknown-version"):
        mail().accept(b"\x93\x09\x01\x02", NOW)
    with pytest.raises(Reject):
        mail().accept(b"\x93\x02\x01\x02", NOW)


blobs = st.integers(0, 3).map(lambda n: bytes([n]) * 32)
steps = st.lists(
    st.tuples(
        st.sampled_from([ANN, b"c" * 32]), st.lists(blobs, max_size=4), st.integers(0, 1_500)
    ),
    max_size=12,
)


def test_what_we_said_lately_we_know_to_have_said() -> None:
    box = mail()
    assert not box.says(HINT, NOW)
    box.accept(pack(sent()), NOW)  # another's letter is not ours
    assert not box.says(HINT, NOW)
    box.write(HINT, NOW)
    assert box.says(HINT, NOW + LIFETIME_S / 2 - 1)
    assert not box.says(HINT, NOW + LIFETIME_S / 2)  # soon gone: it is said again
    assert not box.says(BlobHint(()), NOW)


def test_what_a_node_shares_twice_wakes_nobody_and_goes_out_once() -> None:
    async def main() -> None:
        ctx = bare.node("ann", ("ann",))
        blob = ctx.seams.blobs.put(b"body")
        await ctx.share(blob)
        with trio.move_on_after(1.0) as asleep:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ctx.changed, 60.0)
                await ctx.share(blob)
        assert asleep.cancelled_caught
        assert len(ctx.mail.letters(BlobHint)) == 1

    run_world(main, seed=1)


@given(steps)
def test_hints_and_ids_are_those_of_the_letters_whatever_came_and_went(
    steps: list[tuple[bytes, list[bytes], int]],
) -> None:
    """Both are kept beside the letters, for speed; a look at all letters must say the same."""
    box, now = mail(), NOW
    for author, held, seconds in steps:
        now += seconds
        with suppress(Ignore):  # the same at the same second
            box.accept(pack(mail(author).write(BlobHint(tuple(held)), now)), now)
        box.drop(now)
        letters = box.letters(BlobHint)
        for blob in (bytes([n]) * 32 for n in range(4)):
            said = [letter.author for letter in letters if blob in letter.body.blobs]
            assert list(box.hinting(blob)) == said
        until = (int(now) // GRAIN_S + 1) * GRAIN_S
        living = sorted(x.id for x in letters if x.envelope.expires > until)
        assert list(box.sorted_ids(now)) == living
