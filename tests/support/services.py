"""What people apply for in tests: scenarios that ship, with situation, form, subjects and materials that pass."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from orchestrator.domain.identifiers import bank_card_problem
from orchestrator.protocol.material import Material
from tests.support.consortium import GALLERY_ITEMS, GALLERY_SUBJECTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What somebody applies with in one scenario when nothing stands in the way."""

    scenario: str
    items: Sequence[str]
    """Evidence that the mandate covers."""
    subjects: Mapping[str, Sequence[tuple[str, str, str, Mapping[str, Any]]]]
    situation: Mapping[str, Any]
    form: Mapping[str, Any]
    materials: Sequence[Material] = ()


def paper(name: str, **fields: Any) -> Material:
    """A material as an applicant brings it."""
    return Material(
        id=name, filename=f"{name}.pdf", media_type="application/pdf", content=name.encode(), fields=dict(fields)
    )


GALLERY = Service(
    scenario="open-gallery",
    items=GALLERY_ITEMS,
    subjects=GALLERY_SUBJECTS,
    situation={
        "decoration_area_m2": "280.00",
        "handler_household": "beijing",
        "handled_by": "self",
        "premises_tenure": "owned",
    },
    form={"legal_representative": "陈画", "sells_relics": False, "imports_exports": False},
    materials=[paper("art-business-filing-form"), paper("premises-proof")],
)
"""A gallery of up to 300 m² in owned premises, handled by its legal representative from Beijing."""

HALL = Service(
    scenario="open-exhibition-hall",
    items=(
        "E05.company",
        "E05.company.representative",
        "E06.company",
        "E01.handler",
        "E09.premises",
        "E13.premises",
        "E17.premises",
        "E18.laboratory",
    ),
    subjects={
        **GALLERY_SUBJECTS,
        "premises": [("unit", "110108900900GB00001F00000001", "", {})],
        "laboratory": [("laboratory", "CMA-1", "", {"report_date": "2026-01-10"})],
    },
    situation={"premises_space": "above-ground", "handled_by": "self"},
    form={
        "floor_area_m2": "500.00",
        "person_in_charge": "陈画",
        "uses_central_air": False,
        "fire_route": "commitment",
    },
    materials=[
        paper("joint-application"),
        paper("floor-plans"),
        paper("safety-and-hygiene-rules"),
        paper("hygiene-test-report", issued_on=(date.today() - timedelta(days=20)).isoformat(), result="pass"),
    ],
)
"""An exhibition hall above ground, which fire rescue (lead) and health decide together."""

REGISTRATION = Service(
    scenario="employment-unemployment-registration",
    items=("E25.applicant", "E28.applicant"),
    subjects={"applicant": [("citizen", "110199199607180153", "孙足月", {})]},
    situation={"direction": "unemployment", "holds_registration_certificate": False, "household": "beijing"},
    form={},
    materials=[paper("registration-form"), paper("photo")],
)
"""A registration of unemployment, of which only what its pushes ask is covered."""

CARD = next(f"622202020011223{digit}" for digit in "0123456789" if bank_card_problem(f"622202020011223{digit}") is None)
"""A bank card number that nobody has."""

BENEFIT = Service(
    scenario="unemployment-benefit-claim",
    items=("E01.claimant", "E27.claimant", "E28.claimant", "E25.claimant", "E24.claimant", "E26.claimant"),
    subjects={"claimant": [("citizen", "110199199607180153", "孙足月", {})]},
    situation={},
    form={
        "bank_account": {"holder": "孙足月", "bank": "某银行海淀支行", "number": CARD},
        "pay_to_social_security_card": False,
    },
)
"""A claim of unemployment benefit; a mandate needs `face` beside it."""

VALUES: dict[str, Any] = {
    "contribution_months": 26,
    "building_area": "280.00",
    "covered_area": "280.00",
}
"""What values say unless a test says otherwise."""
