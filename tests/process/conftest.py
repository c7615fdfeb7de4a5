"""One chain and one node with every role for the whole session: a start costs five CPU-seconds."""

from collections.abc import Iterator

import pytest

from tests.process.place import Node, Place, place


@pytest.fixture(scope="session")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    with place(tmp_path_factory.mktemp("place")) as made:
        yield made


@pytest.fixture(scope="session")
def node(box: Place) -> Node:
    """The founder's node: registered, staked, idle."""
    running = box.start(box.founder)
    running.until(lambda: box.treasury.registered(box.founder.identity.operator))
    box.stake(box.founder)
    running.until(lambda: running.ask("peers", "--json").json != [])  # its roles are on chain
    return running
