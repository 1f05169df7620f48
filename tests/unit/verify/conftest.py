"""A consortium whose chain knows one approved case of the gallery's lead."""

from __future__ import annotations

import time

import pytest

from orchestrator.domain.case import Status
from orchestrator.verify.trust import KeptKeys, Trust
from tests.support.consortium import Consortium, make_consortium
from tests.support.credentials import CASE, NOW, Issued, by


@pytest.fixture(scope="module")
def consortium() -> Consortium:
    return make_consortium()


@pytest.fixture
def lead(consortium: Consortium) -> int:
    consortium.chain.settle(CASE, Status.APPROVED, 2, consortium.binding.number)
    return consortium.binding.approvers[0]


@pytest.fixture
def made(consortium: Consortium, lead: int) -> Issued:
    """A credential of that case by the lead's key."""
    return by(consortium, lead)


@pytest.fixture
def online(consortium: Consortium) -> Trust:
    """A reader with a node."""
    return Trust(now=NOW, chain=consortium.chain)


@pytest.fixture
def offline(consortium: Consortium) -> Trust:
    """A reader with keys that were kept."""
    kept = KeptKeys.of(consortium.chain.domain("CaseLedger"), int(time.time()), consortium.seats.values())
    return Trust(now=NOW, kept=kept)
