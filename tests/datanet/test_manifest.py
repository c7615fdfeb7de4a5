"""A manifest is checked before its id is registered."""

from dataclasses import replace

import pytest

from datanet.manifest import check_manifest, make_manifest, manifest_id
from protocol.errors import OperatorError, Reject

GOOD = make_manifest("king-james", 1, "open", "CC0-1.0", "Verses")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"name": "King James"}, "name"),
        ({"name": ""}, "name"),
        ({"name": "-a"}, "name"),
        ({"version": 0}, "version"),
        ({"data_class": "secret"}, "open, consented, private"),
        ({"licence": " "}, "licence"),
    ],
)
def test_a_bad_manifest_is_refused_with_the_reason(change: dict[str, str], reason: str) -> None:
    with pytest.raises(Reject, match=reason):
        check_manifest(replace(GOOD, **change))


def test_the_operator_is_told_what_is_wrong() -> None:
    with pytest.raises(OperatorError, match="data class must be one of"):
        make_manifest("a", 1, "public", "MIT", "")


def test_every_field_counts_in_the_id() -> None:
    others = [replace(GOOD, version=2), replace(GOOD, licence="MIT"), replace(GOOD, name="kjv")]
    assert len({manifest_id(manifest) for manifest in [GOOD, *others]}) == 4
