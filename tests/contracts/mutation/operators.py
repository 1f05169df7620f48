"""Faults that a programmer could have written, as replacements in one node of solc's syntax tree.

Each operator takes a node and yields what could stand there instead. What does not compile is thrown away later, and so is
what compiles to the same bytecode, so an operator need not know all of Solidity's rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Node = dict[str, Any]

RELATIONS = {
    "<": (">=", "<="),
    "<=": (">", "<"),
    ">": ("<=", ">="),
    ">=": ("<", ">"),
    "==": ("!=", "<=", ">="),
    "!=": ("==", "<", ">"),
}
"""For each relation its negation, then those that differ from it for only some numbers."""
ARITHMETIC = {
    "+": ("-",),
    "-": ("+",),
    "*": ("+",),
    ">>": ("<<",),
    "<<": (">>",),
    "&": ("|",),
    "|": ("&",),
    "++": ("--",),
    "--": ("++",),
    "|=": ("&=", "="),
    "&=": ("|=", "="),
    ">>=": ("<<=", "="),
}
YUL = {"add": "sub", "sub": "add", "and": "or", "or": "and", "shl": "shr", "shr": "shl", "gt": "lt", "lt": "gt"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where in the sources the walk is."""

    text: Callable[[Node], str]
    """A node's own source text."""
    function: str
    """The function's name, or the contract's outside of functions."""
    parents: tuple[Node, ...]
    """From the file down to the node's parent."""
    nodes: dict[int, Node]
    """All declarations of the program by their number."""
    variables: dict[str, list[str]] = field(default_factory=dict)
    """The function's parameters and local variables by their type, in order; outside of functions the constants."""

    @property
    def parent(self) -> Node:
        return self.parents[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A node's replacement."""

    operator: str
    node: Node
    text: str


def changes_of(node: Node, place: Place) -> Iterator[Change]:
    """Every replacement of a node itself, its children apart."""
    for operator, replaced in OPERATORS.get(node["nodeType"], ()):
        for text in replaced(node, place):
            yield Change(operator=operator, node=node, text=text)


def _kind(node: Node) -> str:
    kind = str(node.get("typeDescriptions", {}).get("typeString"))
    for where in (" memory", " storage ref", " storage pointer", " calldata"):
        kind = kind.removesuffix(where)
    return kind


def _numeric(node: Node) -> bool:
    return _kind(node).startswith(("uint", "int", "enum"))


def _relation(node: Node, place: Place) -> Iterator[str]:
    left, right = node["leftExpression"], node["rightExpression"]
    negated, *boundaries = RELATIONS.get(node["operator"], ("",))
    for other in [negated] if negated else []:
        yield f"({place.text(left)} {other} {place.text(right)})"
    # Of a number without sign or of one bit, what is more or less than the constant is the negation or nothing new.
    if (_numeric(left) or _numeric(right)) and right["nodeType"] != "Literal":
        for other in boundaries:
            yield f"({place.text(left)} {other} {place.text(right)})"


def _logic(node: Node, place: Place) -> Iterator[str]:
    left, right = place.text(node["leftExpression"]), place.text(node["rightExpression"])
    other = {"&&": "||", "||": "&&"}.get(node["operator"])
    if other:
        yield from (f"({left} {other} {right})", left, right)


def _arithmetic(node: Node, place: Place) -> Iterator[str]:
    left, right = place.text(node["leftExpression"]), place.text(node["rightExpression"])
    for other in ARITHMETIC.get(node["operator"], ()):
        yield f"({left} {other} {right})"


def _unary(node: Node, place: Place) -> Iterator[str]:
    operand = place.text(node["subExpression"])
    if node["operator"] in ("!", "~", "-"):
        yield operand
    for other in ARITHMETIC.get(node["operator"], ()):
        yield f"{other}{operand}" if node["prefix"] else f"{operand}{other}"


def _assignment(node: Node, place: Place) -> Iterator[str]:
    for other in ARITHMETIC.get(node["operator"], ()):
        yield f"{place.text(node['leftHandSide'])} {other} {place.text(node['rightHandSide'])}"


def _literal(node: Node, place: Place) -> Iterator[str]:
    if any(parent["nodeType"] in ("PragmaDirective", "ImportDirective") for parent in place.parents):
        return
    match node["kind"]:
        case "bool":
            yield "false" if node["value"] == "true" else "true"
        case "string":
            yield '"x' + place.text(node)[1:]
        case "number":
            number = int(node["value"].replace("_", ""), 0)
            yield str(number + 1)
            if number > 0:
                yield str(number - 1)


def _member(node: Node, place: Place) -> Iterator[str]:
    """Another member of the same enumeration, the other end of a type, another field of the same type."""
    owner, name = node["expression"], node["memberName"]
    if name in ("max", "min") and _kind(owner).startswith("type("):
        yield f"{place.text(owner)}.{'min' if name == 'max' else 'max'}"
    elif _kind(owner).startswith("type(enum"):
        declared = place.nodes[node["referencedDeclaration"]]
        enumeration = next(
            each
            for each in place.nodes.values()
            if each["nodeType"] == "EnumDefinition" and declared in each["members"]
        )
        members = [member["name"] for member in enumeration["members"]]
        yield f"{place.text(owner)}.{_next(members, name)}"
    elif (declared := place.nodes.get(node.get("referencedDeclaration") or 0)) and _kind(owner).startswith("struct"):
        struct = place.nodes.get(declared.get("scope", 0), {})
        alike = [one["name"] for one in struct.get("members", ()) if _kind(one) == _kind(declared)]
        if name in alike and len(alike) > 1:
            yield f"{place.text(owner)}.{_next(alike, name)}"


def _next(names: list[str], name: str) -> str:
    return names[(names.index(name) + 1) % len(names)]


def _identifier(node: Node, place: Place) -> Iterator[str]:
    """Another variable of the same type. Counters of loops stay: their step would go on for ever."""
    alike = [name for name in place.variables.get(_kind(node), []) if name != "i"]
    if node["name"] in alike and len(alike) > 1:
        yield _next(alike, node["name"])


def _condition(node: Node, place: Place) -> Iterator[str]:
    """A condition that never holds. Where it always holds is what the negation of its relation shows as well."""
    before, after = place.text(node).split(place.text(node["condition"]), 1)
    yield f"{before}false{after}"


def _call(node: Node, place: Place) -> Iterator[str]:
    """The negation of a yes or no, and two arguments that have changed places."""
    if node["kind"] == "functionCall" and _kind(node) == "bool" and place.parent.get("operator") != "!":
        yield f"!{place.text(node)}"
    arguments = node["arguments"]
    if node.get("names") or len(arguments) < 2:
        return
    called = place.text(node["expression"])
    encoded = called.startswith("abi.encode")
    for i, one in enumerate(arguments):
        for j, other in enumerate(arguments[i + 1 :], i + 1):
            if place.text(one) == place.text(other) or not (_kind(one) == _kind(other) or (encoded and j == i + 1)):
                continue
            swapped = [place.text(argument) for argument in arguments]
            swapped[i], swapped[j] = swapped[j], swapped[i]
            yield f"{called}({', '.join(swapped)})"


def _statement(node: Node, place: Place) -> Iterator[str]:
    """Nothing in a statement's place. A `revert` below an `if` goes with the condition; loops keep their step."""
    reverts = node["nodeType"] == "RevertStatement" and place.parent["nodeType"] == "IfStatement"
    if not reverts and place.parent.get("loopExpression") is not node:
        yield "{}"


def _returned(node: Node, place: Place) -> Iterator[str]:
    expression = node.get("expression")
    if expression and _kind(expression) == "bool":
        yield f"return !({place.text(expression)})"


def _modifier(node: Node, place: Place) -> Iterator[str]:
    if node.get("kind") == "modifierInvocation":
        yield ""


def _yul_call(node: Node, place: Place) -> Iterator[str]:
    name, arguments = node["functionName"]["name"], [place.text(argument) for argument in node["arguments"]]
    if name in YUL:
        yield f"{YUL[name]}({', '.join(arguments)})"
    if name == "iszero":
        yield arguments[0]


def _yul_literal(node: Node, place: Place) -> Iterator[str]:
    number = int(node["value"], 0)
    yield str(number + 1)
    if number:
        yield str(number - 1)


def _yul_statement(node: Node, place: Place) -> Iterator[str]:
    yield "{}"


OPERATORS: dict[str, tuple[tuple[str, Callable[[Node, Place], Iterator[str]]], ...]] = {
    "BinaryOperation": (("relation", _relation), ("logic", _logic), ("arithmetic", _arithmetic)),
    "UnaryOperation": (("arithmetic", _unary),),
    "Assignment": (("arithmetic", _assignment),),
    "Literal": (("constant", _literal),),
    "MemberAccess": (("member", _member),),
    "Identifier": (("variable", _identifier),),
    "IfStatement": (("condition", _condition),),
    "Conditional": (("condition", _condition),),
    "FunctionCall": (("call", _call),),
    "ExpressionStatement": (("statement", _statement),),
    "EmitStatement": (("statement", _statement),),
    "RevertStatement": (("statement", _statement),),
    "Return": (("statement", _statement), ("negation", _returned)),
    "ModifierInvocation": (("modifier", _modifier),),
    "YulFunctionCall": (("assembly", _yul_call),),
    "YulLiteral": (("assembly", _yul_literal),),
    "YulExpressionStatement": (("assembly", _yul_statement),),
    "YulAssignment": (("assembly", _yul_statement),),
}
