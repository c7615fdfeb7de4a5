"""The node's three secrets, sealed at rest with argon2id (interactive) and XSalsa20-Poly1305.

The sealing secret comes from the operating system's keyring when it has one, else from a 0600 file
beside the identity (which protects a copy of ``identity.json`` alone), else from a passphrase.
Nothing is drawn here: fresh bytes come in through ``token``.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import keyring
from blake3 import blake3
from coincurve import PublicKey
from eth_utils.crypto import keccak
from keyring.errors import KeyringError
from nacl.exceptions import CryptoError
from nacl.pwhash import argon2id
from nacl.secret import SecretBox

from node.home import Home, private, write_file
from protocol.errors import OperatorError
from protocol.ids import checksum
from protocol.signing import peer_id_of, public_key

Token = Callable[[int], bytes]
SecretFrom = Literal["auto", "keyring", "file", "passphrase"]

KEYRING_SERVICE = "openledger"
SEAL_CONTEXT = "openledger 2026-01 X25519 sealing secret of a node"
# secp256k1's group order: a key is a number below it (all but 2^-128 of 32-byte strings).
_ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141


@dataclass(frozen=True, slots=True)
class Identity:
    """32-byte secrets: Ed25519 peer seed, secp256k1 operator key, X25519 sealing secret."""

    peer_seed: bytes
    operator_key: bytes
    seal_key: bytes

    @property
    def peer_id(self) -> str:
        return peer_id_of(public_key(self.peer_seed))

    @property
    def operator(self) -> str:
        """Checksum address of the operator key."""
        point = PublicKey.from_valid_secret(self.operator_key).format(compressed=False)
        return checksum(keccak(point[1:])[-20:])


def create_identity(
    home: Home, token: Token, secret: SecretFrom = "auto", passphrase: str | None = None
) -> Identity:
    """Make and seal new keys.

    Raises OperatorError ``identity-exists``, ``no-keyring`` or ``no-passphrase``.
    """
    identity = _identity(token(32), _operator_key(token))
    install_identity(home, identity, token, secret, passphrase)
    return identity


def adopt_identity(
    home: Home, operator_key: bytes, token: Token, secret: SecretFrom, passphrase: str | None
) -> Identity:
    """Seal a given operator key beside a new peer key. Raises as ``create_identity``."""
    identity = _identity(token(32), operator_key)
    install_identity(home, identity, token, secret, passphrase)
    return identity


def install_identity(
    home: Home, identity: Identity, token: Token, secret: SecretFrom, passphrase: str | None
) -> None:
    """Seal given keys into a home that has none. Raises as ``create_identity``."""
    if home.identity.exists():
        raise OperatorError(
            "identity-exists",
            f"{home.identity} already holds keys.",
            "Choose another folder with --home, or make a backup and move this one away.",
        )
    home.create()
    source = _choose(secret, passphrase)
    sealing = _new_secret(home, source, token, passphrase)
    sealed = {"secret": source, "peer_id": identity.peer_id, **_seal(identity, sealing, token)}
    home.write(home.identity, json.dumps(sealed, indent=1).encode())


def load_identity(home: Home, passphrase: str | None = None) -> Identity:
    """Open the sealed keys.

    Raises OperatorError ``no-identity``, ``bad-permissions``, ``no-passphrase``, ``no-secret``,
    ``wrong-secret`` or ``damaged-identity``.
    """
    if not home.identity.exists():
        raise OperatorError("no-identity", f"No keys in {home.path}.", "Run: openledger init")
    home.check()
    sealed = _read(home.identity)
    return _open(sealed, _secret(home, str(sealed["secret"]), passphrase), home.identity)


def needs_passphrase(home: Home) -> bool:
    """True when the keys open with a passphrase only."""
    return home.identity.exists() and _read(home.identity)["secret"] == "passphrase"


def export_backup(
    home: Home, identity: Identity, file: Path, passphrase: str, token: Token
) -> None:
    """Write a passphrase-sealed copy of the keys and mark the home as backed up."""
    _strong(passphrase)
    if file.exists():
        raise OperatorError("file-exists", f"{file} exists.", "Name a new file.")
    sealed = {"secret": "passphrase", "peer_id": identity.peer_id}
    body = json.dumps({**sealed, **_seal(identity, passphrase.encode(), token)}, indent=1)
    write_file(file, body.encode())
    home.write(home.backup_mark, json.dumps({"peer_id": identity.peer_id}).encode())


def read_backup(file: Path, passphrase: str) -> Identity:
    """The keys inside a backup. Raises OperatorError ``wrong-secret`` or ``damaged-identity``."""
    if not file.exists():
        raise OperatorError("no-file", f"{file} does not exist.", "Name the backup file.")
    return _open(_read(file), passphrase.encode(), file)


def backed_up(home: Home) -> bool:
    """True when ``backup`` was run for the keys that the home holds now."""
    if not home.backup_mark.exists():
        return False
    return bool(_read_json(home.backup_mark)["peer_id"] == _read(home.identity)["peer_id"])


def _identity(peer_seed: bytes, operator_key: bytes) -> Identity:
    derived = blake3(peer_seed, derive_key_context=SEAL_CONTEXT).digest()
    return Identity(peer_seed, operator_key, derived)


def _operator_key(token: Token) -> bytes:
    while not 0 < int.from_bytes(key := token(32), "big") < _ORDER:
        pass
    return key


def _choose(secret: SecretFrom, passphrase: str | None) -> SecretFrom:
    if secret != "auto":
        return secret
    if passphrase is not None:
        return "passphrase"
    return "keyring" if keyring.get_keyring().priority >= 1 else "file"


def _new_secret(home: Home, source: SecretFrom, token: Token, passphrase: str | None) -> bytes:
    """Make the sealing secret and store it where ``source`` says."""
    if source == "passphrase":
        return _given(passphrase)
    fresh = token(32)
    if source == "keyring":
        _keyring(lambda: keyring.set_password(KEYRING_SERVICE, str(home.path), fresh.hex()))
    else:
        home.write(home.key_file, fresh.hex().encode())
        private(home.key_file, 0o600)
    return fresh


def _secret(home: Home, source: str, passphrase: str | None) -> bytes:
    """Fetch the sealing secret from where ``create_identity`` put it."""
    if source == "passphrase":
        return _given(passphrase)
    if source == "keyring":
        text = _keyring(lambda: keyring.get_password(KEYRING_SERVICE, str(home.path)))
    else:
        text = home.key_file.read_text().strip() if home.key_file.exists() else None
    if text is None:
        where = "the keyring" if source == "keyring" else str(home.key_file)
        raise OperatorError(
            "no-secret",
            f"The secret that opens {home.identity} is not in {where}.",
            "Restore your backup into a new home: openledger --home DIR init --from-backup FILE",
        )
    return bytes.fromhex(text)


def _keyring(call: Callable[[], str | None]) -> str | None:
    try:
        return call()
    except KeyringError as error:
        raise OperatorError(
            "no-keyring",
            f"The operating system's keyring refused: {error}.",
            "Unlock it, or keep the secret in a file: openledger init --secret file",
        ) from error


def _given(passphrase: str | None) -> bytes:
    if not passphrase:
        raise OperatorError(
            "no-passphrase",
            "These keys open with a passphrase.",
            "Type it when asked, or set OPENLEDGER_PASSPHRASE.",
        )
    return passphrase.encode()


def _strong(passphrase: str) -> None:
    if len(passphrase) < 10:
        raise OperatorError(
            "weak-passphrase", "A backup leaves this machine.", "Use at least 10 characters."
        )


def _seal(identity: Identity, secret: bytes, token: Token) -> dict[str, str]:
    salt, nonce = token(argon2id.SALTBYTES), token(SecretBox.NONCE_SIZE)
    box = _box(secret, salt).encrypt(identity.peer_seed + identity.operator_key, nonce)
    return {"kdf": "argon2id-interactive", "salt": salt.hex(), "box": bytes(box).hex()}


def _open(sealed: dict[str, Any], secret: bytes, file: Path) -> Identity:
    try:
        plain = _box(secret, bytes.fromhex(sealed["salt"])).decrypt(bytes.fromhex(sealed["box"]))
    except CryptoError as error:
        raise OperatorError(
            "wrong-secret",
            f"{file} does not open with this secret or passphrase.",
            "Check the passphrase; if the file was changed, restore your backup.",
        ) from error
    except (KeyError, ValueError, TypeError) as error:
        raise _damaged(file) from error
    return _identity(plain[:32], plain[32:])


def _box(secret: bytes, salt: bytes) -> SecretBox:
    key = argon2id.kdf(
        SecretBox.KEY_SIZE,
        secret,
        salt,
        opslimit=argon2id.OPSLIMIT_INTERACTIVE,
        memlimit=argon2id.MEMLIMIT_INTERACTIVE,
    )
    return SecretBox(key)


def _read(file: Path) -> dict[str, Any]:
    value = _read_json(file)
    if not {"secret", "peer_id", "salt", "box"} <= value.keys():
        raise _damaged(file)
    return value


def _read_json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text())
    except ValueError as error:
        raise _damaged(file) from error
    if not isinstance(value, dict):
        raise _damaged(file)
    return cast(dict[str, Any], value)


def _damaged(file: Path) -> OperatorError:
    return OperatorError("damaged-identity", f"{file} is damaged.", "Restore it from your backup.")
