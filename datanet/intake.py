"""From files to canonical records: all good, or a list of what is wrong and nothing stored.

``.jsonl``: one object a line, either {"text"}, {"prompt", "completion"} or the alpaca form
{"instruction", "input", "output"} (``input`` may be missing). ``.txt``: one record a paragraph.
A row equal to an earlier one of the same intake is dropped and counted: it could earn nothing.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datanet.record import Record, make_record
from protocol import flat_json
from protocol.errors import OperatorError, Reject

MAX_LISTED = 20
"""Bad rows named in the error; the rest is counted."""
MAX_FILE_BYTES = 32 * 1024 * 1024
_FORMS = ({"text"}, {"prompt", "completion"}, {"instruction", "output"})
MAX_DEPTH = 8
"""Nesting of a row; a good row is one object of texts, but a bad one shall be named by its fault."""
_LINE_END = re.compile(r"\r\n?|\n")
_KEYS = "{text}, {prompt, completion} or {instruction, input, output}"


@dataclass(frozen=True, slots=True)
class Intake:
    """Records in file order, no two equal, and how many equal ones were dropped."""

    records: tuple[Record, ...]
    duplicates: int


@dataclass(frozen=True, slots=True)
class BadRow:
    """Where a row stands (line from 1) and why it is refused."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}, line {self.line}: {self.reason}"


def read_records(paths: Sequence[Path]) -> Intake:
    """All records of ``paths``.

    Raises OperatorError: ``bad-file``, ``bad-rows`` (each with file, line and reason) or
    ``empty-datanet``.
    """
    records: list[Record] = []
    bad: list[BadRow] = []
    for path in paths:
        for line, row in _rows(path):
            try:
                records.append(_record(row))
            except Reject as verdict:
                bad.append(BadRow(path.name, line, verdict.reason))
    if bad:
        raise _bad_rows(bad)
    if not records:
        names = ", ".join(path.name for path in paths) or "no file"
        raise OperatorError(
            "empty-datanet",
            f"There is no record in {names}.",
            "Give at least one .jsonl row or .txt paragraph.",
        )
    unique = tuple(dict.fromkeys(records))
    return Intake(unique, len(records) - len(unique))


def _bad_rows(bad: Sequence[BadRow]) -> OperatorError:
    listed = "\n".join(f"  {row}" for row in bad[:MAX_LISTED])
    more = f"\n  and {len(bad) - MAX_LISTED} more" if len(bad) > MAX_LISTED else ""
    return OperatorError(
        "bad-rows",
        f"Bad rows: {len(bad)}. Nothing was stored.\n{listed}{more}\n",
        "Correct or remove these rows and add the file again.",
    )


def _rows(path: Path) -> Iterator[tuple[int, bytes | str]]:
    """(line from 1, raw row): bytes of a JSON line, or the text of a paragraph."""
    body = _body(path)
    if path.suffix == ".jsonl":
        lines = enumerate(body.split(b"\n"), 1)
        return ((number, line) for number, line in lines if line.strip())
    try:
        return _paragraphs(body.decode())
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        raise OperatorError(
            "bad-file", f"{path.name}, line {line} is not UTF-8.", "Save the file as UTF-8."
        ) from error


def _body(path: Path) -> bytes:
    if path.suffix not in (".jsonl", ".txt"):
        raise OperatorError("bad-file", f"{path.name} is neither .jsonl nor .txt.", "Convert it.")
    try:
        body = path.read_bytes()
    except OSError as error:
        raise OperatorError(
            "bad-file", f"{path} cannot be read ({error.strerror}).", "Check path and permissions."
        ) from error
    if len(body) > MAX_FILE_BYTES:
        raise OperatorError(
            "bad-file",
            f"{path.name} has {len(body)} bytes, at most {MAX_FILE_BYTES} are taken at once.",
            "Split the file into several shards.",
        )
    return body.removeprefix(b"\xef\xbb\xbf")


def _paragraphs(text: str) -> Iterator[tuple[int, str]]:
    held: list[str] = []
    for number, line in enumerate([*_LINE_END.split(text), ""], 1):
        if line.strip():
            held.append(line)
        elif held:
            yield number - len(held), "\n".join(held)
            held = []


def _record(row: bytes | str) -> Record:
    if isinstance(row, str):
        return make_record("", row)
    fields = _object(row)
    wrong = [key for key, value in fields.items() if not isinstance(value, str)]
    if wrong:
        raise Reject(f"not a text: {', '.join(wrong)}")
    if "text" in fields:
        return make_record("", fields["text"])
    if "prompt" in fields:
        return make_record(fields["prompt"], fields["completion"])
    parts = (fields["instruction"], fields.get("input", ""))
    return make_record("\n\n".join(part for part in parts if part.strip()), fields["output"])


def _object(row: bytes) -> dict[str, Any]:
    """The JSON object of one line with exactly the keys of one form. Raises Reject."""
    try:
        value = flat_json.loads(row.decode(), MAX_DEPTH, _no_repeats)
    except UnicodeDecodeError as error:
        raise Reject("not UTF-8") from error
    except ValueError as error:  # also an integer of more than 4300 digits
        raise Reject(f"not JSON ({error})") from error
    if not isinstance(value, dict):
        raise Reject("not a JSON object")
    keys = set(value)
    if keys - {"input"} not in _FORMS or ("input" in keys and "instruction" not in keys):
        raise Reject(_key_fault(keys))
    return value


def _key_fault(keys: set[str]) -> str:
    """Which keys are missing from, or strange to, the form that comes nearest."""
    form = max(_FORMS, key=lambda form: (len(form & keys), -len(form)))
    if not form & keys:
        return f"keys {sorted(keys)}, expected {_KEYS}"
    allowed = form | ({"input"} if "instruction" in form else set())
    faults = (("missing", form - keys), ("unknown", keys - allowed))
    return "; ".join(f"{word} key: {', '.join(sorted(which))}" for word, which in faults if which)


def _no_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Reject("a key occurs twice")
    return fields
