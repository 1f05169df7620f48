"""What the HTTP handlers share."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import Request

from orchestrator.api.identity import IdentityClient
from orchestrator.domain.errors import Invalid
from orchestrator.domain.scenario import Scenario
from orchestrator.pipeline.context import Context
from orchestrator.protocol.ports import BindingView


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """The API's own parts around the pipeline's context."""

    context: Context
    identity: IdentityClient
    operator: int
    """Our seat."""
    region: str
    """The region that we serve, six digits."""

    async def current(self, scenario: str) -> tuple[Scenario, BindingView]:
        """The newest live binding of a scenario that we operate in our region, with its version. Raises Invalid when there is none."""
        known = await self.context.definitions.refresh()
        for binding in reversed(await self.context.view.bindings()):
            found = known.get(binding.version)
            if self._ours(binding) and found is not None and found.id == scenario:
                return found, binding
        raise Invalid(
            field="scenario",
            detail="没有这个场景,或尚未落地",
            detail_en="There is no such scenario, or it is not bound here",
            remedy="见 GET /api/v1/scenarios / see GET /api/v1/scenarios",
            code="unknown-scenario",
        )

    async def offered(self) -> list[tuple[Scenario, BindingView]]:
        """Every scenario that can be applied for, in its newest live version."""
        known = await self.context.definitions.refresh()
        newest: dict[str, tuple[Scenario, BindingView]] = {}
        for binding in await self.context.view.bindings():
            found = known.get(binding.version)
            if self._ours(binding) and found is not None:
                newest[found.id] = (found, binding)
        return [newest[name] for name in sorted(newest)]

    def _ours(self, binding: BindingView) -> bool:
        return binding.live and binding.operator == self.operator and binding.region == self.region


def state_of(request: Request) -> State:
    """The state of the application that serves a request."""
    state: State = request.app.state.lianban
    return state
