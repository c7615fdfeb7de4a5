"""What a Datanet says of itself: name, version, data class, licence. Its hash goes on chain."""

import re

from protocol.errors import OperatorError, Reject
from protocol.ids import value_id
from protocol.messages import DatanetRecord

OPEN, CONSENTED, PRIVATE = DATA_CLASSES = ("open", "consented", "private")
"""open: any worker trains on it; consented: staked licence holders; private: its owner alone."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?")


def make_manifest(
    name: str, version: int, data_class: str, licence: str, description: str
) -> DatanetRecord:
    """A checked manifest. Raises OperatorError ``bad-manifest``."""
    manifest = DatanetRecord(name, version, data_class, licence, description)
    try:
        check_manifest(manifest)
    except Reject as verdict:
        raise OperatorError(
            "bad-manifest", f"The Datanet {name!r}: {verdict.reason}.", "Correct it and try again."
        ) from verdict
    return manifest


def check_manifest(manifest: DatanetRecord) -> None:
    """Raises Reject for a manifest that no honest node makes."""
    # [REJECT] a name that could be mistaken for another or breaks a URL
    if not _NAME.fullmatch(manifest.name):
        raise Reject("the name must be 1 to 64 of a-z, 0-9 and inner hyphens")
    # [REJECT] versions count from 1
    if not 1 <= manifest.version < 2**32:
        raise Reject("the version must be 1 or more")
    # [REJECT] a class without rules
    if manifest.data_class not in DATA_CLASSES:
        raise Reject(f"the data class must be one of {', '.join(DATA_CLASSES)}")
    # [REJECT] data that nobody may use
    if not manifest.licence.strip():
        raise Reject("a licence must be named (an SPDX identifier such as CC-BY-4.0)")


def manifest_id(manifest: DatanetRecord) -> bytes:
    """32 bytes: BLAKE3 of the manifest, the content of the Datanet that its founder registers."""
    return value_id("openledger/datanet", manifest)
