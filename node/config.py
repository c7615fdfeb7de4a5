"""The node's configuration: a TOML file in the home, and for every value where it came from.

A flag beats the environment (``OPENLEDGER_*``), which beats the file, which beats the default.
``config --show`` prints the result with each origin.
"""

import json
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_utils.address import is_checksum_address

from node.home import Home
from protocol.errors import OperatorError
from protocol.roles import BITS

Value = str | int | Path | tuple[str, ...]
LOG_LEVELS = ("debug", "info", "warning", "error")
ENV_PREFIX = "OPENLEDGER_"
# Set by other means than the configuration, under the same prefix.
_ENV_OTHERS = {
    "OPENLEDGER_HOME",
    "OPENLEDGER_NETWORKS",
    "OPENLEDGER_PASSPHRASE",
    "OPENLEDGER_KEY",
    "OPENLEDGER_KEYSTORE_PASSWORD",
    "OPENLEDGER_LOCAL_CHAIN",
    "OPENLEDGER_ANVIL",
}


@dataclass(frozen=True, slots=True)
class NodeConfig:
    """All values the daemon reads. ``origins`` names for each field where its value came from."""

    home: Path
    network: Path  # network file
    payout: str  # EIP-55 address, or "" when not chosen yet
    roles: tuple[str, ...]
    datanets: tuple[
        str, ...
    ]  # ids or names of which whole copies are kept and served; empty: what the roles need
    log_level: str
    listen_host: str
    listen_port: int  # 0: any free port
    listen_mdns: str  # "on" or "off": look for peers on private local networks
    listen_announce: tuple[str, ...]  # multiaddrs of a forwarded port, instead of the sockets' own
    api_port: int  # 0: any free port
    chain_rpc: tuple[str, ...]  # empty: the network file's first; of several, two must agree
    chain_confirmations: int  # blocks on a transaction's before it is forgotten
    chain_max_fee_gwei: int  # the most this node signs, a gas
    disk_quota_mb: int  # of all blobs; 0: no limit
    compute_cache: Path  # converted base models, may be shared
    compute_slots: Path  # one lock file per compute child running on this machine, may be shared
    compute_children: int
    compute_memory_mb: int  # cap of one child
    compute_idle_seconds: (
        int  # a child without work gives its memory and its slot back after so long
    )
    compute_threads: int  # of all children at work on this machine, shared evenly
    origins: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of ``config --show``."""

    key: str
    value: Value
    origin: str


@dataclass(frozen=True, slots=True)
class _Kind:
    """How one setting is read: its key in the file, its default, and the parse of a raw value."""

    key: str
    default: Callable[[Home], Value]
    parse: Callable[[Any], Value]


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("is not text")
    return raw


def _path(raw: Any) -> Path:
    return Path(_text(raw)).expanduser()


def _between(low: int, high: int) -> Callable[[Any], int]:
    def parse(raw: Any) -> int:
        if isinstance(raw, str) and raw.isascii() and raw.isdigit():
            raw = int(raw)
        if type(raw) is not int or not low <= raw <= high:
            raise ValueError(f"is not a whole number from {low} to {high}")
        return raw

    return parse


def _names(raw: Any) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = [part.strip() for part in raw.split(",") if part.strip()]
    if not isinstance(raw, list) or not all(isinstance(part, str) for part in raw):
        raise ValueError("is not a list of names")
    return tuple(raw)


def _on_off(raw: Any) -> str:
    if raw not in ("on", "off"):
        raise ValueError('is neither "on" nor "off"')
    return _text(raw)


def _multiaddrs(raw: Any) -> tuple[str, ...]:
    addrs = _names(raw)
    for addr in addrs:
        if not re.fullmatch(r"/(ip4|ip6|dns4|dns6)/[^/]+/tcp/[0-9]{1,5}", addr):
            raise ValueError(f"holds {addr!r}; write /ip4/ADDRESS/tcp/PORT or /dns4/NAME/tcp/PORT")
    return addrs


def _roles(raw: Any) -> tuple[str, ...]:
    roles = _names(raw)
    for role in roles:
        if role not in BITS:
            raise ValueError(f"names the unknown role {role!r}; known: {', '.join(BITS)}")
    return roles


def _payout(raw: Any) -> str:
    text = _text(raw)
    if text and not is_checksum_address(text):
        raise ValueError(
            "is not an address with a valid checksum (EIP-55): copy it again from your wallet"
        )
    return text


def _log_level(raw: Any) -> str:
    if raw not in LOG_LEVELS:
        raise ValueError(f"is none of {', '.join(LOG_LEVELS)}")
    return _text(raw)


_SETTINGS: dict[str, _Kind] = {
    "network": _Kind("network", lambda home: home.network, _path),
    "payout": _Kind("payout", lambda _: "", _payout),
    "roles": _Kind("roles", lambda _: ("contributor",), _roles),
    "datanets": _Kind("datanets", lambda _: (), _names),
    "log_level": _Kind("log_level", lambda _: "info", _log_level),
    "listen_host": _Kind("listen.host", lambda _: "0.0.0.0", _text),
    "listen_port": _Kind("listen.port", lambda _: 0, _between(0, 65_535)),
    "listen_mdns": _Kind("listen.mdns", lambda _: "on", _on_off),
    "listen_announce": _Kind("listen.announce", lambda _: (), _multiaddrs),
    "api_port": _Kind("api.port", lambda _: 0, _between(0, 65_535)),
    "chain_rpc": _Kind("chain.rpc", lambda _: (), _names),
    # Two epochs of Ethereum's proof of stake are final; a rollup's or devnet's blocks are sooner.
    # At most 120: endpoints that keep only recent state answer about 128 blocks back.
    "chain_confirmations": _Kind("chain.confirmations", lambda _: 64, _between(0, 120)),
    "chain_max_fee_gwei": _Kind("chain.max_fee_gwei", lambda _: 500, _between(1, 1_000_000)),
    "disk_quota_mb": _Kind("disk.quota_mb", lambda _: 20_480, _between(0, 2**40)),
    "compute_cache": _Kind("compute.cache", lambda home: home.path / "models", _path),
    "compute_slots": _Kind("compute.slots", lambda home: home.slots, _path),
    "compute_children": _Kind("compute.children", lambda _: 1, _between(1, 64)),
    # SmolLM2-135M in fp32 with its optimiser and rows stays under 3 GB; the cap catches a runaway.
    "compute_memory_mb": _Kind("compute.memory_mb", lambda _: 4_096, _between(256, 4_194_304)),
    "compute_idle_seconds": _Kind("compute.idle_seconds", lambda _: 20, _between(0, 86_400)),
    "compute_threads": _Kind("compute.threads", lambda _: os.cpu_count() or 1, _between(1, 1_024)),
}
_FIELD_OF = {kind.key: name for name, kind in _SETTINGS.items()}


def load_config(
    home: Home, env: Mapping[str, str] | None = None, flags: Mapping[str, str] | None = None
) -> NodeConfig:
    """Read the home's configuration. ``flags``: field name -> text given on the command line.

    Raises OperatorError ``bad-config`` naming the file and line, variable or flag.
    """
    values: dict[str, Any] = {name: kind.default(home) for name, kind in _SETTINGS.items()}
    origins = dict.fromkeys(_SETTINGS, "default")
    for name, raw, origin in (*_from_file(home), *_from_env(env or {}), *_from_flags(flags or {})):
        values[name] = _parse(name, raw, origin)
        origins[name] = origin
    return NodeConfig(home=home.path, **values, origins=origins)


def settings(config: NodeConfig) -> list[Setting]:
    """Every value with its origin, in the file's order."""
    return [
        Setting(kind.key, getattr(config, name), config.origins[name])
        for name, kind in _SETTINGS.items()
    ]


def write_config(home: Home, values: Mapping[str, Value]) -> None:
    """Replace the home's configuration file by these fields. Raises ``bad-config`` first."""
    for name, value in values.items():
        _parse(name, _plain(value), "the new configuration")
    tables: dict[str, list[str]] = {}
    for name, kind in _SETTINGS.items():
        if name in values:
            table, _, key = kind.key.rpartition(".")
            tables.setdefault(table, []).append(f"{key} = {_toml(values[name])}")
    parts = [
        "\n".join(([f"[{table}]"] if table else []) + lines) + "\n"
        for table, lines in sorted(tables.items())  # the bare keys sort first, as TOML needs
    ]
    home.create()
    home.write(home.config, "\n".join(parts).encode(), mode=0o644)


def _from_file(home: Home) -> list[tuple[str, Any, str]]:
    if not home.config.exists():
        return []
    text = home.config.read_text()
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise _bad(f"{home.config}: {error}.", "Correct it.") from error
    found = []
    for key, raw in _flatten(tree):
        origin = f"{home.config.name}:{_line(text, key)}"
        if key not in _FIELD_OF:
            raise _bad(f"{home.config}:{_line(text, key)}: unknown key {key!r}.", _known())
        found.append((_FIELD_OF[key], raw, origin))
    return found


def _from_env(env: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    found = []
    for variable in sorted(env):
        if not variable.startswith(ENV_PREFIX) or variable in _ENV_OTHERS:
            continue
        name = variable.removeprefix(ENV_PREFIX).lower()
        if name not in _SETTINGS:
            raise _bad(f"{variable}: unknown setting.", _known())
        found.append((name, env[variable], variable))
    return found


def _from_flags(flags: Mapping[str, str]) -> list[tuple[str, Any, str]]:
    return [(name, raw, "--" + name.replace("_", "-")) for name, raw in flags.items()]


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, Any]]:
    flat = []
    for key, value in tree.items():
        if isinstance(value, dict):
            flat += _flatten(value, f"{prefix}{key}.") or [(prefix + key, value)]
        else:
            flat.append((prefix + key, value))
    return flat


def _line(text: str, key: str) -> int:
    """Line of a key that tomllib (which keeps no positions) found in ``text``."""
    table, _, leaf = key.rpartition(".")
    current = ""
    header = 1
    for number, line in enumerate(text.splitlines(), 1):
        if match := re.match(r"\s*\[\s*([^\]]+?)\s*\]", line):
            current = match[1]
            header = number if key.startswith(current) else header
        elif current == table and re.match(rf"\s*[\"']?{re.escape(leaf)}[\"']?\s*=", line):
            return number
    return header


def _parse(name: str, raw: Any, origin: str) -> Value:
    if name not in _SETTINGS:
        raise _bad(f"{origin}: unknown setting {name!r}.", _known())
    try:
        return _SETTINGS[name].parse(raw)
    except ValueError as error:
        key = _SETTINGS[name].key
        raise _bad(f"{origin}: {key} = {raw!r} {error}.", "Correct it there.") from error


def _plain(value: Value) -> Any:
    if isinstance(value, tuple):
        return list(value)
    return str(value) if isinstance(value, Path) else value


def _toml(value: Value) -> str:
    """A TOML literal; JSON's strings, whole numbers and lists are TOML's."""
    return json.dumps(_plain(value), ensure_ascii=False)


def _known() -> str:
    return f"Known keys: {', '.join(_FIELD_OF)}."


def _bad(text: str, remedy: str) -> OperatorError:
    return OperatorError("bad-config", text, remedy)
