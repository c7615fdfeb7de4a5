"""Earlier originals keep what is theirs, at every similarity, whatever else is there."""

from collections.abc import Callable, Sequence

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from datanet.intake import make_record
from datanet.precedence import PPM, Kept, Placed, Precedence, decide
from datanet.record import Record, record_id
from protocol.errors import LocalError
from simnet.texts import Row, owner_rows

SEEDS = (b"one", b"two", b"three")
WORDS = [f"{a}{b}" for a in "bcdfghjklm" for b in ("a", "e", "i", "o", "u", "ai", "ou")]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=30).map(" ".join)
corpora = st.lists(texts, min_size=1, max_size=8)


def _placed(texts: Sequence[str], block: int = 0, owner: bytes = b"a" * 20) -> list[Placed]:
    return [Placed((block, 0, n), owner, Record("", text)) for n, text in enumerate(texts)]


def _rows(rows: Sequence[Row], block: int) -> list[Placed]:
    return _placed([" ".join(row.values()) for row in rows], block, bytes([block]) * 20)


def _share(kept: Sequence[Kept]) -> float:
    return sum(row.kept_ppm for row in kept) / len(kept) / PPM


def _numbered(start: int, count: int = 30) -> str:
    return " ".join(f"w{n}" for n in range(start, start + count))


# what people rely on, on real texts


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("source", "least"), [("kjv", 0.97), ("faq", 0.97), ("civics", 0.9)])
def test_honest_owners_of_one_domain_keep_theirs(source: str, least: float, seed: bytes) -> None:
    """Civics asks some questions twice (President, Vice President) in the same words."""
    first, second = (_rows(owner_rows(source, p, 2, 40, seed), p) for p in (0, 1))
    kept = decide(first, second)
    assert _share(kept) > least
    assert sum(row.kept_ppm > 900_000 for row in kept) >= 0.85 * len(kept)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("source", ["kjv", "faq"])
def test_a_copycat_with_one_word_in_twelve_changed_keeps_next_to_nothing(
    source: str, seed: bytes
) -> None:
    original = _rows(owner_rows(source, 0, 2, 40, seed), 1)
    copies = _rows(owner_rows(f"copycat:{source}", 0, 2, 40, seed), 2)
    kept = decide(original, copies)
    assert max(row.kept_ppm for row in kept) < 100_000
    for row, source_row in zip(kept, original, strict=True):
        most = max(row.yielded, key=lambda yielded: yielded.ppm)
        assert (most.record, most.owner) == (record_id(source_row.record), b"\x01" * 20)


@pytest.mark.parametrize("every", [12, 8, 6, 5, 4, 3])
def test_words_replaced_at_even_distance_hide_no_copy(every: int) -> None:
    """Plain 3-grams all vanish at every third word; skip-grams do not."""
    copy = [word if n % every else f"new{n}" for n, word in enumerate(_numbered(0, 60).split())]
    kept = decide(_placed([_numbered(0, 60)]), _placed([" ".join(copy)], 1))[0].kept_ppm
    assert kept < {12: 5_000, 8: 30_000, 6: 60_000, 5: 100_000, 4: 200_000, 3: 450_000}[every]


def test_a_splice_of_several_originals_yields_to_each() -> None:
    originals = [_numbered(100 * n, 48) for n in range(4)]
    splice = " ".join(
        " ".join(text.split()[12 * n : 12 * n + 12]) for n, text in enumerate(originals)
    )
    kept = decide(_placed(originals), _placed([splice], 1))[0]
    assert kept.kept_ppm < 100_000
    assert len(kept.yielded) == 4
    assert kept.kept_ppm + sum(yielded.ppm for yielded in kept.yielded) == PPM


def test_what_two_originals_share_is_yielded_to_the_earlier() -> None:
    original = _numbered(0, 60)
    edited = " ".join(w if n % 5 else f"new{n}" for n, w in enumerate(original.split()))
    first, second, third = decide([], _placed([original, edited, original]))
    assert 0 < second.kept_ppm < PPM
    assert [yielded.record for yielded in third.yielded] == [first.record]


def test_nobody_yields_to_a_record_that_is_no_original() -> None:
    """A patchwork of two records owns nothing, so a row that is nearest to it yields to the two."""
    left, right = _numbered(0, 60), _numbered(100, 60)
    patchwork = f"{left} {right}"
    row = f"{_numbered(0, 8)} {_numbered(500, 20)} {_numbered(100, 8)}"
    first, second, third, last = decide([], _placed([left, right, patchwork, row]))
    assert third.kept_ppm == 0
    assert last.kept_ppm < PPM
    assert {yielded.record for yielded in last.yielded} == {first.record, second.record}


def test_cutting_or_padding_or_interleaving_is_no_escape() -> None:
    words = _numbered(0, 60).split()
    other = _numbered(500, 60).split()
    forms = {
        "cut": words[20:40],
        "padded": words[:30] + other[:30],
        "inserted": [
            w for n, word in enumerate(words) for w in ([word] if n % 3 else [word, other[n]])
        ],
    }
    for form, text in forms.items():
        kept = decide(_placed([" ".join(words)]), _placed([" ".join(text)], 1))[0].kept_ppm
        assert kept < 150_000, form


def test_texts_without_spaces_are_measured_by_letter() -> None:
    text = "".join(chr(0x5929 + 7 * n) for n in range(20))
    copy = text[:10] + "\u79cb" + text[11:]
    assert decide(_placed([text]), _placed([copy], 1))[0].kept_ppm < 100_000


# rules that hold for all texts


@given(corpora)
def test_kept_and_yields_are_all_there_is(corpus: list[str]) -> None:
    for row in decide([], _placed(corpus)):
        assert 0 <= row.kept_ppm <= PPM
        assert all(yielded.ppm > 0 for yielded in row.yielded)
        assert row.kept_ppm + sum(yielded.ppm for yielded in row.yielded) == PPM


@given(corpora)
def test_the_first_keeps_all_and_its_equals_nothing(corpus: list[str]) -> None:
    rows = _placed([corpus[0], *corpus, corpus[0]])
    kept = decide([], rows)
    assert kept[0].kept_ppm == PPM
    assert kept[1].kept_ppm == kept[-1].kept_ppm == 0
    assert {y.record for y in kept[1].yielded} == {kept[0].record}


@given(corpora, corpora)
def test_later_rows_change_nothing_earlier(first: list[str], later: list[str]) -> None:
    rows = _placed(first)
    assert decide([], rows) == decide([], [*rows, *_placed(later, 1)])[: len(rows)]


@given(corpora, corpora)
def test_one_by_one_or_together_is_the_same(first: list[str], later: list[str]) -> None:
    rows, more = _placed(first), _placed(later, 1)
    assert decide(rows, more) == decide([], [*rows, *more])[len(rows) :]


@given(corpora)
def test_the_order_of_arguments_is_no_matter(corpus: list[str]) -> None:
    rows = _placed(corpus)
    assert decide([], rows[::-1]) == decide([], rows)[::-1]


@given(texts, st.lists(texts, max_size=5))
def test_yields_go_to_earlier_records_only(text: str, corpus: list[str]) -> None:
    rows = _placed([*corpus, text])
    ids = [record_id(row.record) for row in rows]
    for place, row in enumerate(decide([], rows)):
        assert {yielded.record for yielded in row.yielded} <= set(ids[:place])


@given(st.integers(5, 25), st.booleans())
def test_a_bridge_moves_nothing_between_rows_that_are_not_near(cut: int, late: bool) -> None:
    """The bridge is near both; neither yields to the other because of it."""
    left, right = _numbered(0), _numbered(100)
    bridge = " ".join(left.split()[:cut] + right.split()[: 30 - cut])
    order = [left, right, bridge] if late else [left, bridge, right]
    kept = {
        record_id(Record("", t)): k for t, k in zip(order, decide([], _placed(order)), strict=True)
    }
    a, b = kept[record_id(Record("", left))], kept[record_id(Record("", right))]
    assert a.kept_ppm == PPM
    assert a.record not in {yielded.record for yielded in b.yielded}
    if late:
        assert b.kept_ppm == PPM


@settings(max_examples=20, phases=[Phase.generate])
@given(st.permutations(range(40)))
def test_the_more_words_are_replaced_the_more_is_kept_and_without_a_jump(order: list[int]) -> None:
    """Each of 40 words replaced in turn: kept rises from 0 to all, never by much at once."""
    original = _numbered(0, 40)
    words, steps = original.split(), []
    for turn, place in enumerate(order):
        words[place] = f"new{turn}"
        steps.append(decide(_placed([original]), _placed([" ".join(words)], 1))[0].kept_ppm)
    rises = [after - before for before, after in zip([0, *steps], steps, strict=False)]
    assert steps[-1] == PPM
    assert min(rises) >= 0
    assert max(rises) < 450_000  # one word of 40 takes up to 30 of 390 n-grams along


@pytest.mark.parametrize("text", ["hello", "hello world", "!!!", "?"])
def test_short_texts_are_measured_too(text: str) -> None:
    earlier = _placed([text, "something else entirely"])
    assert decide(earlier, _placed([text], 1))[0].kept_ppm == 0
    assert decide(earlier, _placed(["nothing of the kind"], 1))[0].kept_ppm == PPM


def test_prompt_and_completion_count_together() -> None:
    words = _numbered(0).split()
    earlier = [Placed((0, 0, 0), b"a" * 20, make_record(" ".join(words[:9]), " ".join(words[9:])))]
    assert decide(earlier, _placed([" ".join(words).upper()], 1))[0].kept_ppm == 0


def test_a_record_out_of_order_is_refused_and_changes_nothing() -> None:
    index = Precedence()
    first, second = _placed([_numbered(0), _numbered(100)])
    index.place(second)
    with pytest.raises(LocalError, match="out-of-order"):
        index.place(first)
    later = Placed((1, 0, 0), b"b" * 20, first.record)
    assert index.place(later).kept_ppm == PPM
    with pytest.raises(LocalError, match="out-of-order"):
        decide(_placed(["b"], 1), _placed(["a"], 0))


@pytest.mark.parametrize(
    "record",
    [
        lambda copied, fresh: Record("", f"{copied} {fresh}"),  # a text loses its tail
        lambda copied, fresh: Record(fresh, copied),  # a question loses its head
    ],
)
def test_words_that_nobody_trains_on_dilute_nothing(record: Callable[[str, str], Record]) -> None:
    """A copy with many fresh words keeps as little as the copy alone, when they are cut away."""
    head, fresh = _numbered(0, 40), _numbered(1_000, 400)
    original = Placed((0, 0, 0), b"a" * 20, Record("", head))
    padded = Placed((1, 0, 0), b"b" * 20, record(head, fresh))
    kept = {}
    for most in (None, 40):
        index = Precedence(most)
        index.place(original)
        kept[most] = index.place(padded).kept_ppm
    assert kept[40] == 0
    assert kept[None] > PPM // 2
