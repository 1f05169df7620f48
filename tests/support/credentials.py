"""A credential as a department issues it, without a running department: for whoever reads, shows, prints or checks one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import cache
from typing import Any

from orchestrator.domain.credential_type import integrity, type_document
from orchestrator.domain.identifiers import credential_identifier
from orchestrator.protocol.credential import Presentation, issue_credential, open_credential
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.sealing import SealingKey
from orchestrator.scenarios import shipped
from tests.support.consortium import Consortium

NOW = int(time.time())
"""The moment at which all tests of one run issue and check: none depends on how long the others took."""
USCC = "11110108MBXY00036B"
CASE = "0x" + "ca" * 32
LEDGER, CHAIN = "0x" + "1a" * 20, 31337
PLACES = ("kty", "crv", "x", "y")


def public(key: SigningKey) -> dict[str, str]:
    """A key as an application names it."""
    return {name: key.jwk[name] for name in PLACES}


@cache
def gallery_type() -> bytes:
    """The type metadata of the gallery's credential."""
    return type_document(shipped("open-gallery"))


def claims(uscc: str = USCC) -> dict[str, Any]:
    """What such a credential says."""
    type_code = f"{uscc}001"
    return {
        "licence_name": "艺术品经营单位备案证明",
        "licence_type_code": type_code,
        "licence_number": "京海艺备2026000001",
        "licence_identifier": credential_identifier(type_code, uscc, "2026000001", "001"),
        "issuer_name": "海淀区文化和旅游局",
        "issuer_code": uscc,
        "issue_date": "2026-11-23",
        "holder_name": "海淀墨白画廊有限公司",
        "holder_code": "91110108MBXYE0016D",
        "holder_code_kind": "统一社会信用代码",
        "valid_from": "2026-11-23",
        "valid_to": "长期",
        "scope": "110108",
        "entity_name": "海淀墨白画廊有限公司",
        "legal_representative": "陈画",
        "premises": "北京市海淀区中关村大街27号1层101",
        "business_scope": "艺术品经营;组织文化艺术交流活动",
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Issued:
    """A credential with everything that its holder has."""

    whole: Presentation
    issuer: SigningKey
    holder: SigningKey


def issued(**changes: Any) -> Issued:
    """A credential of seat 3 over `CASE`; `changes` replace what it is issued with, `more` adds claims."""
    issuer, holder, delivery = changes.pop("key", SigningKey.generate()), SigningKey.generate(), SealingKey.generate()
    fields: dict[str, Any] = {
        "seat": 3,
        "vct": "urn:lianban:credential:open-gallery:1",
        "integrity": integrity(gallery_type()),
        "case": CASE,
        "ledger": LEDGER,
        "chain_id": CHAIN,
        "claims": claims() | changes.pop("more", {}),
        "delivery": delivery.jwk,
        "holder": public(holder),
        "iat": NOW - 60,
        "exp": None,
        "key": issuer,
    } | changes
    made = issue_credential(**fields)
    disclosures = tuple(open_credential(made, fields["case"], delivery))
    return Issued(whole=Presentation(jwt=made.jwt, disclosures=disclosures), issuer=issuer, holder=holder)


def by(consortium: Consortium, number: int, **changes: Any) -> Issued:
    """A credential of `CASE` by a seat's evidence key, on the consortium's chain."""
    ledger = consortium.chain.domain("CaseLedger")
    fields = {
        "seat": number,
        "key": consortium.keys[number].evidence,
        "ledger": ledger.contract,
        "chain_id": ledger.chain_id,
        "more": claims(consortium.seat(number).keyset.uscc),
    }
    return issued(**fields | changes)
