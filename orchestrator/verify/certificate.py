"""The certificate (证照样式): a credential as a PDF for people, which carries the credential itself for `lianban verify`.

What is printed proves nothing: the PDF is a picture of what its maker was shown. What proves is the presentation attached to it
and, by the QR code, the state on chain. Set by Typst as PDF/A-3b with the fonts embedded, so that it looks the same anywhere.
"""

from __future__ import annotations

import io
import json
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import pylopdf_fonts_zh_cn
import segno
import typst
from pypdf import PdfReader
from pypdf.errors import PyPdfError

from orchestrator.domain.credential_type import HEADER, CredentialType
from orchestrator.domain.errors import Invalid
from orchestrator.protocol import sdjwt
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.jose import peek_jws
from orchestrator.verify.report import BEIJING, said

TEMPLATE: Final = Path(__file__).with_name("certificate.typ")
ATTACHMENT: Final = "credential.sd-jwt"
TOP: Final = ("holder_name", "holder_code", "licence_number")
"""What stands first; then the scenario's own fields; then the term."""
BOTTOM: Final = ("valid_from", "valid_to", "scope")
ELSEWHERE: Final = (
    "licence_name", "issuer_name", "issuer_code", "issue_date", "licence_identifier", "licence_type_code", "holder_code_kind",
)  # fmt: skip
"""Header claims that have a place of their own on the sheet, or that only registers read."""


def make_pdf(shown: Presentation, kind: CredentialType | None, *, portal: str | None) -> bytes:
    """The PDF of a presentation: what it discloses, and nothing else. A key binding is left out: it was for one reader.

    `kind` names the claims, `portal` is where the QR code leads (`/verify?case=…`); None makes it name case and ledger only.
    Raises Refused when the presentation is none, Invalid when a sign is missing from the fonts.
    """
    payload = peek_jws(shown.jwt)[1]
    claims = dict(sdjwt.open_disclosure(each) for each in shown.disclosures)
    try:
        ref = payload["status"]["lianban_case"]
        case, ledger, chain = str(ref["case"]), str(ref["ledger"]), int(ref["chain_id"])
        made = datetime.fromtimestamp(payload["iat"], BEIJING)
        hidden = len(payload["_sd"]) - len(claims)
    except (KeyError, TypeError, ValueError, OverflowError):
        raise Invalid(
            field="credential",
            detail="不是本系统的电子证照",
            detail_en="that is no credential of ours",
            code="not-a-paper",
        ) from None
    data = _data(claims, kind, case=case, hidden=hidden) | {"made": [made.year, made.month, made.day]}
    target = f"{portal.rstrip('/')}/verify?case={case}" if portal else f"lianban:{case}?ledger={ledger}&chain={chain}"
    code = io.BytesIO()
    segno.make(target, error="m", micro=False).save(code, kind="svg", scale=4, border=2, xmldecl=False)
    carried = Presentation(jwt=shown.jwt, disclosures=shown.disclosures).text()
    try:
        return typst.compile(
            TEMPLATE.read_bytes(),
            font_paths=_fonts(),
            format="pdf",
            pdf_standards="a-3b",
            sys_inputs={"data": json.dumps(data), "credential": carried, "qr": code.getvalue().decode()},
        )
    except typst.TypstError:  # its message repeats the text; PDF/A lets no sign stand for which there is no glyph
        raise Invalid(
            field="credential",
            detail="无法排成 PDF:内容中可能有字体没有的字",
            detail_en="it cannot be set as a PDF: it may hold a sign that the font does not have",
            remedy="只出示其他各项 / present the other claims only",
            code="cannot-set",
        ) from None


def attached(pdf: bytes) -> bytes:
    """The presentation that a certificate carries. Raises ValueError when it carries none, or more than one."""
    try:
        found = [
            content
            for name, contents in PdfReader(io.BytesIO(pdf)).attachments.items()
            if name == ATTACHMENT
            for content in contents
        ]
    except (PyPdfError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise ValueError("not a PDF that can be read") from error
    if len(found) != 1:
        raise ValueError("the PDF carries no credential")
    return found[0]


def _data(claims: dict[str, Any], kind: CredentialType | None, *, case: str, hidden: int) -> dict[str, Any]:
    """What the template shows."""
    labels = kind.labels() if kind else dict(HEADER)
    title = str(claims.get("licence_name") or (kind.name["zh"] if kind else "电子证照"))
    own = [claim for claim in labels if claim not in HEADER] + [claim for claim in claims if claim not in labels]
    told: set[str] = {said(claims[name]) for name in ("issuer_name", "issue_date") if name in claims}
    fields = []
    for claim in (*TOP, *own, *BOTTOM):
        value = claims.get(claim)
        if claim in ELSEWHERE or value is None or (claim in own and said(value) in told):
            continue  # a scenario's field often says again what the header says
        told.add(said(value))
        zh, en = labels.get(claim, (claim, ""))
        fields.append({"zh": zh, "en": en, "value": said(value)})
    return {
        "title": title,
        "title_en": kind.name["en"] if kind else "",
        "title_size": 30 if len(title) <= 12 else 24 if len(title) <= 16 else 19,
        "title_tracking": 5 if len(title) <= 8 else 2,
        "gap": 5 if len(fields) <= 12 else 3,
        "fields": fields,
        "hidden": hidden,
        "issuer": said(claims["issuer_name"]) if "issuer_name" in claims else "",
        "issued": said(claims["issue_date"]) if "issue_date" in claims else "",
        "identifier": said(claims["licence_identifier"]) if "licence_identifier" in claims else "",
        "case": case,
        "footer": {
            "zh": "本页是电子证照的样式,不加盖印章。真伪以所附 credential.sd-jwt 的签名为准,是否有效以链上状态为准:扫码,或 lianban verify 本文件。",
            "en": "This page is a picture of an electronic credential. Its attachment proves who signed what; the chain says whether "
            "it counts: scan the code, or run lianban verify on this file.",
        },
    }


@cache
def _fonts() -> typst.Fonts:
    folder = str(pylopdf_fonts_zh_cn.serif_path().parent)
    return typst.Fonts(include_system_fonts=False, include_embedded_fonts=False, font_paths=[folder])
