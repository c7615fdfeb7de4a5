"""docs/edge-cases.md names tests that are there."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = (ROOT / "docs" / "edge-cases.md").read_text()
FORGE = ROOT / "tests" / "contracts" / "forge" / "test"


def test_every_case_of_the_table_is_held_by_a_test_that_exists() -> None:
    rows = [line for line in TABLE.splitlines() if line.startswith("| ")][1:]
    solidity = "\n".join(path.read_text() for path in FORGE.glob("*.t.sol"))
    assert len(rows) >= 20
    for row in rows:
        _, case, tests, _ = row.split("|")
        named = re.findall(r"`([^`]+)`", tests)
        assert named, case
        for name in named:
            if "::" in name:
                file, function = name.split("::")
                text, wanted = (ROOT / "tests" / file).read_text(), f"def {function}("
            else:
                suite, function = name.split(".")
                assert f"contract {suite} " in solidity, name
                text, wanted = solidity, f"function {function}("
            assert wanted in text, name
