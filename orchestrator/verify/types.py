"""Type metadata that is at hand without asking anybody: of the scenarios that ship."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.domain.credential_type import CredentialType, integrity, type_document
from orchestrator.domain.errors import Refused
from orchestrator.protocol.credential import Presentation
from orchestrator.protocol.jose import peek_jws
from orchestrator.scenarios import load_catalogue, scenario_files, shipped


def shipped_types(vct: str) -> Iterator[bytes]:
    """The documents of the scenarios that ship, made one by one, those first whose name is in `vct`."""
    catalogue = load_catalogue()
    for file in sorted(scenario_files(), key=lambda file: file.stem not in vct):
        yield type_document(shipped(file.stem, catalogue))


def vct_of(shown: Presentation) -> str:
    """The type that a presentation says it is of, unverified; empty when it says nothing that can be read."""
    try:
        return str(peek_jws(shown.jwt)[1].get("vct"))
    except Refused:
        return ""


def type_of(shown: Presentation, document: bytes | None) -> CredentialType | None:
    """The type that a credential names: by the document given, else one that ships; None when it is none of these.

    Raises Refused or Invalid for a document that is not the one.
    """
    payload = peek_jws(shown.jwt)[1]
    vct, hashed = str(payload.get("vct")), str(payload.get("vct#integrity"))
    if document is not None:
        return CredentialType.checked(document, vct=vct, hashed=hashed)
    found = next((each for each in shipped_types(vct) if integrity(each) == hashed), None)
    return CredentialType(found) if found is not None else None
