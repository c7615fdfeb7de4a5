"""Worlds in which the story was told once, for all tests of a session."""

import pytest

from tests.simnet import story


@pytest.fixture(scope="session")
def demo() -> story.Told:
    """Five nodes, four honest owners, one lazy worker, one paid answer."""
    return story.told(story.DEMO)
