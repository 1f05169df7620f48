"""Publishing a scenario version and putting it to work: every seat that it names signs, the chain keeps it.

The operator carries the documents around and collects signatures; a gateway signs only what its department's policy or one
of its officers lets it. Until then it says `awaiting-officer`, and doing the same again later goes on from there.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from orchestrator.database import Pool
from orchestrator.domain.canonical import from_hex
from orchestrator.domain.errors import Invalid, LianbanError, Refused
from orchestrator.domain.scenario import Scenario
from orchestrator.gateway.client import GatewayClient
from orchestrator.ledger.sender import Sender
from orchestrator.ledger.view import LedgerView
from orchestrator.protocol.keyset import SeatKeys
from orchestrator.protocol.ports import SeatView
from orchestrator.protocol.sheet import Binding, binding_digest, retirement_digest
from orchestrator.store import applications

AWAITING = "awaiting-officer"
"""Code of a gateway that will sign when an officer of its department has approved."""

VALID_SECONDS = 3600
"""How long collected signatures may be used to bind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Which departments play a scenario's roles in a region: a binding file."""

    region: str
    identity: str
    operator: str
    roles: dict[str, str]
    """Role to department id, for providers and approvers alike."""

    def departments(self, names: tuple[str, ...]) -> list[str]:
        """The departments of some roles. Raises Invalid naming a role that the file does not fill."""
        for name in names:
            if name not in self.roles:
                raise Invalid(
                    field=f"roles.{name}",
                    detail="落地文件没有安排这个角色",
                    detail_en="the binding file does not fill this role",
                    remedy=f"在 roles 下写 {name}: <部门> / add it under roles",
                )
        return [self.roles[name] for name in names]


class IdentitySeat(Protocol):
    """The identity seat as far as publishing needs it."""

    async def put_definition(self, version: str, definition: dict[str, Any], texts: dict[str, Any]) -> None:
        """Gives it a version's documents."""
        ...


class Publisher:
    """Collects signatures and sends what they allow."""

    def __init__(
        self,
        *,
        pool: Pool,
        view: LedgerView,
        gateways: GatewayClient,
        sender: Sender,
        keys: SeatKeys,
        identity: IdentitySeat,
    ) -> None:
        self._pool = pool
        self._view = view
        self._gateways = gateways
        self._sender = sender
        self._keys = keys
        self._identity = identity

    async def publish(self, scenario: Scenario, terms: Terms) -> str | None:
        """Puts a version on chain, signed by the lead approver's department; the transaction, or None when it is there.

        The same version with other texts amends the texts (a typo is not a new version).
        """
        transaction = await self._publish(scenario, terms)
        await self._identity.put_definition(scenario.version, scenario.definition(), scenario.texts())
        await self._keep(scenario)
        return transaction

    async def _publish(self, scenario: Scenario, terms: Terms) -> str | None:
        known, texts, _ = await self._view.version(scenario.version)
        if known and texts == scenario.texts_hash:
            return None
        lead = await self._view.seat_by_id(terms.departments(scenario.approvers[:1])[0])
        version, texts_hash = from_hex(scenario.version), from_hex(scenario.texts_hash)
        definition, words = scenario.definition(), scenario.texts()
        revision = await self._view.texts_revision(scenario.version) + 1 if known else None
        try:
            signature = await self._gateways.sign_publication(lead, definition, words, revision=revision)
        except LianbanError as error:
            raise _unsigned([(lead, error)]) from error
        if revision is not None:
            return await self._sender.send("Catalog", "amendTexts", version, texts_hash, revision, signature)
        return await self._sender.send("Catalog", "publish", scenario.id, version, texts_hash, lead.number, signature)

    async def bind(self, scenario: Scenario, terms: Terms) -> int:
        """Collects the signatures of all named seats and makes the binding live; returns its number.

        A binding with the same seats that is live already is taken as it is.
        """
        approvers = [await self._view.seat_by_id(each) for each in terms.departments(scenario.approvers)]
        providers = [await self._view.seat_by_id(each) for each in terms.departments(scenario.providers)]
        identity = await self._view.seat_by_id(terms.identity)
        operator = await self._view.seat_by_id(terms.operator)
        binding = Binding(
            version=from_hex(scenario.version),
            region=int(terms.region),
            identity=identity.number,
            operator=operator.number,
            approvers=tuple(seat.number for seat in approvers),
            providers=tuple(seat.number for seat in providers),
            valid_until=int(time.time()) + VALID_SECONDS,
        )
        await self._view.refresh()
        for there in await self._view.bindings():
            same = (there.version, there.region, there.identity, there.operator, there.approvers, there.providers)
            if there.live and same == (
                scenario.version,
                terms.region,
                binding.identity,
                binding.operator,
                binding.approvers,
                binding.providers,
            ):
                return there.number
        signatures = await self._signatures(scenario, binding)
        await self._sender.send("Catalog", "bind", binding.struct, signatures)
        await self._view.refresh()
        return max(each.number for each in await self._view.bindings() if each.version == scenario.version)

    async def newest(self, scenario: str, region: str) -> int:
        """The live binding of a scenario in a region under which new cases come: the last one made. 0 when there is none."""
        for binding in reversed(await self._view.bindings()):
            if binding.live and binding.region == region and (await self._view.version(binding.version))[0] == scenario:
                return binding.number
        return 0

    async def retire(self, number: int, department: str) -> str:
        """Ends a binding for new cases, signed by one of its seats; returns the transaction."""
        seat = await self._view.seat_by_id(department)
        if self._is_own(seat):
            signature = self._keys.chain.sign_hash(retirement_digest(self._view.domain("Catalog"), number, seat.number))
        else:
            try:
                signature = await self._gateways.sign_retirement(seat, number)
            except LianbanError as error:
                raise _unsigned([(seat, error)]) from error
        return await self._sender.send("Catalog", "retire", number, seat.number, signature)

    async def _signatures(self, scenario: Scenario, binding: Binding) -> list[bytes]:
        """The signature of every named seat, in the order of their numbers. All are asked before any refusal is told."""
        seats = [await self._view.seat(number) for number in binding.named]
        answers = await asyncio.gather(
            *(self._signature(seat, scenario, binding) for seat in seats), return_exceptions=True
        )
        signatures, refusals = [], []
        for seat, answer in zip(seats, answers, strict=True):
            if isinstance(answer, bytes):
                signatures.append(answer)
            elif isinstance(answer, LianbanError):
                refusals.append((seat, answer))
            else:
                raise answer
        if refusals:
            raise _unsigned(refusals)
        return signatures

    async def _signature(self, seat: SeatView, scenario: Scenario, binding: Binding) -> bytes:
        if self._is_own(seat):
            return self._keys.chain.sign_hash(binding_digest(self._view.domain("Catalog"), binding))
        terms = {
            "version": scenario.version,
            "region": f"{binding.region:06d}",
            "identity": binding.identity,
            "operator": binding.operator,
            "approvers": list(binding.approvers),
            "providers": list(binding.providers),
            "valid_until": binding.valid_until,
        }
        return await self._gateways.sign_binding(seat, scenario.definition(), scenario.texts(), terms)

    def _is_own(self, seat: SeatView) -> bool:
        """Whether this is the operator's own seat, which needs no gateway to sign."""
        return self._keys.chain.address == seat.signer

    async def _keep(self, scenario: Scenario) -> None:
        async with self._pool.connection() as connection:
            await applications.keep_definition(
                connection,
                version=scenario.version,
                scenario=scenario.id,
                definition=scenario.definition(),
                texts=scenario.texts(),
                texts_hash=scenario.texts_hash,
            )


def _unsigned(refusals: Sequence[tuple[SeatView, LianbanError]]) -> Refused:
    """Who did not sign and why, told together; with the code of what no waiting will mend, when there is such a refusal."""
    first = next((error for _, error in refusals if error.code != AWAITING), refusals[0][1])
    return Refused(
        ";".join(f"{seat.keyset.name['zh']}没有签署:{error.detail}" for seat, error in refusals),
        detail_en="; ".join(f"{seat.keyset.name['en']} did not sign: {error.detail_en}" for seat, error in refusals),
        code=first.code,
        remedy=first.remedy,
    )
