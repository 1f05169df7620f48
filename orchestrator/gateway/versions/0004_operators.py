"""Whose cases wait at the desk, and which verdict a credential rests on.

An operator is told what officers decided of its own cases only. A credential that was issued on a verdict which another one
has replaced since is issued anew, under its number.
"""

from __future__ import annotations

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS = """
alter table queue_item add column operator int;
alter table desk_update add column operator int;
alter table credential add column verdict text;
comment on column queue_item.operator is 'Seat that operates the binding of the case.';
comment on column credential.verdict is 'Hash of the verdict of this seat that the credential rests on.';
comment on column verdict.answers is '[{item, until}]: until when what it rests on is fresh, in seconds since 1970.';
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
