"""forge's smoke run: unit tests, a few fuzz runs, short invariant sequences."""

import pytest

from tests.contracts import foundry


@pytest.mark.skipif(bool(foundry.missing()), reason=foundry.missing())
def test_forge_smoke() -> None:
    done = foundry.run()
    assert done.returncode == 0, done.stdout + done.stderr
    passed = foundry.report(done.stdout)
    assert passed and all(passed.values())
