"""Model of the catalog: which versions exist and which seats handle them where. The whole is in model.py."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from model_base import NOBODY, ZERO, Clock, Contract, Faults, Reverted, Signatures, refuse
from model_consortium import Consortium


@dataclass
class Binding:
    """A version put to work."""

    terms: tuple[bytes, int, int, int, tuple[int, ...], tuple[int, ...], int]
    """(version, region, identity, operator, approvers, providers, valid until)."""
    live: bool = True

    @property
    def approvers(self) -> tuple[int, ...]:
        """The first leads."""
        return self.terms[4]

    @property
    def named(self) -> list[int]:
        """Every seat that it names, once, ascending."""
        _, _, identity, operator, approvers, providers, _ = self.terms
        return sorted({identity, operator, *approvers, *providers})


class Catalog(Contract):
    """Which scenario versions exist and which seats handle them where."""

    def __init__(self, address: bytes, clock: Clock, signatures: Signatures, consortium: Consortium) -> None:
        super().__init__(address, clock, signatures)
        self.consortium = consortium
        self.versions: dict[bytes, tuple[str, bytes, int, int]] = {}
        """Version → (scenario, texts, revision, publisher)."""
        self.bindings: dict[int, Binding] = {}

    def publish(
        self, sender: bytes, scenario: str, version: bytes, texts: bytes, publisher: int, signature: bytes
    ) -> None:
        faults: Faults = []
        if version in self.versions:
            faults.append(("Catalog_AlreadyPublished", (version,)))
        if not scenario:
            faults.append(("Catalog_EmptyScenario", ()))
        faults += self._unsigned(publisher, signature, "Publication", scenario, version, texts, publisher)
        refuse(faults)
        self.versions[version] = (scenario, texts, 0, publisher)
        self._emit("VersionPublished", version, scenario, texts, publisher)

    def amendTexts(self, sender: bytes, version: bytes, texts: bytes, revision: int, signature: bytes) -> None:
        if version not in self.versions:
            raise Reverted([("Catalog_UnknownVersion", (version,))])
        scenario, _, last, publisher = self.versions[version]
        faults: Faults = []
        if revision != last + 1:
            faults.append(("Catalog_WrongRevision", (version, last + 1, revision)))
        faults += self._unsigned(publisher, signature, "Texts", version, texts, revision, publisher)
        refuse(faults)
        self.versions[version] = (scenario, texts, revision, publisher)
        self._emit("TextsAmended", version, texts, revision)

    def bind(self, sender: bytes, terms: tuple[Any, ...], signatures: Sequence[bytes]) -> tuple[int]:
        version, region, identity, operator, approvers, providers, valid_until = terms
        binding = Binding((version, region, identity, operator, tuple(approvers), tuple(providers), valid_until))
        faults: Faults = []
        if self.clock.time > valid_until:
            faults.append(("Catalog_Expired", (valid_until,)))
        if any(other.terms == binding.terms for other in self.bindings.values()):
            faults.append(("Catalog_AlreadyBound", (version, region)))
        if version not in self.versions:
            faults.append(("Catalog_UnknownVersion", (version,)))
        if identity == operator:
            faults.append(("Catalog_IdentityIsOperator", (identity,)))
        if not approvers:
            faults.append(("Catalog_NoApprovers", ()))
        faults += [("Catalog_ApproverTwice", (seat,)) for seat in set(approvers) if approvers.count(seat) > 1]
        if len(signatures) != len(binding.named):
            faults.append(("Catalog_WrongSignatureCount", (len(binding.named), len(signatures))))
        else:
            for seat, signature in zip(binding.named, signatures, strict=True):
                faults += self._unsigned(seat, signature, "Binding", *binding.terms)
        refuse(faults)
        number = len(self.bindings) + 1
        self.bindings[number] = binding
        self._emit("BindingMade", number, version, region)
        return (number,)

    def retire(self, sender: bytes, number: int, seat: int, signature: bytes) -> None:
        if number not in self.bindings:
            raise Reverted([("Catalog_UnknownBinding", (number,))])
        binding = self.bindings[number]
        faults: Faults = [] if binding.live else [("Catalog_AlreadyRetired", (number,))]
        if seat not in binding.named:
            faults.append(("Catalog_SeatNotNamed", (number, seat)))
        faults += self._unsigned(seat, signature, "Retirement", number, seat)
        refuse(faults)
        binding.live = False
        self._emit("BindingRetired", number, seat)

    def bindingCount(self) -> tuple[int]:
        return (len(self.bindings),)

    def bindingOf(self, number: int) -> tuple[tuple[Any, ...], bool]:
        binding = self.bindings.get(number)
        return (binding.terms, binding.live) if binding else ((ZERO, 0, 0, 0, (), (), 0), False)

    def versionOf(self, version: bytes) -> tuple[tuple[str, bytes, int, int]]:
        return (self.versions.get(version, ("", ZERO, 0, 0)),)

    def termsOf(self, number: int) -> tuple[int, int, bool, bool]:
        binding = self.bindings.get(number)
        if binding is None:
            return 0, 0, False, False
        return sum(1 << seat for seat in binding.approvers), binding.approvers[0], True, binding.live

    def _unsigned(self, seat: int, signature: bytes, struct: str, *values: Any) -> Faults:
        [signer] = self.consortium.signerOf(seat)
        if signer == NOBODY:
            return [("Catalog_SeatNotActive", (seat,))]
        return [] if self._signed(signature, signer, struct, *values) else [("Catalog_WrongSignature", (seat,))]
