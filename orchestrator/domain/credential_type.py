"""Credential types (证照类型): what a kind of credential is called, which claims it has and how they read, in both languages.

The document is the type metadata of SD-JWT VC (draft-ietf-oauth-sd-jwt-vc): one for each scenario and its texts. A credential
names it by `vct` and holds its hash as `vct#integrity` (W3C SRI), so that whoever serves the document can change nothing in it.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Final

import orjson

from orchestrator.domain.canonical import canonical
from orchestrator.domain.errors import Invalid, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.domain.suite import INTEGRITY, hash_of

ZH: Final = "zh-CN"
EN: Final = "en"

HEADER: Final[Mapping[str, tuple[str, str]]] = {
    "licence_name": ("证照名称", "Credential"),
    "licence_number": ("证照编号", "Number"),
    "licence_identifier": ("电子证照标识", "Identifier (GB/T 36904)"),
    "licence_type_code": ("证照类型代码", "Type code"),
    "issuer_name": ("颁发机构", "Issued by"),
    "issuer_code": ("颁发机构代码", "Issuer's code"),
    "issue_date": ("颁发日期", "Issued on"),
    "holder_name": ("持证主体", "Holder"),
    "holder_code": ("持证主体代码", "Holder's code"),
    "holder_code_kind": ("持证主体代码类型", "Kind of holder's code"),
    "valid_from": ("有效期起始", "Valid from"),
    "valid_to": ("有效期截止", "Valid until"),
    "scope": ("适用范围(区划代码)", "Scope (region, GB/T 2260)"),
}
"""What every credential says (GB/T 36903), in the order in which it is read: claim to its label in Chinese and English."""


def type_document(scenario: Scenario) -> bytes:
    """The type metadata of a scenario's credential, canonical JSON."""
    result = scenario.result
    note = result.validity.note
    labels = {**HEADER, **{each.id: (each.label.zh, each.label.en) for each in result.fields if each.id not in HEADER}}
    return canonical(
        {
            "vct": result.vct,
            "name": result.name.zh,
            "display": [
                {"locale": locale, "name": name, **({"description": text} if text else {})}
                for locale, name, text in (
                    (ZH, result.name.zh, note.zh if note else ""),
                    (EN, result.name.en, note.en if note else ""),
                )
            ],
            "claims": [
                {
                    "path": [claim],
                    "display": [{"locale": ZH, "label": zh}, {"locale": EN, "label": en}],
                    "sd": "always",
                    **({"mandatory": True} if claim in HEADER else {}),
                }
                for claim, (zh, en) in labels.items()
            ],
        }
    )


def integrity(document: bytes) -> str:
    """`<algorithm>-…` of a document (W3C Subresource Integrity)."""
    return f"{INTEGRITY}-" + base64.b64encode(hash_of(document)).decode()


class CredentialType:
    """A type metadata document, read."""

    __slots__ = ("_labels", "description", "name", "vct")

    def __init__(self, document: bytes) -> None:
        """Raises Invalid when the document is no type metadata."""
        try:
            content = orjson.loads(document)
            self.vct = str(content["vct"])
            shown = {each["locale"]: each for each in content["display"]}
            self.name: dict[str, str] = {"zh": str(shown[ZH]["name"]), "en": str(shown[EN]["name"])}
            self.description = {
                "zh": str(shown[ZH].get("description", "")),
                "en": str(shown[EN].get("description", "")),
            }
            self._labels = {
                str(claim["path"][0]): {each["locale"]: str(each["label"]) for each in claim["display"]}
                for claim in content["claims"]
            }
            if not all({ZH, EN} <= labels.keys() for labels in self._labels.values()):
                raise ValueError
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            raise Invalid(
                field="type",
                detail="不是证照类型说明",
                detail_en="that is no type metadata of a credential",
                remedy="取自 GET /api/v1/credential-types/{vct} / fetch it from there",
                code="bad-type",
            ) from None

    @classmethod
    def checked(cls, document: bytes, *, vct: str, hashed: str) -> CredentialType:
        """The type that a credential names. Raises Refused("wrong-type") when the document is another, Invalid when none."""
        if integrity(document) != hashed:
            raise Refused(
                "证照类型说明与证照所记的摘要不符",
                detail_en="the type metadata is not the one that the credential hashes",
                code="wrong-type",
                remedy="取签发时的那一份 / fetch the one of its day, by its hash",
            )
        found = cls(document)
        if found.vct != vct:
            raise Refused("证照类型不符", detail_en="the type metadata is of another type", code="wrong-type")
        return found

    def labels(self) -> dict[str, tuple[str, str]]:
        """Claim to its label in Chinese and English, in the order in which it is read."""
        return {claim: (labels[ZH], labels[EN]) for claim, labels in self._labels.items()}
