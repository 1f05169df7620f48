"""Sabotages: each check of the contracts taken out, one at a time, as found in the sources and not from a list kept by hand.

A sabotage is a textual patch. What counts as a check: every condition of an `if` as a whole and every operand of it, every
operand of a returned conjunction or comparison, every bound (off by one), every `onlyOwner`, every call of a `_require…` function, every status that may
not follow another, and what checks remember by (`_used`, `_bound`, `live`, `changeCount`).

sabotage_run.py plays the stateful tests against each.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "contracts"
_CLOSED = {"(": ")", "[": "]", "{": "}"}
_SHIFTED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">"}
STATUSES = ("None", "Accepted", "Returned", "Approved", "Refused", "Withdrawn", "Revoked", "Suspended")
MAY_FOLLOW = {
    "None": {"Accepted", "Returned", "Approved", "Refused", "Withdrawn"},
    "Accepted": {"Returned", "Approved", "Refused", "Withdrawn"},
    "Returned": {"Accepted", "Approved", "Refused", "Withdrawn"},
    "Approved": {"Revoked", "Suspended"},
    "Suspended": {"Approved", "Revoked"},
}


@dataclass(frozen=True)
class Sabotage:
    """One check less."""

    file: str
    """Relative to the checkout."""
    line: int
    what: str
    """For people: the check as it stood, and what became of it."""
    start: int
    end: int
    """The characters of the file that are replaced."""
    text: str
    """By what."""
    source: str = field(repr=False)
    """The file as it was read."""

    @property
    def broken(self) -> str:
        """The file without the check."""
        return self.source[: self.start] + self.text + self.source[self.end :]


def sabotages() -> list[Sabotage]:
    """All of them, by file and place."""
    found: list[Sabotage] = []
    for path in sorted([*FOLDER.glob("*.sol"), *FOLDER.glob("libraries/*.sol"), *FOLDER.glob("types/*.sol")]):
        source = path.read_text(encoding="utf-8")
        blank = _without_comments(source)
        name = str(path.relative_to(ROOT))
        for start, end, what, text in sorted(_in_source(blank)):
            found.append(Sabotage(name, source.count("\n", 0, start) + 1, what, start, end, text, source))
    return found


def _without_comments(source: str) -> str:
    """The source with comments and strings blanked, so that places stay where they were."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"[^"\n]*"', re.DOTALL)
    return pattern.sub(lambda match: re.sub(r"[^\n]", " ", match.group()), source)


Patch = tuple[int, int, str, str]


def _in_source(source: str) -> Iterator[Patch]:
    yield from _conditions(source)
    yield from _returns(source)
    for match in re.finditer(r"\bonlyOwner\b", source):
        yield (*match.span(), f"`onlyOwner` of `{_function(source, match.start())}` dropped", "")
    for match in re.finditer(r"^ *(_require\w+\([^;]*\);)", source, re.MULTILINE):
        yield (*match.span(1), f"`{_short(match.group(1))}` dropped in `{_function(source, match.start())}`", "")
    for match in re.finditer(r"^ *(revert \w+\([^;]*\);)", source, re.MULTILINE):
        before = source[: match.start()].rstrip()
        if not before.endswith(")") and not _guarded(before):
            yield (*match.span(1), f"`{_short(match.group(1))}` dropped", "")
    memory = r"_used\[\w+\] = true;|_bound\[\w+\] = true;|terms\.live = false;|terms\.byAll &= by;|\+\+(?=changeCount)"
    for match in re.finditer(memory, source):
        yield (*match.span(), f"`{match.group()}` dropped in `{_function(source, match.start())}`", "")
    if moves := re.search(r"uint256 constant MOVES = ", source):
        for before in STATUSES:
            for after in STATUSES:
                if after != "None" and after not in MAY_FOLLOW.get(before, ()):
                    added = f"(uint256(1) << (8 * uint256(Status.{before}) + uint256(Status.{after}))) | "
                    yield moves.end(), moves.end(), f"{before} → {after} allowed", added


def _guarded(before: str) -> bool:
    """Whether a statement is the body of an `if` that is patched anyway."""
    if not before.endswith("{"):
        return False
    head = before[: before.rfind("{")].rstrip()
    return head.endswith(")") and re.search(r"\bif\s*\($", head[: _opening(head, len(head) - 1) + 1]) is not None


def _conditions(source: str) -> Iterator[Patch]:
    for match in re.finditer(r"\bif \(", source):
        start = match.end()
        end = _closing(source, start - 1)
        condition = source[start:end]
        where = f"in `{_function(source, start)}`"
        body = source[end + 1 : end + 90].lstrip(" {\n")
        # Where the condition lets something through instead of stopping it, the check is gone when it always holds.
        lets_through = not re.match(r"revert|return|emit", body)
        gone = "true" if lets_through else "false"
        yield start, end, f"`if ({_short(condition)})` {where} made {gone}", gone
        for operand_start, operand_end, operand, rest in _operands(source, start, end):
            yield operand_start, operand_end, f"`{_short(operand)}` dropped {where}", rest
        for bound in re.finditer(r" (<=?|>=?) ", condition):
            shifted = _SHIFTED[bound.group(1)]
            yield start + bound.start(1), start + bound.end(1), f"`{_short(condition)}` {where} off by one", shifted


def _returns(source: str) -> Iterator[Patch]:
    for match in re.finditer(r"\breturn ([^;{}]+);", source):
        start, end = match.span(1)
        operands = list(_operands(source, start, end))
        for operand_start, operand_end, operand, rest in operands:
            yield operand_start, operand_end, f"`{_short(operand)}` dropped in `{_function(source, start)}`", rest
        if not operands and re.search(r" (==|!=|<|>|<=|>=) ", _top(source[start:end])):
            yield start, end, f"`{_short(match.group(1))}` in `{_function(source, start)}` made true", "true"


def _operands(source: str, start: int, end: int) -> Iterator[tuple[int, int, str, str]]:
    """Each operand of a conjunction or disjunction with what neutralises it."""
    flat = _top(source[start:end])
    for sign, neutral in ((" && ", "true"), (" || ", "false")):
        cuts = [match.span() for match in re.finditer(re.escape(sign.strip()), flat)]
        if not cuts:
            continue
        edges = [0, *(edge for cut in cuts for edge in cut), len(flat)]
        for left, right in zip(edges[::2], edges[1::2], strict=True):
            yield start + left, start + right, source[start + left : start + right].strip(), f" {neutral} "


def _top(text: str) -> str:
    """The text with everything inside brackets blanked."""
    depth, out = 0, []
    for character in text:
        depth -= character in ")]}"
        out.append(" " if depth else character)
        depth += character in "([{"
    return "".join(out)


def _closing(source: str, opening: int) -> int:
    depth = 0
    for place in range(opening, len(source)):
        depth += (source[place] in _CLOSED) - (source[place] in _CLOSED.values())
        if depth == 0:
            return place
    raise ValueError("brackets do not close")


def _opening(source: str, closing: int) -> int:
    depth = 0
    for place in range(closing, -1, -1):
        depth += (source[place] in _CLOSED.values()) - (source[place] in _CLOSED)
        if depth == 0:
            return place
    raise ValueError("brackets do not open")


def _function(source: str, place: int) -> str:
    """The function or constructor around a place, or before it."""
    names = re.findall(r"\bfunction (\w+)|\b(constructor)\b", source[:place])
    return next(part for part in names[-1] if part) if names else "the file"


def _short(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
