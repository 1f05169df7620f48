"""Calls, results and logs of a contract, encoded by its ABI alone (Solidity ABI specification).

`web3.py` contract objects cost milliseconds a call; encoding with `eth_abi` costs microseconds, which matters for batches
of 256 transitions and for a follower that reads every event.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from eth_abi.abi import decode, encode

from orchestrator.domain.canonical import keccak


def abi_type(entry: Mapping[str, Any]) -> str:
    """The canonical type of an ABI parameter: structs become tuples."""
    kind = str(entry["type"])
    if kind.startswith("tuple"):
        inner = ",".join(abi_type(component) for component in entry["components"])
        return f"({inner}){kind[5:]}"
    return kind


def _signature(entry: Mapping[str, Any]) -> str:
    return f"{entry['name']}({','.join(abi_type(parameter) for parameter in entry['inputs'])})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A decoded event."""

    name: str
    args: dict[str, Any]
    block: int
    transaction: str
    index: int


class ContractAbi:
    """Encodes calls and decodes results, logs and errors of one contract."""

    def __init__(self, abi: Sequence[Mapping[str, Any]]) -> None:
        self._functions: dict[str, tuple[bytes, list[str], list[str]]] = {}
        self._events: dict[str, Mapping[str, Any]] = {}
        self._errors: dict[bytes, str] = {}
        for entry in abi:
            if entry["type"] == "function":
                self._functions[entry["name"]] = (
                    keccak(_signature(entry).encode())[:4],
                    [abi_type(parameter) for parameter in entry["inputs"]],
                    [abi_type(parameter) for parameter in entry["outputs"]],
                )
            elif entry["type"] == "event":
                self._events["0x" + keccak(_signature(entry).encode()).hex()] = entry
            elif entry["type"] == "error":
                self._errors[keccak(_signature(entry).encode())[:4]] = entry["name"]

    def call(self, name: str, *args: Any) -> str:
        """The calldata of a call as `0x…`."""
        selector, inputs, _ = self._functions[name]
        return "0x" + (selector + encode(inputs, args)).hex()

    def result(self, name: str, data: str) -> tuple[Any, ...]:
        """The decoded return values of a call."""
        return tuple(decode(self._functions[name][2], bytes.fromhex(data[2:])))

    def arguments(self, name: str, data: str) -> tuple[Any, ...] | None:
        """The decoded arguments of calldata, or None when it calls something else."""
        selector, inputs, _ = self._functions[name]
        raw = bytes.fromhex(data[2:])
        return tuple(decode(inputs, raw[4:])) if raw[:4] == selector else None

    def topic(self, event: str) -> str:
        """The first topic of an event."""
        return next(topic for topic, entry in self._events.items() if entry["name"] == event)

    def log(self, raw: Mapping[str, Any]) -> Log | None:
        """A decoded log, or None when this contract has no such event."""
        entry = self._events.get(raw["topics"][0])
        if entry is None:
            return None
        indexed = [parameter for parameter in entry["inputs"] if parameter["indexed"]]
        plain = [parameter for parameter in entry["inputs"] if not parameter["indexed"]]
        args: dict[str, Any] = {}
        for parameter, topic in zip(indexed, raw["topics"][1:], strict=True):
            args[parameter["name"]] = decode([abi_type(parameter)], bytes.fromhex(topic[2:]))[0]
        values = decode([abi_type(parameter) for parameter in plain], bytes.fromhex(raw["data"][2:]))
        args.update(zip((parameter["name"] for parameter in plain), values, strict=True))
        return Log(
            name=entry["name"],
            args=args,
            block=int(raw["blockNumber"], 16),
            transaction=raw["transactionHash"],
            index=int(raw["logIndex"], 16),
        )

    def error(self, data: str) -> str:
        """The name of the custom error in revert data, or the data itself."""
        return self._errors.get(bytes.fromhex(data[2:10]), data) if len(data) >= 10 else data
