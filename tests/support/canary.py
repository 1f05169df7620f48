"""Residents whose every field is a marker: the cast once more, with other names, numbers and everything else of its own.

Each marker knows which departments' records hold it. Rules see the same facts as for the cast, so its applicants can apply.
"""

from __future__ import annotations

import random
import re
import string
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import psycopg
import yaml
from psycopg import sql

from orchestrator.database import with_database
from orchestrator.demo.applicants import DemoApplicant
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import Entry, Question
from orchestrator.gateway.adapter import Adapter
from orchestrator.scenarios import FOLDER
from orchestrator.seeding.cast import Cast, read_cast
from orchestrator.seeding.cast_world import cast_world
from orchestrator.seeding.databases import database_of
from orchestrator.seeding.numbers import citizen_number, credit_code, title_number, unit_code
from orchestrator.seeding.rows import TABLES
from tests.support.search import WINDOW, Needle, digests_of, needles_of

POLICY = Path(__file__).parents[1] / "acceptance" / "data" / "canary.yaml"
NEAR = timedelta(days=60)
"""Days so near are left as they are: rules count them."""

_CREDIT = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_BASIC_DAY = re.compile(r"(18|19|20|21)\d{6}")
_CODE = re.compile(r"[0-9A-Za-z.-]*[0-9][0-9A-Za-z.-]*")
_WIDTH = re.compile(r"(?:var)?char\((\d+)\)")
_SCALE = re.compile(r"numeric\(\d+,(\d+)\)")

Kind = Literal["citizen", "uscc", "unit", "title", "contract", "laboratory", "name", "text", "day", "number"]
_WEAK = ("day", "number")
"""Kinds that count only where no letter or digit stands beside them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """Something that stands in one resident's records or form and nowhere else in the world."""

    text: str
    kind: Kind
    name: str = ""
    """Of an identifier: the name of whose it is."""

    def needles(self) -> Iterator[Needle]:
        """All forms of it that must not be found, digests included for what identifies."""
        for written in _written(self):
            for needle in needles_of(written, alone=self.kind in _WEAK):
                yield Needle(marker=self.text, form=needle.form, data=needle.data, alone=needle.alone)
        if self.kind not in ("text", *_WEAK):
            yield from digests_of(self.kind, self.text, self.name)


def _written(marker: Marker) -> Iterator[str]:
    yield marker.text
    if marker.kind == "day":
        day = date.fromisoformat(marker.text)
        yield f"{day:%Y%m%d}"
        yield f"{day.year}年{day.month}月{day.day}日"
        yield f"{day:%Y/%m/%d}"


@dataclass(slots=True, kw_only=True)
class Canary:
    """The marked residents and where their markers may be."""

    seed: int
    day: date
    markers: dict[str, Marker] = field(default_factory=dict)
    """By text."""
    holders: dict[str, set[str]] = field(default_factory=dict)
    """Department -> texts of the markers in its records."""
    rows: dict[str, dict[str, list[tuple[Any, ...]]]] = field(default_factory=dict)
    """Department -> table -> rows."""
    names: dict[str, str] = field(default_factory=dict)
    """Text of the cast -> the marker that stands for it."""
    people: list[tuple[str, str]] = field(default_factory=list)
    """Number and name of everybody who signs in."""

    def needles(self) -> Iterator[Needle]:
        """All needles of all markers."""
        for marker in self.markers.values():
            yield from marker.needles()


class Marking:
    """Makes markers; the same seed makes the same ones."""

    def __init__(self, canary: Canary, *, seed: str = "records") -> None:
        self._canary = canary
        self._random = random.Random(f"{canary.seed} {seed}")
        self._linked: dict[tuple[str, Any], Any] = {}

    # parts of markers

    def word(self, length: int = 6) -> str:
        """Chinese characters that nobody ever put side by side."""
        return "".join(chr(self._random.randrange(0x4E00, 0x9FA6)) for _ in range(length))

    def digits(self, length: int) -> str:
        return "".join(self._random.choices(string.digits, k=length - 1)) + self._random.choice("123456789")

    def code(self, length: int) -> str:
        return "".join(self._random.choices("ACDEFGHJKLMNPQRTUWXY" + string.digits, k=length))

    def day(self, old: date) -> date:
        """A day on the same side of today, in a time that no other record is of; near days stay."""
        if abs(old - self._canary.day) <= NEAR:
            return old
        first = date(1801, 1, 1) if old < self._canary.day else date(2101, 1, 1)
        while True:
            found = first + timedelta(days=self._random.randrange(17_000))
            if found.isoformat() not in self._canary.markers:
                return found

    def number(self, old: Decimal, scale: int) -> Decimal:
        """A number near a large one, so that ratios hold, or a large one for a small one."""
        unit = Decimal(1).scaleb(-scale)
        low, high = (old, old * Decimal("1.01")) if old >= 100_000 else (Decimal(200_000), Decimal(900_000))
        steps = self._random.randrange(int(low / unit), int(high / unit))
        return (Decimal(steps - steps % 10 + self._random.randrange(1, 10)) * unit).quantize(unit)

    def keep(self, text: str, kind: Kind, name: str = "") -> str:
        """Writes a marker down."""
        self._canary.markers.setdefault(text, Marker(text=text, kind=kind, name=name))
        return text

    # values of records

    def value(self, table: str, column: str, type_: str, old: Any, policy: Mapping[str, Any]) -> Any:
        """What stands in a column of a marked resident."""
        if isinstance(old, str):
            old = self._canary.names.get(old, old)
            if all(part in self._canary.markers for part in old.split(",")):
                return old
        if column in policy["keep"].get(table, ()) or old is None:
            return old
        if old == "" and column in policy["empty"].get(table, ()):
            return old
        if column in policy["extend"].get(table, ()):
            return old.replace("；", f"；{self.keep(self.word(), 'text')}；", 1)
        if column in policy["links"]:
            if (column, old) not in self._linked:
                self._linked[column, old] = self.keep(self.digits(12), "text")
            return self._linked[column, old]
        if isinstance(old, date):
            return date.fromisoformat(self._dated(old))
        if isinstance(old, Decimal):
            scale = _SCALE.fullmatch(type_)
            return Decimal(self.keep(str(self.number(old, int(scale[1]) if scale else 2)), "number"))
        width = _WIDTH.fullmatch(type_)
        return self._text(str(old), int(width[1])) if width and int(width[1]) >= WINDOW else old

    def _dated(self, old: date) -> str:
        day = self.day(old)
        return day.isoformat() if day == old else self.keep(day.isoformat(), "day")

    def _text(self, old: str, width: int) -> str:
        if _BASIC_DAY.fullmatch(old):
            day = date(int(old[:4]), int(old[4:6]), int(old[6:]))
            if any(number[6:14] == old for number, _ in self._canary.people):
                return self.keep(day.isoformat(), "day").replace("-", "")
            return self._dated(day).replace("-", "")
        if width == WINDOW:  # a day that is none, or none yet
            return old
        if _CODE.fullmatch(old):
            return self.keep(self.digits(width) if old.isdigit() else self.code(max(WINDOW + 2, len(old))), "text")
        return self.keep(self.word(min(6, width)), "text")

    # the cast

    def rename(self, cast: Mapping[str, Any]) -> None:
        """A marker for each name and number of the cast."""
        known = self._canary.names
        for person in cast["people"].values():
            name = known[person["name"]] = self.keep(self.word(4), "name")
            number = known[person["number"]] = self._citizen(person["number"])
            self.keep(number, "citizen", name)
            self._canary.people.append((number, name))
            for other in ("registered_name", "former_name"):
                if person.get(other):
                    known[person[other]] = self.keep(self.word(4), "name")
            if person.get("shop"):
                known[person["shop"]] = self.keep(self._credit(person["shop"]), "uscc")
        for company in cast["companies"].values():
            for each in (company["name"], company.get("former_name")):
                if each and each not in known:
                    known[each] = self.keep(each[:2] + self.word() + each[-6:], "name")
            known[company["uscc"]] = self.keep(self._credit(company["uscc"]), "uscc", known[company["name"]])
        for premises in cast["premises"].values():
            unit = unit_code(int(self.digits(5)), int(self.digits(8)))
            known[premises["unit"]] = self.keep(unit, "unit")
            if premises.get("title"):
                title = title_number(self._random.randrange(1990, 2020), int(self.digits(7)))
                known[premises["title"]] = self.keep(title, "title")
        for contract in cast["contracts"].values():
            known[contract["number"]] = self.keep("WQ" + self.digits(10), "contract")
        for laboratory in cast["laboratories"].values():
            known[laboratory["name"]] = self.keep(self.word() + "检验有限公司", "name")
            known[laboratory["number"]] = self.keep(self.digits(12), "laboratory", known[laboratory["name"]])

    def _citizen(self, old: str) -> str:
        born = date(int(old[6:10]), int(old[10:12]), int(old[12:14])) - timedelta(days=self._random.randrange(1, 28))
        while True:
            number = citizen_number(born, self._random.randrange(500) * 2 + int(old[16]) % 2)
            if number not in self._canary.markers:
                return number

    def _credit(self, old: str) -> str:
        return credit_code(old[:2], old[2:8], "MC" + "".join(self._random.choices(_CREDIT, k=6)))


def marked_residents(adapters: Mapping[str, Adapter], day: date, *, seed: int) -> Canary:
    """The cast with a marker in every field, dealt out into the departments' tables."""
    policy = yaml.safe_load(POLICY.read_text("utf-8"))
    canary = Canary(seed=seed, day=day)
    marking = Marking(canary)
    document = yaml.safe_load((FOLDER / "cast.yaml").read_text("utf-8"))
    marking.rename(document)
    world = cast_world(_marked_cast(document, canary.names), day)
    for department, adapter in adapters.items():
        for table, spec in adapter.tables().items():
            if table not in TABLES:
                continue
            dealt = TABLES[table]
            types = [spec.columns[column].type for column in dealt.columns]
            marked = [
                tuple(
                    marking.value(table, column, type_, old, policy)
                    for column, type_, old in zip(dealt.columns, types, row, strict=True)
                )
                for row in dealt.rows(world)
            ]
            canary.rows.setdefault(department, {})[table] = marked
    _find_holders(canary)
    return canary


def _marked_cast(document: Mapping[str, Any], known: Mapping[str, str]) -> Cast:
    return read_cast(yaml.safe_dump(replaced(document, known), allow_unicode=True))


def replaced(value: Any, known: Mapping[str, str]) -> Any:
    """The value with every text of the cast as its marker; keys stay."""
    if isinstance(value, Mapping):
        return {name: replaced(each, known) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [replaced(each, known) for each in value]
    return known.get(value, value) if isinstance(value, str) else value


def _find_holders(canary: Canary) -> None:
    """Which department holds which marker: read off the rows themselves."""
    for department, tables in canary.rows.items():
        held = canary.holders.setdefault(department, set())
        for rows in tables.values():
            for row in rows:
                for value in row:
                    text = _iso(value)
                    if text in canary.markers:
                        held.add(text)
                    else:
                        held |= {part for part in re.split("[,；]", text) if part in canary.markers}


def _iso(value: Any) -> str:
    text = str(value)
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if _BASIC_DAY.fullmatch(text) else text


def seed_records(admin_dsn: str, canary: Canary, adapters: Mapping[str, Adapter]) -> None:
    """Adds the marked residents to the departments' records, beside whoever is there."""
    for department, tables in canary.rows.items():
        with psycopg.connect(with_database(admin_dsn, database_of(department))) as connection:
            for table, rows in tables.items():
                names = sql.SQL(", ").join(map(sql.Identifier, TABLES[table].columns))
                statement = sql.SQL("copy {} ({}) from stdin").format(sql.Identifier(table), names)
                with connection.cursor().copy(statement) as copy:
                    for row in rows:
                        copy.write_row(row)


def marked_applicant(applicant: DemoApplicant, scenario: Scenario, canary: Canary, marking: Marking) -> DemoApplicant:
    """A demo applicant as the marked resident: subjects renamed, every value of the form a marker."""
    for subjects in applicant.walk.subjects.values():
        for subject in subjects:
            if subject["type"] == "name" and subject["id"] not in canary.names:
                name = subject["id"]
                canary.names[name] = marking.keep(name[:2] + marking.word() + name[-6:], "name")
    kept = set(yaml.safe_load(POLICY.read_text("utf-8"))["form"]["keep"])
    entries = {question.id: question for question in scenario.questions if question.sees == "approver"}
    form = {name: _filled(entries[name], value, kept, canary, marking) for name, value in applicant.walk.form.items()}
    walk = replace(applicant.walk, form=form, subjects=replaced(applicant.walk.subjects, canary.names))
    return replace(applicant, person=canary.names[applicant.person], walk=walk)


def _filled(entry: Question | Entry, value: Any, kept: set[str], canary: Canary, marking: Marking) -> Any:
    if entry.id in kept:
        return value
    if isinstance(value, str) and value in canary.names:
        return canary.names[value]
    if entry.type == "list" and isinstance(entry, Question):
        if not entry.fields:
            return [*value, marking.keep(marking.word(), "text")]
        fields = {each.id: each for each in entry.fields}
        return [
            {name: _filled(fields[name], each, kept, canary, marking) for name, each in record.items()}
            for record in value
        ]
    if entry.type == "bank_account":
        account = marking.keep(bank_card(marking.digits(17)), "text")
        return {
            "holder": canary.names[value["holder"]],
            "bank": marking.keep(marking.word(), "text"),
            "number": account,
        }
    if entry.type in ("decimal", "money"):
        return marking.keep(str(marking.number(Decimal(value), 2)), "number")
    if entry.type == "date":
        day = marking.day(date.fromisoformat(value))
        return marking.keep(day.isoformat(), "day") if day.isoformat() != value else value
    return marking.keep(marking.word(), "text") if entry.type == "text" else value


def bank_card(body: str) -> str:
    """A bank card number with its check digit (ISO/IEC 7812) after `99` and the given digits."""
    digits = "99" + body[2:] + "0"
    doubled = [int(digit) * (2 if place % 2 else 1) for place, digit in enumerate(reversed(digits))]
    total = sum(value - 9 if value > 9 else value for value in doubled)
    return digits[:-1] + str(-total % 10)
