"""An officer's side of the desk: signs every request, and every decision on its own, with a key that the seat certified."""

from __future__ import annotations

import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import httpx

from orchestrator.domain.canonical import b64
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.gateway.desk import REQUEST_TYP
from orchestrator.protocol.contest import reason_document
from orchestrator.protocol.countersign import Word, sign_countersign
from orchestrator.protocol.jose import SigningKey, sign_jws
from orchestrator.protocol.mandate import salted_hash
from orchestrator.protocol.officer import (
    CorrectionOutcome,
    sign_correction_decision,
    sign_decision,
    sign_proposal_decision,
)
from orchestrator.protocol.verdict import Outcome
from orchestrator.protocol.wire import seat_ref


class OfficerClient:
    """One officer at one seat's desk."""

    def __init__(self, http: httpx.AsyncClient, *, endpoint: str, seat: int, key: SigningKey, certificate: str) -> None:
        self._http = http
        self._endpoint = endpoint
        self.seat = seat
        self._key = key
        self._certificate = certificate

    async def queue(self) -> list[dict[str, Any]]:
        """Cases that wait for an officer: {case, sequence, mandate, scenario, proposed, rows, materials_wanted, since,
        awaits, sent_back}; `awaits` is {officer, outcome, rows, reason, materials_wanted, decision, at} or None."""
        found: list[dict[str, Any]] = (await self._post("queue", {}))["cases"]
        return found

    async def look(self, case: str) -> dict[str, Any]:
        """A dossier, opened. The look is written down at the seat."""
        return await self._post("case", {"case": case})

    async def decide(
        self,
        item: Mapping[str, Any],
        outcome: Outcome,
        reason: str,
        *,
        rows: Sequence[str] | None = None,
        materials_wanted: Sequence[str] = (),
    ) -> dict[str, Any]:
        """Decides a case of the queue, by its present number; `rows` are those that count (default: all that were hit)."""
        decision = sign_decision(
            case=item["case"],
            sequence=item["sequence"],
            outcome=outcome,
            rows=item["rows"] if rows is None else rows,
            reason=reason,
            iat=int(time.time()),
            key=self._key,
        )
        return await self._post(
            "decisions",
            {"mandate": item["mandate"], "decision": decision, "materials_wanted": list(materials_wanted)},
        )

    async def countersign(self, item: Mapping[str, Any], outcome: Word, reason: str) -> dict[str, Any]:
        """A second officer's word on the decision that a case of the queue waits with (its `awaits`)."""
        word = sign_countersign(
            case=item["case"],
            sequence=item["sequence"],
            decision=item["awaits"]["decision"],
            outcome=outcome,
            reason=reason,
            iat=int(time.time()),
            key=self._key,
        )
        return await self._post("countersigns", {"case": item["case"], "countersign": word})

    async def corrections(self) -> list[dict[str, Any]]:
        """What applicants contest of the department's answers and nobody has replied to, the most urgent first:
        {contest, case, item, index, claims, since, reply_by, overdue}."""
        found: list[dict[str, Any]] = (await self._post("corrections", {}))["corrections"]
        return found

    async def correction(self, contest: str) -> dict[str, Any]:
        """One contest, opened: {why, attachments, subject, answered, question, attempt, …}. The look is written down."""
        return await self._post("corrections/one", {"contest": contest})

    async def reply(self, contest: str, outcome: CorrectionOutcome, reason: str) -> dict[str, Any]:
        """Replies to a contest, with the reason for applicant and approvers. `corrected` takes the answers back, so the
        record is corrected before."""
        salt = secrets.token_bytes(32)
        word = sign_correction_decision(
            contest=contest,
            outcome=outcome,
            reason=salted_hash(salt, reason_document(reason)),
            iat=int(time.time()),
            key=self._key,
        )
        payload = {"contest": contest, "correction": word, "reason": reason, "salt": b64(salt)}
        return await self._post("corrections/replies", payload)

    async def replay(self, case: str) -> dict[str, Any]:
        """The case decided once more at the seat: see `gateway/replay.py: report`. The look is written down."""
        return await self._post("replay", {"case": case})

    async def reviews(self) -> list[dict[str, Any]]:
        """Decisions that rest on recalled answers: {case, recall, sequence, status, seat, reason, answers, since,
        awaits}; `awaits` is the officer who has spoken and waits for a second one, {officer, act, reason}, or None."""
        found: list[dict[str, Any]] = (await self._post("reviews", {}))["reviews"]
        return found

    async def uphold(self, case: str, reason: str) -> dict[str, Any]:
        """Lets a decision stand although answers under it were recalled: by the recalls that are to be reviewed now."""
        recalls = [each["recall"] for each in await self.reviews() if each["case"] == case]
        payload = {"act": "uphold", "case": case, "recalls": recalls, "reason": reason}
        return await self._post("reviews/close", payload)

    async def revoke(self, case: str, reason: str) -> dict[str, Any]:
        """Orders the revocation of an approval that the seat leads."""
        return await self._post("revocations", {"act": "revoke", "case": case, "reason": reason})

    async def proposals(self) -> list[dict[str, Any]]:
        """What the seat is asked to sign and waits for an officer: the proposal's fields with {hash, asker, since}."""
        found: list[dict[str, Any]] = (await self._post("proposals", {}))["proposals"]
        return found

    async def proposal(self, proposal: str, *, against: str | None = None) -> dict[str, Any]:
        """A proposal by its hash with its documents and those that it is compared with (the version `against` if given):
        {proposal, definition, texts, before, decisions}. Whoever reads it hashes it: see `gateway/reading.py`."""
        return await self._post("proposals/one", {"proposal": proposal, "against": against})

    async def decide_proposal(
        self, proposal: str, outcome: Literal["approve", "decline"], reason: str
    ) -> dict[str, Any]:
        """The officer's word on a proposal, by its hash."""
        decision = sign_proposal_decision(
            proposal=proposal, outcome=outcome, reason=reason, iat=int(time.time()), key=self._key
        )
        return await self._post("proposals/decisions", {"decision": decision})

    async def _post(self, path: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        now = int(time.time())
        request = sign_jws(
            {
                "certificate": self._certificate,
                "aud": seat_ref(self.seat),
                "jti": secrets.token_urlsafe(16),
                "iat": now,
                "exp": now + 60,
                **payload,
            },
            typ=REQUEST_TYP,
            key=self._key,
        )
        try:
            response = await self._http.post(f"{self._endpoint}/desk/{path}", json={"request": request})
        except httpx.HTTPError as error:
            raise Unavailable(
                "网关没有响应", detail_en="the gateway does not answer", code="gateway-unreachable"
            ) from error
        answer: dict[str, Any] = response.json()
        if response.status_code >= 400:
            errors = answer.get("errors") or [{}]
            raise Refused(
                str(answer.get("detail", "")),
                detail_en=str(answer.get("detail_en", "")),
                code=str(answer.get("code", "")),
                remedy=str(errors[0].get("remedy", "")),
            )
        return answer
