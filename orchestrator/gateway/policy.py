"""What a department lets its gateway sign: a small YAML file of its own, read again whenever it changes.

```yaml
sign:
  open-gallery: auto                      # the gateway signs what passes its checks
  real-estate-registration: ask           # an officer reads and approves each exact version first
  unemployment-benefit-claim: never
  enterprise-establishment:               # by itself only as a provider and in Haidian, else an officer
    auto: {roles: [provider], regions: ["110108"]}
    otherwise: ask
  "*": ask                                # every other scenario; the same when it is left out
push_days: 90                             # for how long after the mandate a push may ask
```

`sign: auto` (or `ask`, `never`) says it for every scenario at once. Without a file an officer is asked about everything.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Annotated, Literal, Self

import structlog
import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from orchestrator.domain.errors import Invalid, Refused, Unavailable
from orchestrator.protocol.proposal import Role

_log = structlog.get_logger(__name__)

Word = Literal["auto", "ask", "never"]
"""Signed without a person; only after an officer has approved exactly this; not at all."""
Region = Annotated[str, StringConstraints(pattern=r"^[0-9]{6}$")]
ScenarioId = Annotated[str, StringConstraints(pattern=r"^([a-z][a-z0-9]*(-[a-z0-9]+)*|\*)$")]

POLICY_FILE = "policy.yaml"
"""Its name in the department's key folder."""

OTHERS = "*"
"""The entry for every scenario that has none of its own."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Limits(_Part):
    """As what, and where, the gateway signs by itself."""

    roles: frozenset[Role] | None = None
    """All roles that the seat would play must be among these; None: any."""
    regions: frozenset[Region] | None = None
    """GB/T 2260 codes, for bindings and their retirements; None: any. A publication has no region."""


class Rule(_Part):
    """What a department lets be signed of one scenario, where one word does not say it."""

    auto: Limits
    otherwise: Literal["ask", "never"] = "ask"


class Policy(_Part):
    """A department's own rules for its gateway. By default an officer is asked before anything is signed."""

    sign: Word | dict[ScenarioId, Word | Rule] = "ask"
    push_days: int = Field(default=90, ge=0, le=400)
    """Days after the mandate's signing within which questions of purpose `push` are answered."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """The policy of a file. Raises Invalid when it is not one."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except (OSError, UnicodeDecodeError, yaml.YAMLError, ValidationError) as error:
            raise Invalid(
                field=path.name,
                detail="策略文件无法读取",
                detail_en="the policy file cannot be read",
                remedy="sign: auto、ask、never,或按场景分别写明;push_days: 天数。见 docs/department.md"
                " / sign: auto, ask or never, or one of them for each scenario; push_days: days. See docs/department.md",
            ) from error

    def word(self, scenario: str, roles: Collection[Role], region: str | None) -> Word:
        """Whether to sign what makes the seat play `roles` of a scenario in a region (None: a publication)."""
        if isinstance(self.sign, str):
            return self.sign
        rule = self.sign.get(scenario, self.sign.get(OTHERS, "ask"))
        if isinstance(rule, str):
            return rule
        limits = rule.auto
        in_roles = limits.roles is None or limits.roles >= set(roles)
        in_region = limits.regions is None or region is None or region in limits.regions
        return "auto" if in_roles and in_region else rule.otherwise


class PolicyFile:
    """A department's policy, read again when its file changes, comes or goes."""

    def __init__(self, path: Path | None = None, *, absent: Policy | None = None) -> None:
        """`absent` is the policy while there is no file. Raises Invalid when there is one and it is faulty."""
        self._path = path
        self._absent = absent or Policy()
        self._seen = self._state()
        self._last: Policy = self._absent
        self._faulty: Invalid | None = None
        self._read()
        if self._faulty is not None:
            raise self._faulty

    @property
    def last(self) -> Policy:
        """The last policy that could be read: for what does not sign."""
        self._look()
        return self._last

    def for_signing(self) -> Policy:
        """The policy as it is now. Raises Unavailable (code `policy-faulty`) while its file cannot be read: nothing is
        signed by rules that the department has just changed."""
        self._look()
        if self._faulty is not None:
            raise Unavailable(
                "本部门的策略文件有误,暂不签署",
                detail_en="the department's policy file is faulty, nothing is signed",
                code="policy-faulty",
                remedy="请该部门更正 policy.yaml / the department corrects its policy.yaml",
            ) from self._faulty
        return self._last

    def _look(self) -> None:
        state = self._state()
        if state != self._seen:
            self._seen = state
            self._read()

    def _state(self) -> tuple[int, int] | None:
        if self._path is None or not self._path.exists():
            return None
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_size

    def _read(self) -> None:
        self._faulty = None
        if self._seen is None or self._path is None:
            self._last = self._absent
            return
        try:
            self._last = Policy.load(self._path)
        except Invalid as error:
            self._faulty = error
            _log.error("policy-faulty", file=self._path.name)


def never(scenario: str) -> Refused:
    """The department's policy does not sign for a scenario."""
    return Refused(
        f"本部门的策略不签署该场景({scenario})",
        detail_en=f"the department's policy does not sign for {scenario}",
        code="policy",
        remedy="请联系该部门 / ask the department",
    )
