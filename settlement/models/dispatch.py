"""A call by its bytes, as a timelock makes it: which model, which function, with what arguments."""

from protocol.errors import LocalError
from settlement import abi
from settlement.models.ledger import Env, revert


def call(env: Env, sender: str, to: str, data: bytes) -> None:
    """Make one call without coins. Raises Reverted as the EVM would.

    An address without code takes any call; a contract of ours refuses what is none of its functions.
    A function that the models leave out is a LocalError: the simulation cannot say what it does.
    """
    model = env.models.get(to)
    if model is None:
        return
    known = abi.selectors(model.NAME).get(data[:4])
    if known is None:
        raise revert("FailedCall")
    try:
        args = known.arguments(data[4:])
    except LocalError as error:
        raise revert("FailedCall") from error
    method = getattr(model, known.name, None)
    if method is None:
        raise LocalError("no-function", f"the model of {model.NAME} has no {known.name}")
    method(*args) if known.view else method(sender, *args)
