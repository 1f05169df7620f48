"""A person at the identity seat, as a program: it gets the pages that a browser gets, as JSON, and posts the same forms.

`Applicant` signs in and authorises for one person; co-consenters are further browsers. Used by the demo and by tests; an
assistive client could work the same way.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from types import TracebackType
from typing import Any, Final, Self
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx

from orchestrator.domain.errors import Invalid, Refused, Unavailable
from orchestrator.identity.accounts import DEVELOPMENT_PASSCODE

MAX_STEPS: Final = 40
_JSON: Final = {"Accept": "application/json"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """Where the flow sent the person in the end."""

    url: str
    code: str
    """Empty when the person refused."""
    state: str
    error: str
    """`access_denied` when the person refused, else empty."""


class Applicant:
    """One person's browser. Use as an async context manager, or `close` it."""

    def __init__(
        self,
        number: str,
        passcode: str = DEVELOPMENT_PASSCODE,
        *,
        timeout: float = 30.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.number = number
        self.passcode = passcode
        self._timeout = timeout
        self._transport = transport
        self._http = httpx.AsyncClient(timeout=timeout, transport=transport, trust_env=False, verify=_trusted())

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def sign_in(self, authorize_url: str) -> Returned:
        """Follows a mere sign-in to its end. Raises Invalid or Refused with what the page said."""
        return await self.authorise(authorize_url)

    async def authorise(
        self,
        authorize_url: str,
        *,
        subjects: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
        consenters: Mapping[str, str] | None = None,
        decline: Sequence[str] = (),
        face: bool = True,
        agree: bool = True,
        binds: Mapping[str, Any] | None = None,
    ) -> Returned:
        """Signs in, fills in `subjects` ({role: [{id, name, type?, attributes?}]}), agrees, signs.

        `consenters` gives passcodes by citizen number for those who must co-consent (None: the development passcode for
        all); `decline` names evidence items to decline; `face` False takes another way than the face check; `agree`
        False refuses at the notice. `binds` is what must come under the signature (`form`: hash, `delivery` and `holder`: thumbprints).
        Raises Invalid or Refused with what the page said, Refused (code `not-what-was-sent`) when something else would be
        signed, Unavailable without an answer.
        """
        page, view = await self.open(authorize_url)
        for _ in range(MAX_STEPS):
            if view["step"] == "confirm" and any(view["binds"][name] != value for name, value in (binds or {}).items()):
                raise Refused(
                    "待签署的内容不是您提交的内容",
                    code="not-what-was-sent",
                    detail_en="what would be signed is not what was sent",
                    remedy="不要签署,并告知门户运营方 / do not sign, and tell the portal's operator",
                )
            fields = await self._fields(view, subjects or {}, consenters, decline, face, agree)
            answer = await self.post(page, view, fields)
            if isinstance(answer, Returned):
                return answer
            view = answer
        raise Refused("授权流程没有结束", code="endless-flow", detail_en="the flow does not come to an end")

    async def open(self, authorize_url: str) -> tuple[str, dict[str, Any]]:
        """Opens a flow: the address of its page, and the first view."""
        answer = await self._request("GET", authorize_url)
        if answer.status_code != 303:
            raise _problem(answer)
        page = urljoin(authorize_url, answer.headers["location"])
        return page, await self.view(page)

    async def view(self, page: str) -> dict[str, Any]:
        """The view of a page."""
        answer = await self._request("GET", page)
        if answer.status_code != 200:
            raise _problem(answer)
        return answer.json()  # type: ignore[no-any-return]

    async def post(
        self, page: str, view: Mapping[str, Any], fields: Mapping[str, str | list[str]]
    ) -> dict[str, Any] | Returned:
        """Posts a form of a view. Raises Invalid or Refused with the first error of the page that comes back."""
        answer = await self._request("POST", urljoin(page, view["action"]), data={"csrf": view["csrf"], **fields})
        if answer.status_code == 303:
            return _returned(answer.headers["location"])
        if answer.status_code == 200:
            return answer.json()  # type: ignore[no-any-return]
        raise _problem(answer)

    async def consent(self, link: str, *, agree: bool = True) -> dict[str, Any]:
        """Answers a co-consenter's link; the last view. Raises Invalid (other-person) for somebody else's link."""
        view = await self.view(link)
        if view["step"] == "sign-in":
            fields = {"action": "sign-in", "number": self.number, "passcode": self.passcode}
            view = _a_view(await self.post(link, view, fields))
        if view["step"] == "notice":
            view = _a_view(await self.post(link, view, {"action": "agree" if agree else "refuse"}))
        return view

    async def _fields(
        self,
        view: Mapping[str, Any],
        subjects: Mapping[str, Sequence[Mapping[str, Any]]],
        consenters: Mapping[str, str] | None,
        decline: Sequence[str],
        face: bool,
        agree: bool,
    ) -> dict[str, str | list[str]]:
        """What to post at a step."""
        actions = [action["name"] for action in view["actions"]]
        match view["step"]:
            case "sign-in":
                return {"action": "sign-in", "number": self.number, "passcode": self.passcode}
            case "subjects":
                return {"action": "subjects", **subject_fields(subjects)}
            case "co-consent":
                await self._ask_consent(view, subjects, consenters)
                return {"action": "refresh"}
            case "notice":
                return {"action": "agree", "decline": list(decline)} if agree else {"action": "refuse"}
            case "face":
                return {"action": "face" if face and "face" in actions else "other-way"}
            case _:
                return {"action": "confirm"}

    async def _ask_consent(
        self,
        view: Mapping[str, Any],
        subjects: Mapping[str, Sequence[Mapping[str, Any]]],
        consenters: Mapping[str, str] | None,
    ) -> None:
        for consent in view["consents"]:
            if consent["state"] != "waiting":
                continue
            number = str(subjects[consent["role"]][consent["index"]]["id"])
            passcode = DEVELOPMENT_PASSCODE if consenters is None else consenters.get(number)
            if passcode is None:
                raise Refused("缺少其他当事人的同意", code="no-consent", detail_en="somebody's consent is missing")
            async with Applicant(number, passcode, timeout=self._timeout, transport=self._transport) as other:
                await other.consent(consent["url"])

    async def _request(self, method: str, url: str, **content: Any) -> httpx.Response:
        try:
            return await self._http.request(method, url, headers=_JSON, **content)
        except httpx.HTTPError as error:
            raise Unavailable(
                "身份席位没有应答", code="identity-down", detail_en="the identity seat does not answer"
            ) from error


@cache
def _trusted() -> ssl.SSLContext:
    """The certificates that are trusted, read once: reading them takes longer than a page."""
    return httpx.create_ssl_context(trust_env=False)


def subject_fields(subjects: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, str | list[str]]:
    """The form fields of subjects given as {role: [{id, name, type?, attributes?}]}."""
    fields: dict[str, str | list[str]] = {}
    for role, listed in subjects.items():
        for index, subject in enumerate(listed):
            for name in ("type", "id", "name"):
                if subject.get(name) is not None:
                    fields[f"{role}.{index}.{name}"] = str(subject[name])
            for name, value in (subject.get("attributes") or {}).items():
                text = str(value).lower() if isinstance(value, bool) else str(value)
                fields[f"{role}.{index}.attributes.{name}"] = text
    return fields


def _returned(url: str) -> Returned:
    query = parse_qs(urlsplit(url).query)
    return Returned(
        url=url,
        code=query.get("code", [""])[0],
        state=query.get("state", [""])[0],
        error=query.get("error", [""])[0],
    )


def _a_view(answer: dict[str, Any] | Returned) -> dict[str, Any]:
    if isinstance(answer, Returned):
        raise Refused("流程已离开本页", code="left", detail_en="the page sent us elsewhere")
    return answer


def _problem(answer: httpx.Response) -> Invalid | Refused | Unavailable:
    """Our own error from a view with errors or from a problem document."""
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if answer.status_code >= 500:
        return Unavailable(
            body.get("detail", "身份席位出错"), code="identity-down", detail_en="the identity seat failed"
        )
    first = (body.get("errors") or [{}])[0]
    detail = first.get("detail") or body.get("detail") or "身份席位拒绝了请求"
    detail_en = first.get("detail_en") or body.get("detail_en") or f"HTTP {answer.status_code}"
    code = first.get("code") or body.get("code") or "refused"
    remedy = first.get("remedy", "")
    if first.get("field"):
        return Invalid(field=first["field"], detail=detail, detail_en=detail_en, remedy=remedy, code=code)
    return Refused(detail, code=code, detail_en=detail_en, remedy=remedy)
