"""Static analysis of the contracts with every detector of slither; fails on what nobody explained.

A finding is either put right or explained where it occurs: `// slither-disable-next-line detector -- why`, or a pair
of `slither-disable-start detector -- why` and `slither-disable-end detector` around a stretch. An explanation that no
longer explains anything fails as well, and so does one without a reason.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Any

from crytic_compile import CryticCompile
from crytic_compile.compilation_unit import CompilationUnit
from crytic_compile.compiler.compiler import CompilerVersion
from crytic_compile.platform.solc_standard_json import SolcStandardJson, parse_standard_json_output
from slither import Slither
from slither.detectors import all_detectors
from slither.detectors.abstract_detector import AbstractDetector

from orchestrator.ledger.artifacts import CONTRACTS
from orchestrator.ledger.compiler import SOLC_VERSION, parse_files

ROOT = Path(__file__).resolve().parent.parent
NOT_OURS = {
    "pragma": "OpenZeppelin's files allow older compilers than ours; solc 0.8.37 compiles all of them in one go",
}
"""Detectors whose findings are about the dependencies and ours together, by the reason why they are not looked at."""

_EXPLANATION = re.compile(r"^\s*//\s*slither-disable-(?:next-line|start)\s+[a-z0-9,-]+(?P<reason>\s+--\s+\S.*)?$")


class Sources(SolcStandardJson):
    """The contracts as our own compiler reads them. Slither reasons over syntax trees, so no code is made."""

    def compile(self, crytic_compile: CryticCompile, **_: Any) -> None:
        """Hands the syntax trees over."""
        unit = CompilationUnit(crytic_compile, "contracts")
        unit.compiler_version = CompilerVersion(compiler="solc", version=SOLC_VERSION, optimized=True)
        output = parse_files(*(f"contracts/{name}.sol" for name in CONTRACTS))
        empty = {"object": "", "sourceMap": ""}
        for contracts in output["contracts"].values():
            for contract in contracts.values():
                contract["evm"] = {"bytecode": empty, "deployedBytecode": empty}
        parse_standard_json_output(output, unit)

    def is_dependency(self, path: str) -> bool:
        """Whether a file is not ours."""
        return "node_modules" in Path(path).parts


def analyse() -> list[str]:
    """What is wrong, a text each."""
    slither = Slither(CryticCompile(Sources({})), exclude_dependencies=True)
    slither.warn_unused_ignores = True
    for detector in vars(all_detectors).values():
        if isinstance(detector, type) and issubclass(detector, AbstractDetector):
            slither.register_detector(detector)
    findings = [finding for found in slither.run_detectors() for finding in found]
    wrong = [
        f"{finding['check']} ({finding['impact']}): {finding['description'].strip()}"
        for finding in findings
        if finding["check"] not in NOT_OURS
    ]
    seen = {finding["check"] for finding in findings}
    wrong += [f"NOT_OURS: {check} finds nothing any more" for check in NOT_OURS if check not in seen]
    wrong += [
        f"{Path(unused['file']).relative_to(ROOT)}:{unused['line']}: explains nothing: {unused['unused_detectors']}"
        for unused in slither.get_unused_ignore_comments()
        if Path(unused["file"]).is_relative_to(ROOT / "contracts")
    ]
    return list(dict.fromkeys(wrong)) + unreasoned()


def unreasoned() -> list[str]:
    """Explanations in the contracts that give no reason."""
    return [
        f"{file.relative_to(ROOT)}:{number}: no reason given: {line.strip()}"
        for file in sorted([*(ROOT / "contracts").glob("*.sol"), *(ROOT / "contracts").glob("[!.]*/*.sol")])
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), start=1)
        if (explanation := _EXPLANATION.match(line)) and not explanation["reason"]
    ]


def main() -> int:
    """Exit code 1 when something is wrong."""
    wrong = analyse()
    print("\n".join(wrong) or "✓ slither")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
