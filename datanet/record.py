"""One training row: its normal form, its limits and its id.

A record is the ``RecordText`` of the compute protocol: a prompt and a completion, or plain text (a
completion with the empty prompt). One text has one normal form, so one id.
"""

import re
import unicodedata

from protocol.compute import RecordList, RecordText
from protocol.errors import Reject
from protocol.ids import value_id

Record = RecordText

MAX_RECORD_BYTES = 64 * 1024
"""UTF-8 bytes of prompt and completion together."""
_LINE_END = re.compile(r"\r\n?")
_FORBIDDEN = frozenset({"Cc", "Cs"})
"""Unicode categories refused: controls (newline and tab excepted) and surrogates. Both are the same
in every version of Unicode, so that all nodes agree."""

__all__ = ["MAX_RECORD_BYTES", "Record", "RecordList", "check_record", "make_record", "record_id"]


def make_record(prompt: str, completion: str) -> Record:
    """The record in normal form: NFC, newlines as LF, no outer white space.

    Raises Reject: nothing to train on, a control character, or more than ``MAX_RECORD_BYTES``.
    """
    record = Record(_normal(prompt), _normal(completion))
    if not record.completion:
        raise Reject("the text to learn is empty")
    size = len(record.prompt.encode()) + len(record.completion.encode())
    if size > MAX_RECORD_BYTES:
        raise Reject(f"{size} bytes, at most {MAX_RECORD_BYTES} are allowed")
    return record


def check_record(record: Record) -> None:
    """Raises Reject when a received record is not in normal form."""
    if make_record(record.prompt, record.completion) != record:
        raise Reject("not in normal form (NFC, LF, no outer white space)")


def record_id(record: Record) -> bytes:
    """32 bytes: BLAKE3 over purpose tag and canonical bytes."""
    return value_id("openledger/record", record)


def _normal(text: str) -> str:
    for character in text:
        if unicodedata.category(character) in _FORBIDDEN and character not in "\r\n\t":
            raise Reject(f"the character U+{ord(character):04X} is not allowed")
    return unicodedata.normalize("NFC", _LINE_END.sub("\n", text)).strip()
