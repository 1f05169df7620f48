"""The cast: people and things whose cases come out in a known way, as `cast.yaml` has them.

Groups of fields that `world` has a type of its own for are kept as read here; `cast_world` turns them into it for a day.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.domain.errors import Invalid
from orchestrator.domain.texts import Text

Days = Annotated[int, Field(ge=-40000, le=40000)]
"""Days from the day of seeding."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    expected: tuple[str, ...] = ()
    """Scenario (S1–S7) and how a case with it comes out."""
    facts: Text | None = None


class CastSpan(BaseModel):
    """Something that holds from a day on."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    since: Days
    until: Days | None = None
    cause: str = ""


class CastCard(BaseModel):
    """The term of an id card; no end: 长期."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    begin: Days = Field(alias="from")
    until: Days | None


class CastInsurance(BaseModel):
    """`paid` months in a row that end `skip` months before last month; `earlier` months before a gap of half a year."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    paid: int
    skip: int = 0
    earlier: int = 0
    arrears: int = 0
    insured: bool = False
    pension: bool = False


class CastPerson(_Entry):
    """A person of the cast."""

    name: str
    """As the person writes it."""
    number: str
    registered_name: str | None = None
    household: str = "110108"
    former_name: str = ""
    moved: Days | None = None
    moved_from: str = ""
    marital: str = "10"
    spouse: str | None = None
    divorced: bool = False
    relation: str = "02"
    in_register: bool = True
    died: Days | None = None
    card: CastCard = CastCard.model_validate({"from": -1200, "until": 2450})
    permit: dict[str, Any] | None = None
    insurance: CastInsurance | None = None
    registration: dict[str, Any] | None = None
    termination: dict[str, Any] | None = None
    benefit: dict[str, Any] | None = None
    purchase: dict[str, Any] | None = None
    barred: CastSpan | None = None
    debtor: CastSpan | None = None
    shop: str | None = None


class CastPatent(BaseModel):
    """A patent of a company of the cast."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    number: str
    title: str
    name: str | None = None
    """The name it is registered under, where that is not the company's."""
    uscc: bool = True
    """False: the row has no USCC."""


class CastCompany(_Entry):
    """A company of the cast."""

    name: str
    uscc: str
    representative: str
    """Key of a person."""
    trade: Literal["art", "exhibition", "technology"]
    former_name: str = ""
    established: Days = -1500
    state: str = "1"
    district: str = "110108"
    abnormal: CastSpan | None = None
    serious: CastSpan | None = None
    culture: CastSpan | None = None
    tax_state: str | None = "03"
    overdue: Decimal = Decimal(0)
    returns: dict[str, Decimal] | None = None
    return_years_ago: int = 1
    """Which year's return that is: last year's, or an older one when last year's is missing."""
    hitech: dict[str, Any] | None = None
    patents: tuple[CastPatent, ...] = ()


class CastPremises(_Entry):
    """Premises of the cast."""

    unit: str
    title: str = ""
    owners: tuple[str, ...] = ()
    """Keys of people or companies."""
    owner_name: str | None = None
    """The name the title register has, where that is not the owner's."""
    use: str = "住宅"
    nature: str = "商品房"
    area: Decimal = Decimal("80.00")
    in_force: bool = True
    mortgaged: bool = False
    restricted: bool = False
    seized: bool = False
    objection: bool = False
    notice: bool = False
    locked: bool = False
    residence: bool = False
    acceptance: dict[str, Any] | None = None
    permit: dict[str, Any] | None = None
    lease: dict[str, Any] | None = None
    civil_defence: dict[str, Any] | None = None
    basement: dict[str, Any] | None = None
    enforcement: dict[str, Any] | None = None


class CastContract(_Entry):
    """An online contract of the cast, with its deed tax."""

    number: str
    premises: str
    sellers: tuple[str, ...]
    buyers: tuple[str, ...]
    price: Decimal
    in_force: bool = True
    tax: str | None = "1"


class CastLaboratory(_Entry):
    """A laboratory of the cast."""

    name: str
    number: str
    issued: Days
    until: Days


class Awkward(BaseModel):
    """An unhappy path, the fixtures that lead along it, and where they lead."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Text
    fixtures: tuple[str, ...]
    expected: tuple[str, ...]


class Cast(BaseModel):
    """Everybody and everything of the cast, by key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    people: Mapping[str, CastPerson]
    companies: Mapping[str, CastCompany]
    premises: Mapping[str, CastPremises]
    contracts: Mapping[str, CastContract]
    laboratories: Mapping[str, CastLaboratory]
    awkward: tuple[Awkward, ...]

    def owner(self, key: str) -> tuple[str, str]:
        """Name and number of a person or company. Raises Invalid for an unknown key."""
        if key in self.people:
            return self.people[key].name, self.people[key].number
        if key in self.companies:
            return self.companies[key].name, self.companies[key].uscc
        raise _bad(key, "there is no such person or company")


def read_cast(text: str) -> Cast:
    """The cast of a YAML text. Raises Invalid naming the field."""
    try:
        return Cast.model_validate(yaml.safe_load(text))
    except (yaml.YAMLError, ValidationError) as error:
        first = error.errors()[0] if isinstance(error, ValidationError) else None
        field = ".".join(str(part) for part in first["loc"]) if first else "document"
        raise _bad(field, first["msg"] if first else str(error)) from error


def _bad(field: str, message: str) -> Invalid:
    return Invalid(
        field=f"cast.{field}",
        code="bad-cast",
        detail="演示人物文件有误",
        detail_en=f"The cast is wrong here: {message}",
        remedy="见 cast.yaml 开头的说明 / see the head of cast.yaml",
    )
