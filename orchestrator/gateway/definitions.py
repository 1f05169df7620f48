"""Scenario documents, and what a seat signs about them: publications, texts, bindings, retirements.

A department's chain key signs a binding only after its gateway has read the definition, found every claim that it would have
to answer in its own adapter, and its policy or an officer of the department lets it (`gateway/proposals.py`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import orjson
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from orchestrator.domain.canonical import canonical, from_hex, to_hex
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.scenario_parts import EvidenceItem
from orchestrator.domain.suite import HASH_WORD, hash_of
from orchestrator.gateway import proposals
from orchestrator.gateway.adapter import Adapter, SqlEvidence
from orchestrator.gateway.requests import SignedBody, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.protocol.ports import BindingView, ChainView, SeatView, provider_of
from orchestrator.protocol.proposal import Kind, Proposal, Seats, seats_of
from orchestrator.protocol.sheet import (
    Binding,
    binding_digest,
    publication_digest,
    retirement_digest,
    texts_digest,
)
from orchestrator.protocol.wire import BindingNumber, Hex32, SeatNumber, Seconds, WireModel, read_model

router = APIRouter()

MOST_BYTES: Final = 1024 * 1024
"""Bytes of a definition or texts document at most."""

MOST_UNSIGNED: Final = 1_000
"""Scenario versions up to which a store takes further ones that no member has signed for."""


class Documents(BaseModel):
    """The two documents of a scenario version."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    definition: dict[str, Any]
    texts: dict[str, Any]


class BindingTerms(WireModel):
    """A binding as it is proposed for signature."""

    version: Hex32
    region: str
    identity: SeatNumber
    operator: SeatNumber
    approvers: list[SeatNumber]
    providers: list[SeatNumber]
    valid_until: Seconds

    def binding(self) -> Binding:
        """The terms as the contracts know them."""
        return Binding(
            version=from_hex(self.version),
            region=int(self.region),
            identity=self.identity,
            operator=self.operator,
            approvers=tuple(self.approvers),
            providers=tuple(self.providers),
            valid_until=self.valid_until,
        )


class BindingProposal(WireModel):
    """Body of a request of kind `binding`."""

    definition: dict[str, Any]
    texts: dict[str, Any]
    binding: BindingTerms


class PublicationProposal(WireModel):
    """Body of a request of kind `publication`, or of kind `texts` when `revision` is given."""

    definition: dict[str, Any]
    texts: dict[str, Any]
    revision: int | None = None
    """One more than the version's present revision of texts."""


class RetirementProposal(WireModel):
    """Body of a request of kind `retirement`."""

    binding: BindingNumber


@router.put("/{department}/definitions/{version}")
async def put_definition(version: str, documents: Documents, seat: CurrentSeat) -> dict[str, str]:
    """Keeps the documents of a scenario version under their hash. Nobody signs for this, so there is room for so many."""
    scenario = await keep(seat, documents.definition, documents.texts, version, room=MOST_UNSIGNED)
    return {"version": scenario.version, "texts": scenario.texts_hash}


@router.post("/{department}/bindings/signature")
async def sign_binding(request: SignedBody, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """Signs a binding that names this seat, when the operator asks, everything fits and the department agrees."""
    asker, _ = await read_signed(request, "binding", seat, chain)
    body = read_model(BindingProposal, request.body, code="bad-request")
    terms = body.binding
    scenario = await keep(seat, body.definition, body.texts, terms.version)
    check_terms(terms, scenario, now=int(time.time()))
    if asker.number != terms.operator:
        raise Refused(
            "只有落地的经办方可以征集签署", detail_en="only the operator may ask for it", code="asker-not-named"
        )
    binding = terms.binding()
    if seat.number not in binding.named:
        raise Refused("该落地未涉及本席位", detail_en="the binding does not name this seat", code="not-named")
    if terms.identity == seat.number and "identity" not in {key["use_for"] for key in seat.keyset.keys}:
        raise Refused("本席位没有身份密钥", detail_en="this seat has no identity key", code="no-such-key")
    check_claims(asked_of(seat.number, scenario, terms), seat.adapter())
    await check_published(scenario, chain)
    proposal = propose("binding", scenario, seat.number, chain, seats=seats_of(binding))
    return await _sign(proposal, binding_digest(chain.domain("Catalog"), binding), seat, asker, request)


@router.post("/{department}/publications/signature")
async def sign_publication(request: SignedBody, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """Signs a scenario version, or new texts of one, with this seat as publisher, when the department agrees."""
    asker, _ = await read_signed(request, "publication", seat, chain)
    body = read_model(PublicationProposal, request.body, code="bad-request")
    scenario = await keep(seat, body.definition, body.texts)
    domain, version, texts = chain.domain("Catalog"), from_hex(scenario.version), from_hex(scenario.texts_hash)
    if body.revision is None:
        proposal = propose("publication", scenario, seat.number, chain)
        digest = publication_digest(domain, scenario.id, version, texts, seat.number)
    elif 0 < body.revision < 1 << 32:
        proposal = propose("texts", scenario, seat.number, chain, revision=body.revision)
        digest = texts_digest(domain, version, texts, body.revision, seat.number)
    else:
        raise Invalid(field="revision", detail="修订号超出范围", detail_en="the revision is out of range")
    return await _sign(proposal, digest, seat, asker, request)


@router.post("/{department}/retirements/signature")
async def sign_retirement(request: SignedBody, seat: CurrentSeat, chain: Chain) -> dict[str, Any]:
    """Signs the end of a binding for new cases, when its operator asks and the department agrees.

    The department itself asks nobody: `lianban gateway retire`.
    """
    asker, _ = await read_signed(request, "retirement", seat, chain)
    number = read_model(RetirementProposal, request.body, code="bad-request").binding
    binding = await chain.binding(number)
    if asker.number != binding.operator or seat.number not in binding.named:
        raise Refused("该落地未涉及双方", detail_en="the binding does not name both seats", code="asker-not-named")
    proposal = await retirement(binding, seat.number, chain)
    return await _sign(proposal, retirement_digest(chain.domain("Catalog"), number, seat.number), seat, asker, request)


def propose(kind: Kind, scenario: Scenario, seat: int, chain: ChainView, **more: Any) -> Proposal:
    """What a seat is asked to sign about a scenario."""
    return Proposal(
        seat=seat,
        chain=chain.chain_id,
        catalog=chain.domain("Catalog").contract,
        kind=kind,
        scenario=scenario.id,
        version=scenario.version,
        texts=scenario.texts_hash,
        **more,
    )


async def retirement(binding: BindingView, seat: int, chain: ChainView) -> Proposal:
    """The end of a binding for new cases, as a seat that it names would sign it. All of it is on chain."""
    scenario, texts, _ = await chain.version(binding.version)
    return Proposal(
        seat=seat,
        chain=chain.chain_id,
        catalog=chain.domain("Catalog").contract,
        kind="retirement",
        scenario=scenario,
        version=binding.version,
        texts=texts,
        binding=binding.number,
        seats=Seats(
            region=binding.region,
            identity=binding.identity,
            operator=binding.operator,
            approvers=binding.approvers,
            providers=binding.providers,
        ),
    )


async def check_published(scenario: Scenario, chain: ChainView) -> None:
    """Raises Refused unless the version is on chain with these texts: what people here read is what its publisher signed."""
    published, texts, _ = await chain.version(scenario.version)
    if (published, texts) != (scenario.id, scenario.texts_hash):
        raise Refused(
            "该版本或其文本尚未发布",
            detail_en="this version, or its texts, are not published",
            code="not-published",
            remedy="先运行 lianban scenario publish / publish it first",
        )


async def keep(
    seat: Seat,
    definition: dict[str, Any],
    texts: dict[str, Any],
    version: str | None = None,
    *,
    room: int | None = None,
) -> Scenario:
    """Keeps two documents and returns their scenario. Raises Invalid unless they are one, of `version` when given.

    With `room`, a new version is refused (code `too-many`) when the store holds that many.
    """
    try:
        document, words = canonical(definition), canonical(texts)
    except ValueError as error:
        raise Invalid(field="definition", detail="数字无法精确表示", detail_en="a number is not exact") from error
    if max(len(document), len(words)) > MOST_BYTES:
        raise Invalid(
            field="definition",
            detail="场景文件过大",
            detail_en=f"a scenario document has at most {MOST_BYTES} bytes",
            code="too-large",
        )
    if version is not None and to_hex(hash_of(document)) != version:
        raise Invalid(
            field="definition",
            detail=f"定义文件与版本号({HASH_WORD})不符",
            detail_en=f"the definition's {HASH_WORD} is not the version",
            remedy="按规范化 JSON 重新计算 / hash the canonical JSON",
            code="wrong-version",
        )
    # Parsed from its bytes: what is kept is what will be read again.
    scenario = Scenario.from_documents(orjson.loads(document), orjson.loads(words))
    await seat.store.keep_definition(hash_of(document), document, hash_of(words), words, room=room)
    seat.scenarios.add(scenario, scenario.version)
    return scenario


def check_terms(terms: BindingTerms, scenario: Scenario, *, now: int) -> None:
    """Raises Invalid unless a binding's terms fill the roles of its scenario."""
    faults = {
        "approvers": len(terms.approvers) == len(scenario.approvers) and len(set(terms.approvers)) > 0,
        "providers": len(terms.providers) == len(scenario.providers),
        "operator": terms.operator != terms.identity and terms.operator not in terms.approvers,
        "region": len(terms.region) == 6 and terms.region.isascii() and terms.region.isdigit(),
        "valid_until": now < terms.valid_until <= now + proposals.LONGEST_PROPOSAL,
    }
    for field, right in faults.items():
        if not right:
            raise Invalid(
                field=f"binding.{field}",
                detail="落地条款与场景的角色不符",
                detail_en="the terms do not fill the scenario's roles",
                remedy="核对各角色席位、地区与有效期 / check seats, region and term",
            )


def asked_of(number: int, scenario: Scenario, terms: BindingTerms) -> list[EvidenceItem]:
    """The evidence items that a seat would have to answer under a binding."""
    return [
        item for item in scenario.evidence if item.source == "gateway" and provider_of(item, scenario, terms) == number
    ]


def check_claims(items: Sequence[EvidenceItem], adapter: Adapter) -> None:
    """Raises Invalid naming the first evidence or claim that a department's adapter does not have."""
    for item in items:
        evidence = adapter.evidence.get(item.type)
        for claim in item.claims:
            if evidence is None or not fits(claim.claim, claim.params, evidence):
                raise Invalid(
                    field=f"evidence.{item.id}.{claim.key}",
                    detail="本部门没有该核验项,或参数不符",
                    detail_en="this department has no such claim, or not with these parameters",
                    remedy="补充适配文件或修改场景 / extend the adapter or change the scenario",
                    code="unknown-claim",
                )


def fits(claim: str, given: Sequence[str] | Mapping[str, Any], evidence: SqlEvidence) -> bool:
    """Whether an evidence type of records makes a claim with parameters of these names."""
    known = evidence.claims.get(claim)
    if known is None or evidence.source != "record":
        return False
    return set(known.params) <= set(given) <= {*known.params, *known.optional}


async def _sign(proposal: Proposal, digest: bytes, seat: Seat, asker: SeatView, request: SignedBody) -> dict[str, Any]:
    """Signs, once the department's policy or an officer lets it."""
    by_person = await proposals.clear(proposal, seat, asker=asker.number, request=request.request)
    return await proposals.sign(
        proposal, digest, seat, asker=asker.number, request=request.request, by_person=by_person
    )
