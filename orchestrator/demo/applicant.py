"""An applicant's client: what a portal app on a person's phone does, over the same HTTP as everybody.

It signs in at the identity seat, seals form and materials to the approvers before they leave, authorises, follows the case,
brings what is asked, and opens the credential with a key that only it has.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx

from orchestrator.domain.case import Status
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.identity.client import Applicant as IdentityApplicant
from orchestrator.protocol.contest import seal_statement
from orchestrator.protocol.credential import Credential, open_credential
from orchestrator.protocol.jose import SigningKey
from orchestrator.protocol.material import Material, SealedForm, SealedMaterial, seal_form, seal_material
from orchestrator.protocol.sealing import SealingKey

POLL = 0.3
"""Seconds between two looks at a case: blocks come once a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Walk:
    """What an applicant wants: one application, as the demo file has it."""

    scenario: str
    answers: dict[str, Any]
    form: dict[str, Any] = field(default_factory=dict)
    subjects: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Role to subjects {type, id, name, attributes}."""
    materials: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Material id to the fields declared with it: what the applicant holds in hand."""
    decline: tuple[str, ...] = ()
    """Evidence items that the applicant does not consent to."""
    face: bool = True
    """False takes another way than the face check."""


class ProblemError(Refused):
    """The portal answered with problem details."""

    def __init__(self, status: int, body: Mapping[str, Any]) -> None:
        super().__init__(
            str(body.get("detail", status)),
            detail_en=str(body.get("detail_en", "")),
            code=str(body.get("code", status)),
        )
        self.status = status
        self.body = dict(body)


class ApplicantClient:
    """One signed-in person."""

    def __init__(self, http: httpx.AsyncClient, portal: str, person: IdentityApplicant) -> None:
        self._http = http
        self._portal = portal
        self._person = person
        self._token = ""
        self.delivery = SealingKey.generate()
        """Credentials are sealed to this key; it never leaves the client."""
        self.holder = SigningKey.generate()
        """Credentials are bound to this key; it never leaves the client either."""

    async def sign_in(self) -> None:
        """Signs in through the identity seat."""
        begun = await self.request("POST", "/api/v1/login", signed_in=False)
        await self._return((await self._person.sign_in(begun["authorize_url"])).url)

    async def plan(self, walk: Walk) -> dict[str, Any]:
        """What the situation means, before anything is asked."""
        return await self.request("POST", f"/api/v1/scenarios/{walk.scenario}/plan", {"answers": walk.answers})

    async def apply(self, walk: Walk, materials: Sequence[str]) -> str:
        """Prepares, authorises and submits with these materials; returns the case id."""
        content = await self._content(walk, materials)
        begun = await self.request("POST", "/api/v1/applications", {"scenario": walk.scenario, **content})
        return str((await self._authorise(begun["authorize_url"], walk, content))["case"])

    async def amend(self, case: str, walk: Walk, materials: Sequence[str]) -> None:
        """Supplements or changes a case: all materials that it now has, and the answers as they are now."""
        content = await self._content(walk, materials)
        begun = await self.request("POST", f"/api/v1/cases/{case}/amendments", content)
        await self._authorise(begun["authorize_url"], walk, content)

    async def withdraw(self, case: str) -> None:
        """Withdraws a case."""
        begun = await self.request("POST", f"/api/v1/cases/{case}/withdrawals")
        await self._return((await self._person.authorise(begun["authorize_url"])).url)

    async def contest(self, case: str, item: str, claims: Sequence[str], why: str, *, index: int = 0) -> str:
        """Contests claims of a department's answer; why is sealed to that department. The contest's name."""
        listed = await self.request("GET", f"/api/v1/cases/{case}/contests")
        (place,) = [each for each in listed["contestable"] if (each["item"], each["index"]) == (item, index)]
        statement = seal_statement(why, [], {place["seat"]: place["sealing"]})
        content = {"item": item, "index": index, "claims": list(claims), "statement": statement.model_dump()}
        begun = await self.request("POST", f"/api/v1/cases/{case}/contests", content)
        named = content | {"answer": place["answer"], "statement": statement.hash}
        returned = await self._person.authorise(begun["authorize_url"], binds={"contest": named})
        await self._return(returned.url)
        contests = (await self.request("GET", f"/api/v1/cases/{case}/contests"))["contests"]
        return str(contests[-1]["contest"])

    async def case(self, case: str) -> dict[str, Any]:
        """The case as the portal shows it."""
        return await self.request("GET", f"/api/v1/cases/{case}")

    async def settled(self, case: str, *, after: int = 0, timeout: float = 60.0) -> dict[str, Any]:
        """Waits until the case has settled with a sequence above `after`. Raises Unavailable when it takes too long."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            found = await self.case(case)
            if found["sequence"] > after and found["stage"] in ("waiting", "done"):
                return found
            await asyncio.sleep(POLL)
        raise Unavailable("办件未在预期时间内上链", detail_en=f"case {case} did not settle in time", code="too-slow")

    async def credential(self, case: str) -> tuple[str, list[str]]:
        """The credential's signed part and its opened disclosures."""
        found = await self.request("GET", f"/api/v1/cases/{case}/credential")
        credential = Credential(jwt=found["jwt"], sealed=found["sealed"])
        return credential.jwt, open_credential(credential, case, self.delivery)

    async def request(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        signed_in: bool = True,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """One request to the portal. Raises ProblemError when it says no."""
        given = dict(headers or {}) | {"accept": "application/json"}
        if signed_in and self._token:
            given["authorization"] = f"Bearer {self._token}"
        response = await self._http.request(method, self._portal + path, json=body, headers=given)
        if response.status_code >= 400:
            raise ProblemError(response.status_code, response.json())
        answer: dict[str, Any] = response.json() if response.content else {}
        return answer

    async def _content(self, walk: Walk, materials: Sequence[str]) -> dict[str, Any]:
        shown = await self.request("GET", f"/api/v1/scenarios/{walk.scenario}")
        recipients = {int(seat): jwk for seat, jwk in shown["recipients"].items()}
        sealed: list[SealedMaterial] = [
            seal_material(
                Material(
                    id=name,
                    filename=f"{name}.txt",
                    media_type="text/plain",
                    content=f"{name}\n".encode(),
                    fields=walk.materials.get(name, {}),
                ),
                recipients,
            )
            for name in materials
        ]
        form: SealedForm = seal_form(walk.form, sealed, recipients)
        return {
            "answers": walk.answers,
            "form": form.model_dump(mode="json"),
            "materials": [each.model_dump(mode="json") for each in sealed],
            "delivery": self.delivery.jwk,
            "holder": {name: self.holder.jwk[name] for name in ("kty", "crv", "x", "y")},
        }

    async def _authorise(self, url: str, walk: Walk, content: Mapping[str, Any]) -> dict[str, Any]:
        """Signs at the identity seat what was sent to the portal, and nothing else."""
        returned = await self._person.authorise(
            url,
            subjects=walk.subjects,
            decline=walk.decline,
            face=walk.face,
            binds={"form": content["form"]["hash"], "delivery": self.delivery.kid, "holder": self.holder.kid},
        )
        return await self._return(returned.url)

    async def _return(self, redirect: str) -> dict[str, Any]:
        """Comes back to the portal with what the identity seat gave."""
        response = await self._http.get(redirect, headers={"accept": "application/json"})
        if response.status_code >= 400:
            raise ProblemError(response.status_code, response.json())
        answer: dict[str, Any] = response.json()
        self._token = answer["token"]
        return answer


def outcome_of(case: Mapping[str, Any]) -> str:
    """The case's outcome in a word."""
    return Status(case["status"]).name.lower()
