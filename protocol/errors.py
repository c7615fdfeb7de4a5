"""Error families by who is wrong: ours, the peer's, the operator's; and the two verdicts on input.

Every error carries a short machine-readable ``code`` (counted, shown in the dashboard) and a text
for people. An operator's error ends with what to do.
"""

import errno


class OpenLedgerError(Exception):
    """Base of every expected error. ``code`` is a stable kebab-case reason."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code
        self.text = text


class LocalError(OpenLedgerError):
    """We broke a rule of our own; a bug here, never the peer's fault."""


class PeerError(OpenLedgerError):
    """The remote side sent something wrong or stopped answering."""


class OperatorError(OpenLedgerError):
    """The person running this node must change something; ``remedy`` says what."""

    def __init__(self, code: str, text: str, remedy: str) -> None:
        super().__init__(code, f"{text} {remedy}")
        self.remedy = remedy


def disk_error(error: OSError, place: object) -> OperatorError:
    """The operator's error for a file that could not be written."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return OperatorError("disk-full", f"{place}: {error.strerror}.", "Free disk space.")
    return OperatorError(
        "disk-error", f"{place}: {error.strerror or error}.", "Check the disk and its permissions."
    )


class ChainError(OpenLedgerError):
    """The settlement chain is unreachable, lies or stalls."""


class Reverted(ChainError):
    """A contract refused a call; ``code`` is the Solidity custom error's name."""


class ComputeError(OpenLedgerError):
    """The compute child failed: out of memory, crash, unreadable model. Its unit can be handed back."""


class DecodeError(PeerError):
    """Bytes that are not the one canonical encoding of the expected value."""


class Verdict(Exception):
    """Outcome of judging one input; raised by pure validation rules."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Ignore(Verdict):
    """Drop without blame (late, duplicate, unknown version); counted under ``reason``."""


class Reject(Verdict):
    """Drop and blame the sender (bad signature, broken rule); counted under ``reason``."""
