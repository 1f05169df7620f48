"""What a department lets its gateway sign by itself: a small YAML file of its own.

```yaml
sign: all            # or a list of scenario ids that the department takes part in
push_days: 90        # for how long after the mandate a push may ask
```
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.domain.errors import Invalid, Refused


class Policy(BaseModel):
    """A department's own rules for its gateway. The default signs for every scenario that passes the checks."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sign: Literal["all"] | frozenset[str] = "all"
    """Scenario ids for whose bindings the chain key signs without a person."""
    push_days: int = Field(default=90, ge=0, le=400)
    """Days after the mandate's signing within which questions of purpose `push` are answered."""

    @classmethod
    def load(cls, path: Path) -> Self:
        """The policy of a file. Raises Invalid when it is not one."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise Invalid(
                field=path.name,
                detail="策略文件无法读取",
                detail_en="the policy file cannot be read",
                remedy="sign: all 或场景 id 列表;push_days: 天数 / sign: all or scenario ids; push_days: days",
            ) from error

    def admit(self, scenario: str) -> None:
        """Raises Refused (code `policy`) unless the department signs for this scenario."""
        if self.sign != "all" and scenario not in self.sign:
            raise Refused(
                "本部门的策略不允许自动签署该场景",
                detail_en="the department's policy does not sign for this scenario",
                code="policy",
                remedy="请联系该部门 / ask the department",
            )
