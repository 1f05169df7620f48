"""Chain: an Anvil of the tests' own, spoken to over its socket, and the ABI by hand. A transaction takes half a millisecond.

Ape's receipts and wrappers would take a hundred times as long, and the stateful tests live on the number of their steps.
Values are as the ABI has them, addresses are 20 `bytes`, structs are tuples.
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from orchestrator.devnet.anvil import find_anvil
from orchestrator.devnet.lifetime import die_with_parent
from orchestrator.devnet.ports import free_port
from orchestrator.domain.canonical import keccak

CHAIN_ID = 20_260_001
_GAS = 400_000_000
_START_SECONDS = 30.0


class Node:
    """A running Anvil without mining of its own: one block for each transaction, a second apart."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._buffer = ""
        self._decoder = json.JSONDecoder()
        self._asked = 0
        self.sender: str = self.ask("eth_accounts")[0]

    def ask(self, method: str, *parameters: Any) -> Any:
        """The node's answer. Raises RuntimeError when it refuses."""
        self._asked += 1
        request = {"jsonrpc": "2.0", "id": self._asked, "method": method, "params": parameters}
        self._socket.sendall(json.dumps(request).encode())
        while True:
            with contextlib.suppress(ValueError):
                answer, end = self._decoder.raw_decode(self._buffer)
                self._buffer = self._buffer[end:].lstrip()
                break
            self._buffer += self._socket.recv(1 << 20).decode()
        if "result" not in answer:
            raise RuntimeError(f"{method}: {answer.get('error')}")
        return answer["result"]

    def send(self, to: bytes | None, data: bytes) -> dict[str, Any]:
        """The receipt of a transaction in a block of its own."""
        transaction = {"from": self.sender, "gas": hex(_GAS), "gasPrice": "0x0", "data": "0x" + data.hex()}
        if to is not None:
            transaction["to"] = "0x" + to.hex()
        receipt = self.ask("eth_sendTransactionSync", transaction)
        assert isinstance(receipt, dict)
        return receipt

    def call(self, to: bytes, data: bytes) -> bytes:
        """What a view returns as of the last block."""
        request = {"to": "0x" + to.hex(), "data": "0x" + data.hex(), "gas": hex(_GAS)}
        return bytes.fromhex(self.ask("eth_call", request, "latest")[2:])

    def deploy(self, code: bytes) -> bytes | None:
        """The address of a new contract; None when its constructor reverts."""
        receipt = self.send(None, code)
        return bytes.fromhex(receipt["contractAddress"][2:]) if receipt["status"] == "0x1" else None

    def mine(self, blocks: int) -> None:
        """Adds empty blocks, a second apart."""
        self.ask("anvil_mine", hex(blocks), "0x1")

    def pass_time(self, seconds: int) -> None:
        """Adds an empty block so many seconds after the last one."""
        _, now = self.clock()
        self.ask("evm_setNextBlockTimestamp", hex(now + seconds))
        self.ask("evm_mine")

    def clock(self) -> tuple[int, int]:
        """Number and time (Unix seconds) of the last block."""
        block = self.ask("eth_getBlockByNumber", "latest", False)
        return int(block["number"], 16), int(block["timestamp"], 16)


@contextlib.contextmanager
def open_chain() -> Iterator[Node]:
    """A node that ends with the block. Raises FileNotFoundError without Anvil and TimeoutError when it does not come up."""
    program = find_anvil()
    if program is None:
        raise FileNotFoundError("Anvil is missing: make setup")
    with tempfile.TemporaryDirectory(prefix="lianban-") as folder:
        path = Path(folder) / "ipc"
        process = subprocess.Popen(
            [
                *(str(program), "--ipc", str(path), "--port", str(free_port()), "--chain-id", str(CHAIN_ID)),
                *("--gas-price", "0", "--block-base-fee-per-gas", "0", "--disable-min-priority-fee"),
                *("--gas-limit", str(10 * _GAS), "--hardfork", "prague", "--accounts", "1", "--quiet"),
                *("--prune-history", "64"),
            ],
            cwd=folder,
            env={"HOME": folder},
            preexec_fn=die_with_parent(signal.SIGTERM),
        )
        try:
            deadline = time.monotonic() + _START_SECONDS
            while time.monotonic() < deadline and process.poll() is None:
                with contextlib.suppress(OSError):
                    node = Node(str(path))
                    break
                time.sleep(0.02)
            else:
                raise TimeoutError("Anvil did not come up")
            node.ask("anvil_setBlockTimestampInterval", 1)
            yield node
        finally:
            process.terminate()
            process.wait(10)


Encoder = Callable[[Any], bytes]


@dataclass(frozen=True, slots=True)
class Kind:
    """A type of the ABI."""

    dynamic: bool
    encode: Encoder
    name: str
    """As in signatures: `(uint8,bytes)[]`."""


def kind_of(parameter: dict[str, Any]) -> Kind:
    """The type of a parameter in a JSON ABI."""
    text = str(parameter["type"])
    if text.endswith("[]"):
        member = kind_of({**parameter, "type": text[:-2]})
        return Kind(
            True, lambda values: _word(len(values)) + _joined([member] * len(values), values), member.name + "[]"
        )
    if text == "tuple":
        kinds = [kind_of(one) for one in parameter["components"]]
        name = f"({','.join(one.name for one in kinds)})"
        return Kind(any(one.dynamic for one in kinds), lambda values: _joined(kinds, values), name)
    return Kind(text in ("bytes", "string"), _elementary(text), text)


def _elementary(text: str) -> Encoder:
    if text == "string":
        return lambda value: _bytes(value.encode())
    if text == "bytes":
        return _bytes
    if text.startswith("bytes"):
        return lambda value: value.ljust(32, b"\0")
    if text == "address":
        return lambda value: value.rjust(32, b"\0")
    return _word


def _word(value: int) -> bytes:
    return int(value).to_bytes(32, "big")


def _bytes(value: bytes) -> bytes:
    return _word(len(value)) + value + bytes(-len(value) % 32)


def _joined(kinds: Sequence[Kind], values: Sequence[Any]) -> bytes:
    """Static members in place, dynamic ones behind, each at its offset."""
    parts = [kind.encode(value) for kind, value in zip(kinds, values, strict=True)]
    behind = sum(32 if kind.dynamic else len(part) for kind, part in zip(kinds, parts, strict=True))
    heads, tails = [], []
    for kind, part in zip(kinds, parts, strict=True):
        if kind.dynamic:
            heads.append(_word(behind))
            tails.append(part)
            behind += len(part)
        else:
            heads.append(part)
    return b"".join(heads + tails)


class Entry:
    """A function, event or error of an ABI."""

    def __init__(self, entry: dict[str, Any]) -> None:
        self.name = str(entry["name"])
        self.inputs = [kind_of(one) for one in entry.get("inputs", [])]
        self.outputs = [kind_of(one) for one in entry.get("outputs", [])]
        self.indexed = [bool(one.get("indexed")) for one in entry.get("inputs", [])]
        self.types = [one.name for one in self.inputs]
        self.by_words = bool(self.inputs) and not any(kind.dynamic or kind.name[0] == "(" for kind in self.inputs)
        """Whether each argument is a word."""
        self.hash = keccak(f"{self.name}({','.join(self.types)})".encode())

    def calldata(self, arguments: Sequence[Any]) -> bytes:
        """Selector and arguments, of a call or of an error. Numbers are not cut to their type."""
        return self.hash[:4] + _joined(self.inputs, arguments)

    def returned(self, values: Sequence[Any]) -> bytes:
        """What a call that returns these values returns."""
        return _joined(self.outputs, values)

    def log(self, values: Sequence[Any]) -> tuple[tuple[bytes, ...], bytes]:
        """Topics and data of an event."""
        topics, kinds, rest = [self.hash], [], []
        for kind, indexed, value in zip(self.inputs, self.indexed, values, strict=True):
            if indexed:
                topics.append(kind.encode(value))
            else:
                kinds.append(kind)
                rest.append(value)
        return tuple(topics), _joined(kinds, rest)


class Contract:
    """A compiled contract's ABI and, once deployed, its address."""

    def __init__(self, compiled: dict[str, Any], address: bytes = b"") -> None:
        self._compiled = compiled
        self.address = address
        self.code = bytes.fromhex(compiled["bytecode"][2:])

    def at(self, address: bytes) -> Contract:
        """The same contract with an address."""
        other = Contract(self._compiled, address)
        other.__dict__.update(
            {name: self.__dict__[name] for name in ("functions", "events", "errors") if name in self.__dict__}
        )
        return other

    def creation(self, *arguments: Any) -> bytes:
        """Creation code with the constructor's arguments."""
        [constructor] = [one for one in self._compiled["abi"] if one["type"] == "constructor"]
        return self.code + _joined([kind_of(one) for one in constructor["inputs"]], arguments)

    @cached_property
    def functions(self) -> dict[str, Entry]:
        return self._entries("function")

    @cached_property
    def events(self) -> dict[str, Entry]:
        return self._entries("event")

    @cached_property
    def errors(self) -> dict[str, Entry]:
        return self._entries("error")

    def _entries(self, kind: str) -> dict[str, Entry]:
        return {one["name"]: Entry(one) for one in self._compiled["abi"] if one["type"] == kind}
