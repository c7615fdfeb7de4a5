"""Keys in the standard encrypted JSON form (Web3 Secret Storage, version 3), as wallets read it.

Written with scrypt at the customary strength; read with scrypt or pbkdf2. Nothing is drawn here:
fresh bytes come in. Source: https://ethereum.org/developers/docs/data-structures-and-encoding/web3-secret-storage
"""

import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any, cast

from Crypto.Cipher import AES
from Crypto.Protocol.KDF import scrypt
from eth_utils.crypto import keccak

from protocol.errors import OperatorError
from protocol.typed_data import address_of

SCRYPT = {"n": 262_144, "r": 8, "p": 1, "dklen": 32}
MAX_MEMORY = 1 << 30  # bytes; a file that wants more is refused
MAX_ROUNDS = 10_000_000  # of pbkdf2
KEY_BYTES = 32
ORDER = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1's group
MAX_FILE = 64 * 1024

Token = Callable[[int], bytes]


def seal(key: bytes, password: str, token: Token) -> str:
    """The JSON text of a 32-byte secp256k1 key under a password."""
    salt, iv = token(32), token(16)
    derived = _scrypt(password, {**SCRYPT, "salt": salt.hex()})
    cipher = _aes(derived, iv, key)
    uuid = bytearray(token(16))
    uuid[6], uuid[8] = uuid[6] & 0x0F | 0x40, uuid[8] & 0x3F | 0x80  # random, RFC 9562 version 4
    groups = [uuid[:4], uuid[4:6], uuid[6:8], uuid[8:10], uuid[10:]]
    value = {
        "version": 3,
        "id": "-".join(group.hex() for group in groups),
        "address": address_of(key).hex(),
        "crypto": {
            "cipher": "aes-128-ctr",
            "cipherparams": {"iv": iv.hex()},
            "ciphertext": cipher.hex(),
            "kdf": "scrypt",
            "kdfparams": {**SCRYPT, "salt": salt.hex()},
            "mac": keccak(derived[16:] + cipher).hex(),
        },
    }
    return json.dumps(value, indent=1)


def unseal(text: str, password: str) -> bytes:
    """The key. Raises OperatorError ``bad-keystore``, ``wrong-password``."""
    try:
        if len(text) > MAX_FILE:
            raise ValueError("too long")
        value = json.loads(text)
        if value["version"] != 3:
            raise ValueError(f"version {value['version']}")
        crypto = {name.lower(): part for name, part in value.items()}["crypto"]
        if crypto["cipher"] != "aes-128-ctr":
            raise ValueError(f"cipher {crypto['cipher']}")
        derive = {"scrypt": _scrypt, "pbkdf2": _pbkdf2}[crypto["kdf"]]
        derived = derive(password, crypto["kdfparams"])
        cipher, iv = (
            bytes.fromhex(crypto["ciphertext"]),
            bytes.fromhex(crypto["cipherparams"]["iv"]),
        )
        mac = bytes.fromhex(crypto["mac"])
        named = str(value.get("address", "")).lower().removeprefix("0x")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise OperatorError(
            "bad-keystore",
            f"No keystore of version 3 ({error}).",
            "Export it from its wallet again.",
        ) from error
    if not hmac.compare_digest(keccak(derived[16:32] + cipher), mac):
        raise OperatorError("wrong-password", "The keystore does not open.", "Check its password.")
    return _checked(_aes(derived, iv, cipher), named)


def valid_key(key: bytes) -> bool:
    """Whether 32 bytes are a secp256k1 key: a number from 1 to below the group's order."""
    return len(key) == KEY_BYTES and 0 < int.from_bytes(key, "big") < ORDER


def _checked(key: bytes, named: str) -> bytes:
    if not valid_key(key) or (named and address_of(key).hex() != named):
        text = "The keystore holds another key than it names."
        raise OperatorError("bad-keystore", text, "Export it from its wallet again.")
    return key


def _scrypt(password: str, how: dict[str, Any]) -> bytes:
    n, r, p, size = (int(how[name]) for name in ("n", "r", "p", "dklen"))
    if not 128 * r * (n + p + 2) <= MAX_MEMORY or size < 32 or p > 16:
        raise ValueError("its scrypt parameters are out of range")
    # pycryptodome's: OpenSSL's refuses parameters of the standard's own example
    derive = cast(Callable[..., bytes], scrypt)  # its types know text only, taken for Latin-1
    return derive(password.encode(), bytes.fromhex(how["salt"]), size, n, r, p)


def _pbkdf2(password: str, how: dict[str, Any]) -> bytes:
    rounds, size = int(how["c"]), int(how["dklen"])
    if how["prf"] != "hmac-sha256" or not 0 < rounds <= MAX_ROUNDS or size < 32:
        raise ValueError("its pbkdf2 parameters are out of range")
    return hashlib.pbkdf2_hmac(
        "sha256", password.encode(), bytes.fromhex(how["salt"]), rounds, size
    )


def _aes(derived: bytes, iv: bytes, body: bytes) -> bytes:
    start = int.from_bytes(iv, "big")
    return AES.new(derived[:16], AES.MODE_CTR, nonce=b"", initial_value=start).encrypt(body)
