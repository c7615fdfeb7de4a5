"""Which account signs: a keystore file, an external signer, or a key in the environment."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from protocol.errors import OperatorError

if TYPE_CHECKING:
    from node.aio import AsyncioThread
    from settlement.evm import EvmChain
    from settlement.signer import Signer

KEY, PASSWORD = "OPENLEDGER_KEY", "OPENLEDGER_KEYSTORE_PASSWORD"

KeystoreOption = Annotated[
    Path | None, typer.Option("--keystore", help="Sign with this encrypted JSON key file.")
]
SignerOption = Annotated[
    str | None, typer.Option("--signer", help="JSON-RPC URL of a signer such as Clef.")
]
AccountOption = Annotated[
    str | None, typer.Option("--account", help="The signer's account (checksum address).")
]


@asynccontextmanager
async def connected(url: str) -> "AsyncIterator[tuple[AsyncioThread, EvmChain]]":
    """A chain client of the command's own, closed at the end."""
    import trio

    from node.aio import AsyncioThread
    from settlement.evm import connect

    with AsyncioThread() as thread:
        chain = await thread.run(connect, url)
        try:
            yield thread, chain
        finally:
            with trio.CancelScope(shield=True):
                await thread.run(chain.close)


def signer_of(keystore: Path | None, url: str | None, account: str | None) -> "Signer | None":
    """The account that was named; None when none was. Raises OperatorError."""
    from eth_utils.address import is_checksum_address

    from settlement.signer import ExternalSigner, LocalSigner

    if keystore is not None:
        return LocalSigner(read_keystore(keystore))
    if url is not None:
        if account is None or not is_checksum_address(account):
            text = f"{account!r} is no address with a valid checksum."
            raise OperatorError("no-account", text, "Name the signer's --account.")
        return ExternalSigner(url, account)
    raw = os.environ.get(KEY)
    return None if raw is None else LocalSigner(_key(raw))


def read_keystore(file: Path) -> bytes:
    """The key in a keystore; its password is asked for. Raises OperatorError."""
    from settlement.keystore import unseal

    return unseal(_text(file), password(confirm=False))


def password(confirm: bool) -> str:
    """The keystore's password, from the environment or asked for."""
    given = os.environ.get(PASSWORD)
    if given is not None:
        return given
    return str(
        typer.prompt(
            "Password of the keystore", hide_input=True, confirmation_prompt=confirm, err=True
        )
    )


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise OperatorError(
            "no-file", f"{file} cannot be read.", "Name the keystore's file."
        ) from error


def _key(raw: str) -> bytes:
    from settlement.keystore import valid_key

    try:
        key = bytes.fromhex(raw.removeprefix("0x"))
    except ValueError:
        key = b""
    if not valid_key(key):
        raise OperatorError("bad-key", f"{KEY} is no private key in hex.", "Set 32 bytes in hex.")
    return key
