"""Consents: an approver decides on no mandate that somebody who had to consent has not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.gateway.casefile import require_consents
from orchestrator.protocol.mandate import Consent, Mandate
from tests.support.consortium import Consortium, make_consortium

BUYER = ("citizen", "110199199607180153", "买方", {})
SELLERS = (("citizen", "110199198806120116", "甲", {}), ("citizen", "11019919880612021X", "乙", {}))
SPOUSE = ("citizen", "110199199607180161", "配偶", {})
MARRIED = {"handled_by": "self", "marital_status": "20"}


@pytest.fixture(scope="module")
def sale() -> Consortium:
    return make_consortium("real-estate-registration")


def check(
    sale: Consortium,
    consents: Sequence[tuple[str, int]],
    situation: Mapping[str, Any] = MARRIED,
    **roles: Sequence[tuple[str, str, str, Mapping[str, Any]]],
) -> None:
    """Checks a mandate of a sale by two sellers, with these consents and other subjects in `roles`."""
    subjects = {"buyer": [BUYER], "seller": SELLERS, "spouse": [SPOUSE]} | roles
    given = tuple(Consent(role=role, index=index, at=1) for role, index in consents)
    jws = sale.mandate(subjects, (), consents=given)
    mandate = Mandate.parse(jws, sale.seat(sale.binding.identity).keyset.key("identity"))
    lead = sale.binding.approvers[0]
    require_consents(mandate, sale.scenario, situation, seat=lead, key=sale.keys[lead].sealing)


def test_require_consents__everybody_agreed__passes(sale: Consortium) -> None:
    check(sale, [("seller", 0), ("seller", 1), ("spouse", 0)])


@pytest.mark.parametrize(
    "consents",
    [[], [("seller", 0), ("seller", 1)], [("seller", 0), ("spouse", 0)], [("buyer", 0), ("seller", 1), ("spouse", 0)]],
)
def test_require_consents__one_is_missing__refused(sale: Consortium, consents: list[tuple[str, int]]) -> None:
    with pytest.raises(Refused) as error:
        check(sale, consents)
    assert error.value.code == "consent-missing"


def test_require_consents__role_that_the_situation_does_not_have__not_asked(sale: Consortium) -> None:
    single = MARRIED | {"marital_status": "10"}
    check(sale, [("seller", 0), ("seller", 1)], single)


def test_require_consents__whoever_signs_is_a_seller_too__needs_none_of_their_own(sale: Consortium) -> None:
    others = [("seller", 1), ("spouse", 0)]
    by_agent = MARRIED | {"handled_by": "agent"}
    check(sale, others, by_agent, agent=[SELLERS[0]])
    check(sale, others, buyer=[SELLERS[0]])
    # An agent who is nobody of them speaks for nobody's consent, and who does not sign in needs to consent.
    for agent in (BUYER, SELLERS[0]):
        with pytest.raises(Refused):
            check(sale, [("seller", 1)], by_agent, agent=[agent])
    with pytest.raises(Refused):
        check(sale, others, by_agent, buyer=[SELLERS[0]], agent=[BUYER])
