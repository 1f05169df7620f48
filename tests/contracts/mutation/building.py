"""Builder: compiles contracts with one file changed, through one process of the npm compiler that stays.

Mutants are compiled without `viaIR`, which takes a third of the time and means the same, and as they ship where that is too
much for the stack. Whether a mutant is none at all is always asked of the code that would ship.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from orchestrator.ledger import compiler

from .mutants import ROOTS

QUICK: dict[str, Any] = {**compiler.SETTINGS, "viaIR": False}
_WANTED = ["abi", "evm.bytecode.object", "evm.deployedBytecode.object"]

Artifacts = dict[str, dict[str, Any]]
"""By the contract's name, as `compile_contracts` gives them but for the immutables."""


class DoesNotCompile(Exception):
    """The change is no Solidity, or more than the compiler can carry."""


class Builder:
    """Compiles; keeps what it compiled without a change."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._plain: dict[tuple[str, bool], dict[str, Any]] = {}
        self._deep: set[str] = set()
        self._closures: dict[str, dict[str, dict[str, str]]] = {}

    def contracts(self, changed: Mapping[str, str], *, shipped: bool = False) -> Artifacts:
        """The three contracts with some files' text changed."""
        return self.build(ROOTS, changed, shipped=shipped)

    def build(self, paths: Iterable[str], changed: Mapping[str, str], *, shipped: bool = False) -> Artifacts:
        """The contract that each file is named after. Raises DoesNotCompile."""
        built = {}
        for path in paths:
            if changed.keys() & self._closure(path).keys():
                built[Path(path).stem] = self._one(path, changed, shipped)
                continue
            if (path, shipped) not in self._plain:
                self._plain[path, shipped] = self._one(path, {}, shipped)
            built[Path(path).stem] = self._plain[path, shipped]
        return built

    def concerns(self, paths: Iterable[str], changed: Mapping[str, str]) -> bool:
        """Whether a changed file goes into any of the contracts."""
        return any(changed.keys() & self._closure(path).keys() for path in paths)

    def close(self) -> None:
        """Ends the compiler. The next build starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def _closure(self, path: str) -> dict[str, dict[str, str]]:
        if path not in self._closures:
            self._closures[path] = compiler._sources([path])
        return self._closures[path]

    def _one(self, path: str, changed: Mapping[str, str], shipped: bool) -> dict[str, Any]:
        sources = {
            name: {"content": changed[name]} if name in changed else there
            for name, there in self._closure(path).items()
        }
        name = Path(path).stem
        wanted = {path: {name: _WANTED}}
        shipped = shipped or path in self._deep
        settings = {**(compiler.SETTINGS if shipped else QUICK), "outputSelection": wanted}
        output = self._ask({"language": "Solidity", "sources": sources, "settings": settings})
        errors = [error for error in output.get("errors", ()) if error["severity"] == "error"]
        if errors and not shipped and any("Stack too deep" in error["message"] for error in errors):
            if not changed:
                self._deep.add(path)
            return self._one(path, changed, shipped=True)
        if errors:
            raise DoesNotCompile(errors[0]["message"])
        contract = output["contracts"][path][name]
        return {
            "abi": contract["abi"],
            "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
            "deployedBytecode": "0x" + contract["evm"]["deployedBytecode"]["object"],
        }

    def _ask(self, document: dict[str, Any]) -> dict[str, Any]:
        if self._process is None:
            self._process = subprocess.Popen(
                [str(compiler._node()), str(Path(__file__).with_name("solc-service.js"))],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                cwd=compiler.ROOT,
            )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(document) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer
