"""Keystores: the standard's own vectors, eth-account's files both ways, and every fault by name."""

import json
from typing import Any

import pytest
from eth_account import Account

from protocol.errors import OperatorError
from settlement.keystore import seal, unseal
from tests.settlement.pair import ACCOUNTS, KEYS

# Both of the standard's test vectors hold one key.
SECRET = "7a28b5ba57c53603b0b07b56bba752f7784bf506fa95edc395f5cf6c7514fe9d"
PBKDF2: dict[str, Any] = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
        "ciphertext": "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46",
        "kdf": "pbkdf2",
        "kdfparams": {
            "c": 262144,
            "dklen": 32,
            "prf": "hmac-sha256",
            "salt": "ae3cd4e7013836a3df6bd7241b12db061dbe2c6785853cce422d148a624ce0bd",
        },
        "mac": "517ead924a9d0dc3124507e3393d175ce3ff7c1e96529c6c555ce9e51205e9b2",
    },
    "version": 3,
}
SCRYPT: dict[str, Any] = {
    "crypto": {
        "cipher": "aes-128-ctr",
        "cipherparams": {"iv": "83dbcc02d8ccb40e466191a123791e0e"},
        "ciphertext": "d172bf743a674da9cdad04534d56926ef8358534d458fffccd4e6ad2fbde479c",
        "kdf": "scrypt",
        "kdfparams": {
            "dklen": 32,
            "n": 262144,
            "p": 8,
            "r": 1,
            "salt": "ab0c7876052600dd703518d6fc3fe8984592145b591fc8fb5c6d43190334ba19",
        },
        "mac": "2103ac29920d71da29f15d75b4a16dbe95cfd7ff8faea1056c33131d846e3097",
    },
    "version": 3,
}


def token(size: int) -> bytes:
    return bytes(range(1, size + 1))


@pytest.mark.parametrize("vector", [PBKDF2, SCRYPT])
def test_the_standard_s_vectors_open(vector: dict[str, Any]) -> None:
    assert unseal(json.dumps(vector), "testpassword").hex() == SECRET
    upper = {"Crypto" if k == "crypto" else k: v for k, v in vector.items()}
    assert unseal(json.dumps(upper), "testpassword").hex() == SECRET


def test_wallets_read_ours_and_we_read_theirs() -> None:
    ours = json.loads(seal(KEYS[0], "pass phräse", token))
    assert bytes(Account.decrypt(ours, "pass phräse")) == KEYS[0]
    assert "0x" + ours["address"] == ACCOUNTS[0].lower()
    theirs = json.dumps(Account.encrypt(KEYS[1], "other", iterations=1024))
    assert unseal(theirs, "other") == KEYS[1]


def changed(**change: Any) -> str:
    return json.dumps({**PBKDF2, "crypto": {**PBKDF2["crypto"], **change}})


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        json.dumps({**PBKDF2, "version": 1}),
        changed(cipher="aes-256-gcm"),
        changed(kdf="none"),
        changed(mac="xyz"),
        changed(kdfparams={**PBKDF2["crypto"]["kdfparams"], "c": 10**9}),
        changed(kdfparams={**PBKDF2["crypto"]["kdfparams"], "dklen": 16}),
        changed(kdf="scrypt", kdfparams={**SCRYPT["crypto"]["kdfparams"], "n": 1 << 30}),
        changed(kdf="scrypt", kdfparams={**SCRYPT["crypto"]["kdfparams"], "n": 1000}),
        json.dumps({**PBKDF2, "address": "11" * 20}),
        " " * 70_000,
    ],
)
def test_a_file_that_is_no_keystore_is_told(text: str) -> None:
    with pytest.raises(OperatorError, match="bad-keystore"):
        unseal(text, "testpassword")


def test_a_wrong_password_or_a_changed_byte_opens_nothing() -> None:
    for text, password in (
        (json.dumps(PBKDF2), "Testpassword"),
        (changed(ciphertext="00" * 32), "testpassword"),
    ):
        with pytest.raises(OperatorError, match="wrong-password"):
            unseal(text, password)
