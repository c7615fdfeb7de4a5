"""Coins that no honest network deploys, assembled by hand: they need no compiler, and no artifact.

Both answer ``balanceOf`` from the slot of the address and say true to everything else; ``transferFrom``
is where they cheat.
"""

from eth_utils.crypto import keccak

CODES = {
    **{"add": 0x01, "sub": 0x03, "eq": 0x14, "iszero": 0x15, "shl": 0x1B, "shr": 0x1C},
    **{"caller": 0x33, "calldataload": 0x35, "returndatasize": 0x3D, "returndatacopy": 0x3E},
    **{"mstore": 0x52, "sload": 0x54, "sstore": 0x55, "jumpi": 0x57, "gas": 0x5A, "dest": 0x5B},
    **{"dup1": 0x80, "dup3": 0x82, "swap1": 0x90, "call": 0xF1, "return": 0xF3, "revert": 0xFD},
}
TRUE = "1 0 mstore 32 0 return"
# arguments of transferFrom: source at 4, receiver at 36, amount at 68
TAKES_A_UNIT = f"1 68 calldataload sub 36 calldataload dup1 sload dup3 add swap1 sstore {TRUE}"


def selector(signature: str) -> int:
    return int.from_bytes(keccak(signature.encode())[:4], "big")


def calls_back(signature: str) -> str:
    """``transferFrom`` calls whoever called it, arguments zero, and passes a refusal on."""
    call = f"{selector(signature)} 224 shl 0 mstore 0 0 68 0 0 caller gas call"
    failed = "returndatasize 0 0 returndatacopy returndatasize 0 revert"
    return f"{call} iszero @failed jumpi {TRUE} :failed {failed}"


def coin(transfer_from: str) -> bytes:
    """Creation code of a coin with this ``transferFrom``."""
    runtime = assembled(
        f"0 calldataload 224 shr dup1 {selector('balanceOf(address)')} eq @balance jumpi "
        f"{selector('transferFrom(address,address,uint256)')} eq @move jumpi {TRUE} "
        f":balance 4 calldataload sload 0 mstore 32 0 return :move {transfer_from}"
    )
    size = len(runtime).to_bytes(2, "big")
    # push size, dup1, push 10 (this code's length), push 0, codecopy, push 0, return
    return b"\x61" + size + bytes([0x80, 0x60, 0x0A, 0x5F, 0x39, 0x5F, 0xF3]) + runtime


def assembled(text: str) -> bytes:
    """Mnemonics, decimal pushes, ``:label`` and ``@label`` (two bytes)."""
    code, labels, uses = bytearray(), dict[str, int](), list[tuple[int, str]]()
    for word in text.split():
        if word[0] == ":":
            labels[word[1:]] = len(code)
            code.append(CODES["dest"])
        elif word[0] == "@":
            uses.append((len(code) + 1, word[1:]))
            code += bytes([0x61, 0, 0])
        elif word.isdecimal():
            value = int(word)
            raw = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
            code += bytes([0x5F + len(raw)]) + raw
        else:
            code.append(CODES[word])
    for place, label in uses:
        code[place : place + 2] = labels[label].to_bytes(2, "big")
    return bytes(code)
