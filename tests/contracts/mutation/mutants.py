"""Mutants: all changes that the operators find in our contracts, libraries and types."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from orchestrator.ledger import compiler
from orchestrator.ledger.artifacts import CONTRACTS

from .operators import Change, Node, Place, changes_of

ROOTS = tuple(f"contracts/{name}.sol" for name in CONTRACTS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One file with one fault."""

    file: str
    """Path in the repository."""
    function: str
    line: int
    """From 1, in the file as it is."""
    operator: str
    start: int
    """Byte in the file."""
    length: int
    text: str
    """What stands there instead."""
    before: str
    """The source line or lines without the fault, blanks squeezed."""
    after: str
    """The same with the fault."""

    def applied(self, source: str) -> str:
        """The file with the fault."""
        there = source.encode()
        return (there[: self.start] + self.text.encode() + there[self.start + self.length :]).decode()

    @property
    def key(self) -> str:
        """Names the mutant whatever the line is on which it stands."""
        parts = (self.file, self.function, self.before, self.after)
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def find_mutants() -> list[Mutant]:
    """All mutants of the contracts as they are, by file and place, each change of a line once."""
    sources = compiler._sources(ROOTS)
    settings = {**compiler.SETTINGS, "outputSelection": {"*": {"": ["ast"]}}}
    output = compiler._compile({"language": "Solidity", "sources": sources, "settings": settings})
    ours = {name: output["sources"][name]["ast"] for name in sources if not name.startswith("@")}
    nodes = {each["id"]: each for name in sources for each in _all(output["sources"][name]["ast"]) if "id" in each}
    found: dict[str, Mutant] = {}
    for name, tree in ours.items():
        if "/interfaces/" in name:
            continue
        source = sources[name]["content"].encode()

        def text(node: Node, source: bytes = source) -> str:
            start, length = _span(node)
            return source[start : start + length].decode()

        place = Place(text=text, function="", parents=(), nodes=nodes)
        for change, where in _walk(tree, place):
            mutant = _mutant(name, source, change, where)
            found.setdefault(mutant.key, mutant)
    return sorted(found.values(), key=lambda mutant: (mutant.file, mutant.start, mutant.length, mutant.text))


def _mutant(file: str, source: bytes, change: Change, place: Place) -> Mutant:
    start, length = _span(change.node)
    if change.operator == "statement":
        # A statement's node ends before its semicolon.
        length = source.index(b";", start + length) + 1 - start
    first = source.rfind(b"\n", 0, start) + 1
    end = source.find(b"\n", start + length)
    after = source[first:start] + change.text.encode() + source[start + length : end]
    return Mutant(
        file=file,
        function=place.function,
        line=source.count(b"\n", 0, start) + 1,
        operator=change.operator,
        start=start,
        length=length,
        text=change.text,
        before=_squeezed(source[first:end]),
        after=_squeezed(after),
    )


def _squeezed(text: bytes) -> str:
    return " ".join(text.decode().split())


def _span(node: Node) -> tuple[int, int]:
    start, length, _ = map(int, node["src"].split(":"))
    return start, length


def _all(node: Any) -> Iterator[Node]:
    if isinstance(node, dict):
        if "nodeType" in node:
            yield node
        for child in node.values():
            yield from _all(child)
    elif isinstance(node, list):
        for child in node:
            yield from _all(child)


def _walk(node: Node, place: Place) -> Iterator[tuple[Change, Place]]:
    kind = node["nodeType"]
    if kind in (
        "ImportDirective",
        "UsingForDirective",
        "StructDefinition",
        "EnumDefinition",
        "StructuredDocumentation",
    ):
        return
    yield from ((change, place) for change in changes_of(node, place))
    if kind in ("SourceUnit", "ContractDefinition", "FunctionDefinition"):
        place = _inside(node, place)
    below = Place(
        text=place.text,
        function=place.function,
        parents=(*place.parents, node),
        nodes=place.nodes,
        variables=place.variables,
    )
    for child in node.values():
        for each in child if isinstance(child, list) else [child]:
            if isinstance(each, dict) and "nodeType" in each:
                yield from _walk(each, below)


def _inside(node: Node, place: Place) -> Place:
    declared = [
        each
        for each in _all(node)
        if each["nodeType"] == "VariableDeclaration"
        and (node["nodeType"] == "FunctionDefinition" or (each.get("constant") and not each.get("function")))
    ]
    variables: dict[str, list[str]] = {k: list(v) for k, v in place.variables.items()}
    for each in declared:
        kind = str(each["typeDescriptions"]["typeString"])
        for where in (" memory", " storage ref", " storage pointer", " calldata"):
            kind = kind.removesuffix(where)
        if each["name"] and each["name"] not in variables.setdefault(kind, []):
            variables[kind].append(each["name"])
    return Place(
        text=place.text,
        function=node.get("name") or node.get("kind", ""),
        parents=place.parents,
        nodes=place.nodes,
        variables=variables,
    )
