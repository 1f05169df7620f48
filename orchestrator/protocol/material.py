"""Materials and the form: what an applicant brings, sealed to the approvers before it leaves the applicant's client.

The orchestrator carries ciphertexts and salted hashes. The form lists the hashes of the materials, and the mandate holds
the form's hash, so nothing can be slipped into a case, swapped or dropped by whoever carries it. A supplement is
therefore an amendment of the mandate with a new form.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from orchestrator.domain.canonical import b64, canonical, unb64
from orchestrator.domain.errors import Refused
from orchestrator.protocol.mandate import salted_hash
from orchestrator.protocol.sealing import SealingKey, material_info, seal, unseal
from orchestrator.protocol.wire import Base64Url, Hex32, Listed, Name, SeatText, WireModel, read_model

PADDING: Final = 1024
"""Sealed materials and forms are padded to a multiple of this many bytes."""

FORM: Final = "form"
"""The material id under which the form is sealed."""


class SealedMaterial(WireModel):
    """A material as it travels and as the orchestrator keeps it."""

    id: Name
    hash: Hex32
    """Salted hash of the content."""
    sealed: dict[SeatText, Base64Url]


class SealedForm(WireModel):
    """The form as it travels."""

    hash: Hex32
    """Salted hash; stands in the mandate."""
    sealed: dict[SeatText, Base64Url]


class MaterialRef(WireModel):
    """A material that the form lists."""

    id: Name
    hash: Hex32


class FormContent(WireModel):
    """What an approver reads in the form."""

    values: dict[str, Any]
    """Answers to the questions that only approvers may see."""
    materials: Listed[MaterialRef]


@dataclass(frozen=True, slots=True, kw_only=True)
class Material:
    """A document with what was declared about it."""

    id: str
    filename: str
    media_type: str
    content: bytes = field(repr=False)
    fields: dict[str, Any] = field(default_factory=dict, repr=False)
    """Declared values that the approvers' rules read as `material.<id>.<field>`."""

    def document(self) -> dict[str, Any]:
        """The material as JSON."""
        return {
            "id": self.id,
            "filename": self.filename,
            "media_type": self.media_type,
            "content": b64(self.content),
            "fields": self.fields,
        }


def seal_material(material: Material, recipients: Mapping[int, Mapping[str, Any]]) -> SealedMaterial:
    """The material, readable by the seats of `recipients` (seat to sealing JWK) alone."""
    digest, sealed = seal_document(material.id, material.document(), recipients)
    return SealedMaterial(id=material.id, hash=digest, sealed=sealed)


def open_material(sealed: SealedMaterial, *, seat: int, key: SealingKey) -> Material:
    """The material as `seat` may read it. Raises Refused: "not-for-this-seat", "cannot-open", "wrong-material"."""
    document = open_document(sealed.id, sealed.hash, sealed.sealed, seat, key)
    try:
        material = Material(**(document | {"content": unb64(document["content"])}))
    except (TypeError, KeyError, ValueError):
        raise _wrong() from None
    if material.id != sealed.id or not isinstance(material.fields, dict):
        raise _wrong()
    return material


def seal_form(
    values: Mapping[str, Any], materials: Sequence[SealedMaterial], recipients: Mapping[int, Mapping[str, Any]]
) -> SealedForm:
    """The form with the hashes of the materials that go with it."""
    document = {
        "values": dict(values),
        "materials": [{"id": material.id, "hash": material.hash} for material in materials],
    }
    digest, sealed = seal_document(FORM, document, recipients)
    return SealedForm(hash=digest, sealed=sealed)


def open_form(sealed: SealedForm, *, seat: int, key: SealingKey) -> FormContent:
    """The form as `seat` may read it. Raises Refused as `open_material`; Invalid for a faulty field."""
    return read_model(FormContent, open_document(FORM, sealed.hash, sealed.sealed, seat, key), code="bad-form")


def seal_document(
    name: str,
    document: Mapping[str, Any],
    recipients: Mapping[int, Mapping[str, Any]] | Mapping[str, Mapping[str, Any]],
    *,
    salt: bytes | None = None,
) -> tuple[str, dict[str, str]]:
    """Salted hash (a new salt unless one is given) and sealed blobs of a document under a name, one blob for each reader."""
    salt = salt or secrets.token_bytes(32)
    digest = salted_hash(salt, document)
    plaintext = canonical({"salt": b64(salt), "document": document})
    sealed = {
        str(reader): seal(jwk, plaintext, info=material_info(digest, name, reader), pad_to=PADDING)
        for reader, jwk in recipients.items()
    }
    return digest, sealed


def open_document(
    name: str, digest: str, sealed: Mapping[str, str], reader: int | str, key: SealingKey
) -> dict[str, Any]:
    """A sealed document as its reader (a seat's number, or a name) may read it, held against its salted hash.

    Raises Refused: "not-for-this-seat", "cannot-open", "wrong-material".
    """
    blob = sealed.get(str(reader))
    if blob is None:
        raise Refused(
            "材料未向本席位开放", code="not-for-this-seat", detail_en="the material is not sealed to this seat"
        )
    try:
        value = orjson.loads(unseal(key, blob, info=material_info(digest, name, reader)))
        document, salt = value["document"], unb64(value["salt"])
        same = isinstance(document, dict) and salted_hash(salt, document) == digest
    except (orjson.JSONDecodeError, TypeError, KeyError, ValueError):
        raise _wrong() from None
    if not same:
        raise _wrong()
    return document  # type: ignore[no-any-return]


def _wrong() -> Refused:
    return Refused("材料内容与其摘要不符", code="wrong-material", detail_en="the material is not what its hash says")
