"""What every test shares: one hypothesis profile, and the browser."""

import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

# No deadline: the machine is shared, so a slow example says nothing. print_blob: a failure prints
# the line that repeats it.
settings.register_profile(
    "openledger",
    deadline=None,
    max_examples=50,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("openledger")


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of an installed Chromium. Without one the test is skipped, but never in CI."""
    for name in ("chromium", "chromium-browser", "google-chrome"):
        if path := shutil.which(name):
            return path
    if os.environ.get("CI"):
        pytest.fail("CI must have Chromium; .ci/run installs it")
    pytest.skip("no Chromium here: apt-get install chromium")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What did not run is said, with its reason."""
    reasons = {report.longrepr[2] for report in terminalreporter.getreports("skipped")}
    for reason in sorted(reasons):
        terminalreporter.write_line(f"not run: {reason.removeprefix('Skipped: ')}", yellow=True)
