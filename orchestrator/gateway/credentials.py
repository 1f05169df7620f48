"""Credentials: the lead approver issues the result of an approved case, readable by its holder alone, and serves the type
metadata that its credentials hash.

The header follows GB/T 36903 (metadata) and the identifier GB/T 36904 (check character by ISO 7064 MOD 37,36).
"""

from __future__ import annotations

import time
from calendar import timegm
from datetime import UTC, date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response
from pydantic import Field

from orchestrator.domain.cells import NOT_ASKED, UNKNOWN
from orchestrator.domain.credential_type import integrity, type_document
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.domain.identifiers import credential_identifier
from orchestrator.gateway.casefile import CaseFile, OpenCase, fetch_answers, open_cases
from orchestrator.gateway.requests import SignedBody, read_signed
from orchestrator.gateway.seat import Chain, CurrentSeat, Seat
from orchestrator.gateway.verdicts import MOST_CASES, verdicts_of
from orchestrator.protocol.credential import Credential, issue_credential
from orchestrator.protocol.jose import jws_hash, peek_jws
from orchestrator.protocol.mandate import Subject, open_subject
from orchestrator.protocol.ports import ChainView
from orchestrator.protocol.verdict import combine
from orchestrator.protocol.wire import WireModel, read_model
from orchestrator.rules.inputs import rule_values

router = APIRouter()

BEIJING = ZoneInfo("Asia/Shanghai")
HOLDER_KINDS = {"citizen": "公民身份号码", "uscc": "统一社会信用代码"}


class CredentialCase(CaseFile):
    """An approved case with the verdicts of all approvers."""

    verdicts: list[str]


class CredentialsBody(WireModel):
    """Body of a request of kind `credentials`."""

    cases: list[CredentialCase] = Field(max_length=MOST_CASES)


@router.post("/{department}/credentials")
async def credentials(request: SignedBody, seat: CurrentSeat, chain: Chain, http: Request) -> dict[str, Any]:
    """Credentials of approved cases: `{"credentials": [{case, credential, sealed}], "types": [document…], "refused": […]}`.

    A verdict has one credential: asked again, the same one comes.
    """
    asker, _ = await read_signed(request, "credentials", seat, chain)
    body = read_model(CredentialsBody, request.body, code="bad-request")
    now = int(time.time())
    opened = await open_cases(body.cases, seat=seat, chain=chain, reader=http.app.state.mandates, asker=asker, now=now)
    good = [case for case in opened.values() if isinstance(case, OpenCase)]
    await fetch_answers(good, seat=seat, chain=chain, client=http.app.state.clients[seat.id], now=now)
    verdicts = {case.case: case.verdicts for case in body.cases}
    issued: list[dict[str, Any]] = []
    refused = [_refusal(case, error) for case, error in opened.items() if isinstance(error, LianbanError)]
    for case in good:
        try:
            credential = await _issue(case, verdicts[case.file.case], seat, chain, now)
            issued.append({"case": case.file.case, "credential": credential.jwt, "sealed": credential.sealed})
        except LianbanError as error:
            refused.append(_refusal(case.file.case, error))
    hashes = {peek_jws(each["credential"])[1]["vct#integrity"] for each in issued}
    rows = await seat.store.rows("select document from credential_type where integrity = any(%s)", [list(hashes)])
    return {"credentials": issued, "types": [_text(row["document"]) for row in rows], "refused": refused}


@router.get("/{department}/credential-types/{vct}")
async def credential_type(seat: CurrentSeat, vct: str, integrity: str | None = None) -> Response:
    """The type metadata of credentials that this seat has issued: the one of that hash, else the newest."""
    rows = await seat.store.rows(
        """
        select document from credential_type where vct = %s and (%s::text is null or integrity = %s)
        order by since desc limit 1
        """,
        [vct, integrity, integrity],
    )
    if not rows:
        raise Refused(
            "本部门没有签发过这种证照",
            detail_en="this department has issued no credential of this type",
            code="not-found",
            remedy="核对 vct 与摘要 / check vct and hash",
        )
    return Response(_text(rows[0]["document"]), media_type="application/json")


def _text(document: Any) -> str:
    return bytes(document).decode()


def _refusal(case: str, error: LianbanError) -> dict[str, Any]:
    return {"case": case, "code": error.code, "detail": error.detail, "detail_en": error.detail_en}


async def _issue(case: OpenCase, tokens: list[str], seat: Seat, chain: ChainView, now: int) -> Credential:
    if case.binding.approvers[0] != seat.number:
        raise Refused("电子证照由牵头部门签发", detail_en="the lead issues the credential", code="not-lead")
    rests_on = await _require_approved(case, tokens, seat, chain)
    day = datetime.now(BEIJING).date()
    kept = await seat.store.rows(
        "select serial, verdict, jwt, sealed, extract(year from issued_at at time zone 'Asia/Shanghai')::int as year"
        " from credential where case_id = %s",
        [case.file.case],
    )
    if kept and kept[0]["verdict"] == rests_on:
        return Credential(jwt=str(kept[0]["jwt"]), sealed=str(kept[0]["sealed"]))
    numbered = bool(kept) and kept[0]["year"] == day.year
    serial = kept[0]["serial"] if numbered else await _serial(case.scenario.id, day.year, seat)
    claims, exp = _claims(case, seat, day, serial)
    ledger = chain.domain("CaseLedger")
    document = type_document(case.scenario)
    hashed, vct = integrity(document), case.scenario.result.vct
    await seat.store.rows(
        "insert into credential_type (integrity, vct, document) values (%s, %s, %s) on conflict do nothing",
        [hashed, vct, document],
    )
    credential = issue_credential(
        seat=seat.number,
        vct=vct,
        integrity=hashed,
        case=case.file.case,
        ledger=ledger.contract,
        chain_id=ledger.chain_id,
        claims=claims,
        delivery=case.mandate.delivery,
        holder=case.mandate.holder,
        iat=now,
        exp=exp,
        key=seat.keys.evidence,
    )
    # Of two that are issued at once for one verdict, the first one counts.
    rows = await seat.store.rows(
        """
        insert into credential as c (case_id, serial, verdict, jwt, sealed) values (%s, %s, %s, %s, %s)
        on conflict (case_id) do update
        set verdict = excluded.verdict, serial = excluded.serial, issued_at = now(),
            jwt = case when c.verdict = excluded.verdict then c.jwt else excluded.jwt end,
            sealed = case when c.verdict = excluded.verdict then c.sealed else excluded.sealed end
        returning jwt, sealed
        """,
        [case.file.case, serial, rests_on, credential.jwt, credential.sealed],
    )
    return Credential(jwt=str(rows[0]["jwt"]), sealed=str(rows[0]["sealed"]))


async def _require_approved(case: OpenCase, tokens: list[str], seat: Seat, chain: ChainView) -> str:
    """The hash of this seat's verdict, by which, as by all others, the case is approved on what it rests on now.

    Raises Refused: "verdict-missing", "not-approved", "verdict-changed" when this seat has another verdict by now or would
    have, "provider-down" when that cannot be told.
    """
    file = case.file
    verdicts = await verdicts_of(tokens, file.case, file.sequence, case.binding, file.mandates, chain=chain, seat=seat)
    if combine([verdict.outcome for verdict, _ in verdicts.values()]) != "approve":
        raise Refused("该办件未获准予", detail_en="the verdicts do not approve the case", code="not-approved")
    own, jws = verdicts[seat.number]
    rows = await seat.store.rows(
        "select jws from verdict where case_id = %s and sequence = %s", [file.case, file.sequence]
    )
    rested_on = {answer.hash for answer in own.answers}
    rests_on = {answer.hash for answer in case.answers.values() if answer is not None}
    if case.unreached and rests_on < rested_on:
        raise Refused("数据提供部门暂不可达", detail_en="a provider is not reached", code="provider-down")
    if not rows or rows[0]["jws"] != jws or rests_on != rested_on:
        raise Refused("本部门意见已更新", detail_en="this seat's verdict is another by now", code="verdict-changed")
    return jws_hash(jws)


async def _serial(scenario: str, year: int, seat: Seat) -> int:
    rows = await seat.store.rows(
        """
        insert into serial (scenario, year, last) values (%s, %s, 1)
        on conflict (scenario, year) do update set last = serial.last + 1 returning last
        """,
        [scenario, year],
    )
    return int(str(rows[0]["last"]))


def _claims(case: OpenCase, seat: Seat, day: date, serial: int) -> tuple[dict[str, Any], int | None]:
    """The credential's fields and its expiry (end of the last day, seconds UTC)."""
    result = case.scenario.result
    values = rule_values(case.scenario, case.facts())
    holder = open_subject(case.mandate, result.holder, 0, seat=seat.number, key=seat.keys.sealing)
    number = result.number.format(year=day.year, serial=serial)
    issue = {"number": number, "date": day.isoformat(), "issuer": seat.keyset.name["zh"]}
    until = _until(case, values, day)
    type_code = f"{seat.keyset.uscc}{result.type_code}"
    claims: dict[str, Any] = {
        "licence_name": result.name.zh,
        "licence_type_code": type_code,
        "licence_number": number,
        "licence_identifier": credential_identifier(type_code, seat.keyset.uscc, f"{day.year}{serial:06d}", "001"),
        "issuer_name": seat.keyset.name["zh"],
        "issuer_code": seat.keyset.uscc,
        "issue_date": day.isoformat(),
        "holder_name": holder.name,
        "holder_code": holder.id,
        "holder_code_kind": HOLDER_KINDS.get(holder.type, holder.type),
        "valid_from": day.isoformat(),
        "valid_to": until.isoformat() if until else "长期",
        "scope": case.binding.region,
    }
    for each in result.fields:
        claims.setdefault(each.id, _plain(_field(each.source, case, values, issue, seat)))
    exp = None
    if until is not None:
        end = datetime(until.year, until.month, until.day, 23, 59, 59, tzinfo=BEIJING)
        exp = timegm(end.astimezone(UTC).timetuple())
    return claims, exp


def _field(source: str, case: OpenCase, values: dict[str, Any], issue: dict[str, str], seat: Seat) -> Any:
    kind, _, name = source.partition(".")
    if kind == "issue":
        return issue[name]
    if kind == "form":
        return _form_field(name, case.form)
    if source in values:
        return values[source]
    if kind in case.mandate.subjects:
        return _subject_field(case, kind, name, seat)
    raise Invalid(field=source, detail="证照字段来源不明", detail_en="a credential field of no known source")


def _form_field(name: str, form: dict[str, Any]) -> Any:
    question, _, part = name.partition(".")
    value = form.get(question)
    if part == "last_four":
        return str(value["number"])[-4:] if isinstance(value, dict) else None
    return value.get(part) if part and isinstance(value, dict) else value


def _subject_field(case: OpenCase, role: str, name: str, seat: Seat) -> Any:
    subjects: list[Subject] = [
        open_subject(case.mandate, role, index, seat=seat.number, key=seat.keys.sealing)
        for index in range(len(case.mandate.subjects[role]))
    ]
    found = [
        each.name if name == "name" else each.id if name == "id" else each.attributes.get(name) for each in subjects
    ]
    return found[0] if len(found) == 1 else found


def _plain(value: Any) -> Any:
    if value in (NOT_ASKED, UNKNOWN):
        return None
    if isinstance(value, bool | int | str) or value is None:
        return value
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return str(value)


def _until(case: OpenCase, values: dict[str, Any], day: date) -> date | None:
    validity = case.scenario.result.validity
    if validity.until is not None:
        value = values.get(validity.until)
        if isinstance(value, date):
            return value
        return date.fromisoformat(value) if isinstance(value, str) and value[:4].isdigit() else None
    if validity.years is not None:
        try:
            return day.replace(year=day.year + validity.years)
        except ValueError:  # 29 February
            return day.replace(year=day.year + validity.years, day=28)
    return None
