"""A small consortium for tests: the departments that ship with real keys, one scenario bound, mandates on request.

Everything in it is real but the chain (`MemoryChain`) and the identity seat's pages: mandates are signed with the identity
seat's own key, subjects sealed to the seats that need them.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.scenario import Scenario
from orchestrator.protocol.jose import jws_hash
from orchestrator.protocol.keyset import Keyset, SeatKeys, generate_seat_keys
from orchestrator.protocol.mandate import (
    ChainRef,
    Consent,
    EvidenceGrant,
    Mandate,
    Subject,
    SubjectSlot,
    case_id,
    salted_hash,
    seal_subject,
    sign_mandate,
)
from orchestrator.protocol.ports import BindingView, SeatView
from orchestrator.protocol.question import Question
from orchestrator.protocol.sealing import SealingKey
from orchestrator.protocol.wire import new_jti, seat_ref
from orchestrator.scenarios import load_catalogue, read_data, shipped
from tests.support.chain import MemoryChain

GALLERY_ITEMS = (
    "E05.company",
    "E05.company.representative",
    "E06.company",
    "E30.company",
    "E01.handler",
    "E02.handler",
    "E09.premises",
    "E14.premises",
)
"""What a gallery of up to 300 m² in owned premises, handled by its legal representative from Beijing, needs."""

GALLERY_SUBJECTS: Mapping[str, Sequence[tuple[str, str, str, Mapping[str, Any]]]] = {
    "handler": [("citizen", "110199198806120116", "陈画", {})],
    "company": [("uscc", "91110108MBXYE0016D", "海淀墨白画廊有限公司", {})],
    "premises": [("title", "京(2019)海不动产权第9000001号", "", {"unit": "110108900900GB00001F00000001"})],
}


@dataclass(slots=True, kw_only=True)
class Consortium:
    """Seats with their private keys, a chain that knows them, and one scenario bound under number 1."""

    chain: MemoryChain
    keys: dict[int, SeatKeys]
    seats: dict[str, SeatView]
    """By department id."""
    catalogue: Catalogue
    scenario: Scenario
    binding: BindingView
    delivery: SealingKey = field(default_factory=SealingKey.generate)

    def mandate(
        self,
        subjects: Mapping[str, Sequence[tuple[str, str, str, Mapping[str, Any]]]] = GALLERY_SUBJECTS,
        items: Iterable[str] = GALLERY_ITEMS,
        *,
        situation: Mapping[str, Any] | None = None,
        situation_salt: bytes | None = None,
        key: Any = None,
        **changes: Any,
    ) -> str:
        """A signed mandate over `items`; `changes` replace fields of the mandate, `key` the identity key."""
        binding, now, jti = self.binding, int(time.time()), new_jti()
        granted = [self.scenario.item(item) for item in items]
        readers: dict[str, set[int]] = {role: set(binding.approvers) for role in subjects}
        grants = []
        for item in granted:
            seat = self.provider(item.id)
            grants.append(EvidenceGrant(item=item.id, seat=seat, basis=item.basis.act.zh))
            for role in (item.subject, *item.with_.values()):
                readers[role].add(seat)
        slots: dict[str, list[SubjectSlot]] = {}
        for role, rows in subjects.items():
            slots[role] = []
            for index, (kind, identity, name, attributes) in enumerate(rows):
                subject = Subject.new(type=kind, id=identity, name=name, attributes=attributes)
                sealed = {
                    str(seat): seal_subject(
                        subject, self.seat(seat).keyset.key("sealing"), jti=jti, role=role, index=index, seat=seat
                    )
                    for seat in readers[role]
                }
                slots[role].append(SubjectSlot(commitment=subject.commitment, sealed=sealed))
        fields: dict[str, Any] = {
            "iss": seat_ref(binding.identity),
            "iat": now,
            "exp": now + 400 * 86_400,
            "jti": jti,
            "kind": "grant",
            "case": None,
            "previous": None,
            "chain": ChainRef(id=self.chain.chain_id, ledger=self.chain.domain("CaseLedger").contract),
            "binding": binding.number,
            "version": binding.version,
            "texts": self.scenario.texts_hash,
            "sub": secrets.token_urlsafe(16),
            "day": datetime.now(ZoneInfo("Asia/Shanghai")).date().isoformat(),
            "askers": (binding.operator, *binding.approvers),
            "situation": salted_hash(situation_salt or secrets.token_bytes(32), dict(situation or {})),
            "form": None,
            "delivery": {name: self.delivery.jwk[name] for name in ("kty", "crv", "x")},
            "holder": None,
            "subjects": {role: tuple(some) for role, some in slots.items()},
            "evidence": tuple(grants),
            "consents": (Consent(role=next(iter(subjects)), index=0, at=now),),
            "face": None,
        }
        return sign_mandate(Mandate(**(fields | changes)), key or self.keys[binding.identity].identity)

    def following(self, first: str, kind: str, **changes: Any) -> str:
        """An amendment or withdrawal of the mandate `first`."""
        return self.mandate(**({"kind": kind, "case": case_id(first), "previous": jws_hash(first)} | changes))

    def questions(self, mandate: str, items: Iterable[str], *, purpose: Any = "decide") -> list[Question]:
        """Questions of items about the first subject of their role."""
        return [Question(mandate=jws_hash(mandate), item=item, index=0, purpose=purpose) for item in items]

    def provider(self, item: str) -> int:
        """The seat that answers an item."""
        return self.binding.providers[self.scenario.providers.index(self.scenario.item(item).provider)]

    def seat(self, number: int) -> SeatView:
        """A seat by its number, as it was admitted."""
        return next(seat for seat in self.seats.values() if seat.number == number)


def make_consortium(
    scenario: str = "open-gallery", *, endpoint: str = "http://gateway.test", version: Scenario | None = None
) -> Consortium:
    """All departments that ship as seats behind `endpoint`, with fresh keys, and a scenario bound as in Haidian."""
    catalogue = load_catalogue()
    chain = MemoryChain(chain_id=1_000 + secrets.randbelow(1_000_000))
    places = read_data("bindings/haidian.yaml")
    numbers = {profile.id: profile.seat for profile in catalogue.departments.values()}
    keys: dict[int, SeatKeys] = {}
    seats: dict[str, SeatView] = {}
    for profile in catalogue.departments.values():
        keys[profile.seat] = generate_seat_keys(identity=profile.id == places["identity"])
        keyset = Keyset(
            seat=profile.seat,
            id=profile.id,
            name={"zh": profile.name.zh, "en": profile.name.en},
            uscc=profile.uscc,
            region=profile.region,
            parent=profile.parent,
            vertical=profile.vertical,
            hosted_by=profile.hosted_by,
            endpoint=f"{endpoint}/{profile.id}",
            keys=tuple(keys[profile.seat].public_jwks()),
        )
        seats[profile.id] = chain.admit(keyset, keys[profile.seat])
    loaded = version or shipped(scenario, catalogue)
    lead = numbers[places["roles"][loaded.approvers[0]]]
    chain.publish(loaded.version, loaded.id, loaded.texts_hash, lead)
    binding = chain.bind(
        loaded.version,
        identity=numbers[places["identity"]],
        operator=numbers[places["operator"]],
        approvers=[numbers[places["roles"][role]] for role in loaded.approvers],
        providers=[numbers[places["roles"][role]] for role in loaded.providers],
    )
    return Consortium(chain=chain, keys=keys, seats=seats, catalogue=catalogue, scenario=loaded, binding=binding)
