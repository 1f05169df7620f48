"""A person's own pages at the identity seat (我的数据): who asked about them, and their consents, to be withdrawn.

Nobody sends the person here and nobody carries what is shown: whoever operates the portal takes no part, and cannot prevent it.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import httpx

from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.identity import looks, pages
from orchestrator.identity.deliveries import Deliveries, Delivery
from orchestrator.identity.mandates import make_withdrawal, sign
from orchestrator.identity.notice import Words
from orchestrator.identity.seat import IdentitySeat
from orchestrator.identity.store import SignedMandate

WITHDRAWAL_FORMAT: Final = "lianban-withdrawal-1"
IDENTIFIER: Final = "citizen"
"""Kind of the identifier that an account stands for, as mandates name it."""
TITLE: Final[Words] = {"zh": "我的数据", "en": "My data"}
_TITLES: Final[dict[str, Words]] = {"sign-in": {"zh": "登录", "en": "Sign in"}, "mydata": TITLE}


@dataclass(frozen=True, slots=True, kw_only=True)
class MyData:
    """What the pages work with."""

    seat: IdentitySeat
    http: httpx.AsyncClient
    """To the departments' gateways."""

    @property
    def deliveries(self) -> Deliveries:
        """Deliveries and visits in the store."""
        return Deliveries(self.seat.store.pool)

    async def visitor(self, cookie: str) -> str | None:
        """The account that this browser is signed in to."""
        return await self.deliveries.visitor(cookie, self.seat.now()) if cookie else None

    async def sign_in(self, number: str, passcode: str) -> str:
        """Lets a person in; the cookie for their browser. Raises Invalid and Refused as `IdentityStore.sign_in`."""
        now = self.seat.now()
        account = await self.seat.store.sign_in(
            number.strip().upper()[:40], passcode[:200], now=now, profile=self.seat.profile
        )
        cookie = secrets.token_urlsafe(32)
        await self.deliveries.begin_visit(cookie, account.number, now)
        return cookie

    async def looked(self, account: str) -> looks.Findings:
        """Asks every department who asked about the person."""
        return await looks.find(self.seat, self.http, IDENTIFIER, account)

    async def withdraw(self, account: str, case: str) -> None:
        """Signs the withdrawal of one's own case and puts it on its way. Raises Refused (not-found, mandate-superseded)."""
        newest = await self._newest(account, case)
        if newest.kind == "withdrawal":
            raise _withdrawn_before()
        now = self.seat.now()
        signed = sign(make_withdrawal(newest, jti=secrets.token_urlsafe(16), now=now), self.seat.key)
        kept = SignedMandate(
            hash=signed.hash,
            case_id=case,
            previous=newest.hash,
            account=account,
            kind="withdrawal",
            binding=newest.binding,
            signed_at=now,
            terms=signed.terms,
        )
        await self.seat.store.add_mandate(kept, signed.jws)
        self.seat.signed.set()

    async def receipt(self, account: str, case: str) -> dict[str, Any]:
        """The file that proves a withdrawal: the withdrawal as it was signed, and every acknowledgement so far."""
        newest = await self._newest(account, case)
        told = (await self.deliveries.of([newest.hash])).get(newest.hash, [])
        if newest.kind != "withdrawal" or not told:
            raise Refused("该办件没有撤回授权", detail_en="this case was not withdrawn", code="not-withdrawn")
        ledger = self.seat.chain.domain("CaseLedger")
        return {
            "format": WITHDRAWAL_FORMAT,
            "chain": {"id": ledger.chain_id, "ledger": ledger.contract},
            "mandate": told[0].jws,
            "named": [each.seat for each in told],
            "acknowledgements": [
                each.acknowledgement.model_dump(mode="json") for each in told if each.acknowledgement is not None
            ],
        }

    async def cases(self, account: str) -> list[dict[str, Any]]:
        """One's own cases, newest first: what was signed, and what of it each department has acknowledged."""
        chains: dict[str, list[SignedMandate]] = {}
        for mandate in await self.seat.store.mandates_of(account):
            chains.setdefault(mandate.case_id, []).append(mandate)
        told = await self.deliveries.of([each.hash for chain in chains.values() for each in chain])
        names = {view.number: view.keyset.name for view in await self.seat.chain.seats()}
        shown = [await self._case(case, chain, told, names) for case, chain in chains.items()]
        return sorted(shown, key=lambda each: -int(each["signed_at"]))

    async def _case(
        self,
        case: str,
        chain: Sequence[SignedMandate],
        told: Mapping[str, Sequence[Delivery]],
        names: Mapping[int, Words],
    ) -> dict[str, Any]:
        followed = {each.previous for each in chain}
        newest = next(each for each in reversed(chain) if each.hash not in followed)
        binding = await self.seat.chain.binding(newest.binding)
        published, texts, _ = await self.seat.chain.version(binding.version)
        try:
            name = (await self.seat.scenario(binding.version, texts)).name
        except Invalid:  # its newest texts are not here yet
            title: Words = {"zh": published, "en": published}
        else:
            title = {"zh": name.zh, "en": name.en}
        return {
            "case": case,
            "scenario": published,
            "title": title,
            "signed_at": chain[0].signed_at,
            "withdrawn_at": newest.signed_at if newest.kind == "withdrawal" else None,
            "deliveries": [
                {
                    "kind": each.kind,
                    "label": pages.KINDS[each.kind],
                    "department": names.get(one.seat, {"zh": f"席位 {one.seat}", "en": f"seat {one.seat}"}),
                    "seat": one.seat,
                    "at": one.acknowledgement.at if one.acknowledgement else None,
                    "index": one.acknowledgement.index if one.acknowledgement else None,
                    "attempts": one.attempts,
                    "error": one.error,
                }
                for each in chain
                for one in told.get(each.hash, ())
            ],
        }

    async def _newest(self, account: str, case: str) -> SignedMandate:
        newest = await self.seat.store.newest_mandate(case)
        if newest is None or newest.account != account:
            raise _no_case()
        return newest


def _no_case() -> Refused:
    return Refused(
        "您没有这一办件,或它不是由您授权的",
        code="not-found",
        detail_en="You have no such case, or it was not you who authorised it",
        remedy="办件编号见“我的授权” / the cases you authorised are listed under My consents",
    )


def _withdrawn_before() -> Refused:
    return Refused(
        "该办件的授权此前已撤回",
        code="mandate-superseded",
        detail_en="This case's authorisation was withdrawn before",
        remedy="各部门是否收到,见“我的授权”;送达回执可保存 / "
        "My consents shows which departments have it; their acknowledgements can be saved",
    )


def sign_in_view(*, development: bool) -> pages.View:
    """Number and passcode, on a person's own pages."""
    view = pages.sign_in_view(development=development)
    return {**view, "actions": [view["actions"][0]], **_EMPTY}


async def main_view(
    data: MyData, account: str, findings: looks.Findings | None = None, errors: Sequence[LianbanError] = ()
) -> pages.View:
    """The person's cases and, where they asked for it, who asked about them."""
    view: pages.View = {
        "step": "mydata",
        "title": TITLE,
        "paragraphs": [PROVEN, NOT_PROVEN],
        "groups": [],
        "notice": [],
        "consents": [],
        "actions": [],
        "errors": [],
        "cases": await data.cases(account),
        "looks": None,
        "silent": [],
    }
    if findings is not None:
        view["looks"] = await looks.lines(findings, data.seat)
        view["silent"] = [
            {"department": each.seat.keyset.name, "error": each.error} for each in findings.seats if each.error
        ]
    return pages.with_errors(view, errors)


PROVEN: Final[Words] = {
    "zh": "下列查询由各部门自己的查询日志给出:每条有询问方的签名、部门的签名和日志证明;标“已上链”的,日志头已锚定在链上,"
    "部门不能再删改。可保存文件,用 lianban verify 自行核验。",
    "en": "What is listed comes from each department's own query log: signed by who asked, signed by the department, with a proof "
    "of its place in the log. Where it says “on chain”, the log's head is anchored there and the department cannot change it any "
    "more. Save the file and check it yourself with lianban verify.",
}
NOT_PROVEN: Final[Words] = {
    "zh": "不能证明的:部门与询问方串通、答复而不登记的,这里看不到;部门内部人员直接查看自己的记录,也不在此列。",
    "en": "What cannot be proven: a department that answers somebody and does not log it leaves nothing here; nor is it listed when "
    "its own staff look at its own records.",
}
_EMPTY: Final[dict[str, Any]] = {"cases": [], "looks": None, "silent": []}
