"""A case's status, as the ledger keeps it, and its stage, as the pipeline works on it."""

from __future__ import annotations

from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final


class Status(IntEnum):
    """Approval state of a case, by its number on chain."""

    NONE = 0
    """The ledger does not know the case."""
    ACCEPTED = 1
    """受理: the case waits for an officer."""
    RETURNED = 2
    """补正: the applicant must supply or correct something."""
    APPROVED = 3
    REFUSED = 4
    """不予: final."""
    WITHDRAWN = 5
    """撤回 by the applicant: final."""
    REVOKED = 6
    """撤销 of an approval: final."""
    SUSPENDED = 7
    """中止效力: what it was approved on is being looked at again."""

    @property
    def final(self) -> bool:
        """Whether nothing can follow."""
        return not MOVES[self]

    @property
    def decided(self) -> bool:
        """Whether the applicant can change nothing any more: there is an outcome, final or not."""
        return self.final or self in (Status.APPROVED, Status.SUSPENDED)


MOVES: Final = MappingProxyType(
    {
        Status.NONE: frozenset({Status.ACCEPTED, Status.RETURNED, Status.APPROVED, Status.REFUSED, Status.WITHDRAWN}),
        Status.ACCEPTED: frozenset({Status.RETURNED, Status.APPROVED, Status.REFUSED, Status.WITHDRAWN}),
        Status.RETURNED: frozenset({Status.ACCEPTED, Status.APPROVED, Status.REFUSED, Status.WITHDRAWN}),
        Status.APPROVED: frozenset({Status.REVOKED, Status.SUSPENDED}),
        Status.REFUSED: frozenset[Status](),
        Status.WITHDRAWN: frozenset[Status](),
        Status.REVOKED: frozenset[Status](),
        Status.SUSPENDED: frozenset({Status.APPROVED, Status.REVOKED}),
    }
)
"""Invariant I2: where each status may go. The ledger holds the same table."""


def may_move(before: Status, after: Status) -> bool:
    """Whether the ledger lets a case go from `before` to `after` (I2)."""
    return after in MOVES[before]


class Stage(StrEnum):
    """What the pipeline does with a case next."""

    INTAKE = "intake"
    GATHER = "gather"
    DECIDE = "decide"
    SEAL = "seal"
    POST = "post"
    CONFIRM = "confirm"
    PUSH = "push"
    WAITING = "waiting"
    """For the applicant, an officer or a department; something from outside moves it on."""
    DONE = "done"
