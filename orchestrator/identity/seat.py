"""The identity seat as its own process sees it: key, store, chain, clients, and what a flow is about.

The seat holds the identity key and nothing else of its department: records and gateway may be down while people sign in.
"""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from orchestrator.domain.calendar import Calendar
from orchestrator.domain.canonical import b64, canonical, to_hex
from orchestrator.domain.catalogue import Catalogue
from orchestrator.domain.errors import Invalid, Refused, Unavailable
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.suite import HASH_WORD, hash_of, mac
from orchestrator.identity.face import FaceCheck
from orchestrator.identity.flow import Flow, MandateRequest, Step
from orchestrator.identity.mandates import Place
from orchestrator.identity.needs import Needs, needs_of
from orchestrator.identity.notice import NoticeLine, Words, notice
from orchestrator.identity.oidc import Client, pairwise_subject
from orchestrator.identity.store import IdentityStore
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.keyset import SeatKeys
from orchestrator.protocol.ports import BindingView, ChainView, Heads

MAX_SCENARIOS: Final = 256
"""Parsed scenarios kept in memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What a mandate flow is about. It stays the same for the whole flow, except that a binding may be retired."""

    request: MandateRequest
    needs: Needs
    place: Place

    def name(self, seat: int) -> Words:
        """The seat's name as its keyset on chain says it."""
        return self.place.seats[seat].keyset.name

    def operator(self) -> Words:
        return self.name(self.place.binding.operator)

    def approvers(self) -> list[Words]:
        return [self.name(seat) for seat in self.place.binding.approvers]

    def step(self, flow: Flow, now: int) -> Step | None:
        """The step that the flow is in."""
        face = self.needs.face_item()
        return flow.step(asks_face=face is not None and face not in flow.declined, now=now)


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentitySeat:
    """One identity seat and what it works with. Made by `open_identity_seat`."""

    issuer: str
    """The web origin, without a slash at the end: the `iss` of id tokens."""
    number: int
    keys: SeatKeys
    store: IdentityStore
    chain: ChainView
    clients: Mapping[str, Client]
    face: FaceCheck
    catalogue: Catalogue
    """Names of evidence and claims for the notice."""
    calendar: Calendar
    """Working days: until when a department replies to a contest."""
    profile: str
    now: Callable[[], int]
    """Seconds UTC."""
    secrets: Mapping[str, bytes]
    heads: Heads | None = None
    """What the chain has of the departments' query logs; None where nobody looks at it."""
    signed: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when something was signed that may have to be delivered."""
    _scenarios: dict[tuple[str, str], Scenario] = field(default_factory=dict)

    @property
    def key(self) -> SigningKey:
        """The identity key in force, as far as this process has followed."""
        return self.keys.identity

    async def follow(self) -> None:
        """Signs from now on with the key that the chain has for the seat; while no node answers, as before."""
        with suppress(Unavailable):
            self.keys.follow(await self.chain.seat(self.number))

    async def put_definition(self, version: str, definition: Any, texts: Any) -> None:
        """Keeps a definition and its texts for later flows.

        Raises Invalid unless they describe a scenario and `version` is the definition's hash, Refused (unknown-version)
        unless that version was published on chain.
        """
        scenario = Scenario.from_documents(definition, texts)
        if to_hex(hash_of(canonical(definition))) != version:
            raise Invalid(
                field="version",
                detail="定义与版本号不符",
                detail_en=f"the version is not the {HASH_WORD} of the definition",
                remedy=f"版本号是定义规范 JSON 的 {HASH_WORD} / the version is the {HASH_WORD} of the canonical definition",
            )
        published, _, _ = await self.chain.version(version)
        if published != scenario.id:
            raise _not_published()
        await self.store.put_definition(
            version, orjson.dumps(definition).decode(), scenario.texts_hash, orjson.dumps(texts).decode()
        )

    async def scenario(self, version: str, texts_hash: str) -> Scenario:
        """The scenario of a version with the texts of a hash. Raises Invalid when they were not put here."""
        known = self._scenarios.get((version, texts_hash))
        if known is not None:
            return known
        definition, texts = await self.store.definition(version), await self.store.texts(texts_hash)
        if definition is None or texts is None:
            raise Invalid(
                field="binding",
                detail="身份席位没有该版本的场景定义或文本",
                detail_en="the identity seat does not have this version's definition or texts",
                remedy=f"PUT /definitions/{version}",
                code="unknown-version",
            )
        scenario = Scenario.from_documents(definition, texts)
        if len(self._scenarios) >= MAX_SCENARIOS:
            self._scenarios.clear()
        self._scenarios[version, texts_hash] = scenario
        return scenario

    async def context(self, flow: Flow) -> Context:
        """What a mandate flow is about. Raises Invalid or Refused when chain or definition do not allow it."""
        request = flow.mandate
        if request is None:
            raise out_of_step()
        binding = await self.chain.binding(request.binding)
        scenario = await self.scenario(flow.version, flow.texts)
        needs = needs_of(scenario, binding, request.situation.values)
        return Context(request=request, needs=needs, place=await self._place(binding))

    async def _place(self, binding: BindingView) -> Place:
        seats = {number: await self.chain.seat(number) for number in sorted(binding.named)}
        return Place(binding=binding, ledger=self.chain.domain("CaseLedger"), seats=seats)

    def notice(self, context: Context) -> tuple[NoticeLine, ...]:
        """The lines of the notice that everybody of this flow reads."""
        return notice(context.needs, {seat: context.name(seat) for seat in context.place.seats}, self.catalogue)

    def subject(self, client: str, account: str) -> str:
        """The pairwise subject of an account for a client."""
        return pairwise_subject(self.secrets["pairwise"], client, account)

    def form_token(self, cookie: str) -> str:
        """What a form of this browser must carry (CSRF)."""
        return self._mac("form", cookie)

    def check_form_token(self, cookie: str, token: str) -> None:
        """Raises Refused (forged-form) when a form did not come from our own page in this browser."""
        if not hmac.compare_digest(self.form_token(cookie).encode(), token.encode()):
            raise Refused(
                "表单已失效,请刷新页面",
                code="forged-form",
                detail_en="The form is not from this page; reload it",
                remedy="刷新页面 / reload the page",
            )

    def link_token(self, flow: Flow, number: int) -> str:
        """What makes a co-consenter's link unguessable; bound to the round, so that older links stop working."""
        return self._mac("link", f"{flow.id}\0{flow.round}\0{number}")

    def _mac(self, name: str, message: str) -> str:
        return b64(mac(self.secrets[name], message.encode()))


async def open_identity_seat(
    *,
    issuer: str,
    number: int,
    keys: SeatKeys,
    store: IdentityStore,
    chain: ChainView,
    clients: Mapping[str, Client],
    face: FaceCheck,
    catalogue: Catalogue,
    calendar: Calendar,
    profile: str,
    now: Callable[[], int],
    heads: Heads | None = None,
) -> IdentitySeat:
    """The seat with its store's secrets read."""
    return IdentitySeat(
        issuer=issuer,
        number=number,
        keys=keys,
        store=store,
        chain=chain,
        clients=clients,
        face=face,
        catalogue=catalogue,
        calendar=calendar,
        profile=profile,
        now=now,
        heads=heads,
        secrets={name: await store.secret(name) for name in ("pairwise", "form", "link")},
    )


def out_of_step() -> Refused:
    """That an action does not belong to the flow's present step."""
    return Refused(
        "当前步骤不能执行该操作",
        code="out-of-step",
        detail_en="This action does not belong to the present step",
        remedy="请按页面提示继续 / go on as the page says",
    )


def unknown_flow() -> Refused:
    """That a flow does not exist for this browser, or no longer."""
    return Refused(
        "授权请求不存在、已使用或已过期",
        code="not-found",
        detail_en="This request does not exist, was used or has expired",
        remedy="请回到门户重新发起 / go back to the portal and begin again",
    )


def _not_published() -> Refused:
    return Refused(
        "该版本未在链上发布",
        code="unknown-version",
        detail_en="nobody published this version on chain",
        remedy="请先发布 / publish it first",
    )
