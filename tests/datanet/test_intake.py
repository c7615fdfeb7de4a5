"""Files become records, or an error names every bad row."""

import json
from pathlib import Path

import pytest

from datanet.intake import MAX_LISTED, read_records
from datanet.record import Record
from protocol.errors import OperatorError


def _write(folder: Path, name: str, body: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(body if isinstance(body, bytes) else body.encode())
    return path


def test_the_three_forms_of_jsonl(tmp_path: Path) -> None:
    rows = [
        {"text": "plain"},
        {"prompt": "q", "completion": "a"},
        {"instruction": "do", "input": "this", "output": "done"},
        {"instruction": "do", "input": "", "output": "bare"},
        {"instruction": "do", "output": "none"},
    ]
    body = "\n".join(json.dumps(row) for row in rows)
    intake = read_records([_write(tmp_path, "a.jsonl", body)])
    assert intake.records == (
        Record("", "plain"),
        Record("q", "a"),
        Record("do\n\nthis", "done"),
        Record("do", "bare"),
        Record("do", "none"),
    )


def test_a_paragraph_of_txt_is_a_record(tmp_path: Path) -> None:
    path = _write(tmp_path, "a.txt", "\ufeffone\r\nstill one\r\n\r\n\n  \ntwo")
    assert read_records([path]).records == (Record("", "one\nstill one"), Record("", "two"))


def test_equal_rows_are_dropped_and_counted_over_all_files(tmp_path: Path) -> None:
    first = _write(tmp_path, "a.txt", "one\n\ntwo\n\none")
    second = _write(tmp_path, "b.jsonl", '{"text": " two "}\n')
    intake = read_records([first, second])
    assert intake.records == (Record("", "one"), Record("", "two"))
    assert intake.duplicates == 2


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        (b'{"text": "a", "id": 3}', "unknown key: id"),
        (b'{"prompt": "a"}', "missing key: completion"),
        (b'{"instruction": "a", "x": "b"}', "missing key: output; unknown key: x"),
        (b'{"body": "a"}', "keys ['body'], expected {text}"),
        (b'{"text": "a", "input": "b"}', "unknown key: input"),
        (b'{"text": 5}', "not a text: text"),
        (b'{"text": "a", "text": "b"}', "a key occurs twice"),
        (b'{"text": ""}', "the text to learn is empty"),
        (b'{"text": "\\u0007"}', "the character U+0007 is not allowed"),
        (b"[1]", "not a JSON object"),
        (b"{", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b'{"text": ' + b"1" * 5_000 + b"}", "not JSON"),
        (b'{"text": "\xff"}', "not UTF-8"),
    ],
)
def test_a_bad_row_is_named_with_file_line_and_reason(
    tmp_path: Path, line: bytes, reason: str
) -> None:
    path = _write(tmp_path, "rows.jsonl", b'{"text": "good"}\n\n' + line + b"\n")
    with pytest.raises(OperatorError) as caught:
        read_records([path])
    assert caught.value.code == "bad-rows"
    assert f"rows.jsonl, line 3: {reason}" in caught.value.text


def test_a_bad_paragraph_is_named_by_its_first_line(tmp_path: Path) -> None:
    path = _write(tmp_path, "a.txt", "good\n\nbad\n\x0c here\n")
    with pytest.raises(OperatorError, match=r"a\.txt, line 3: the character U\+000C"):
        read_records([path])


def test_bad_rows_of_all_files_are_listed_up_to_a_limit(tmp_path: Path) -> None:
    first = _write(tmp_path, "a.jsonl", "[]\n" * MAX_LISTED)
    second = _write(tmp_path, "b.jsonl", "[]\n[]\n")
    with pytest.raises(OperatorError) as caught:
        read_records([first, second])
    text = caught.value.text
    assert f"Bad rows: {MAX_LISTED + 2}. Nothing was stored." in text
    assert text.count("not a JSON object") == MAX_LISTED
    assert "and 2 more" in text


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("a.csv", b"x", "bad-file"),
        ("a.txt", b"line\n\xff", "bad-file"),
        ("a.txt", b" \n\n", "empty-datanet"),
        ("a.jsonl", b"", "empty-datanet"),
    ],
)
def test_a_bad_file_says_what_to_do(tmp_path: Path, name: str, body: bytes, code: str) -> None:
    with pytest.raises(OperatorError) as caught:
        read_records([_write(tmp_path, name, body)])
    assert caught.value.code == code
    assert name in caught.value.text
    assert caught.value.remedy


def test_a_missing_file_is_the_operators_error(tmp_path: Path) -> None:
    with pytest.raises(OperatorError, match="cannot be read"):
        read_records([tmp_path / "none.txt"])
