"""When texts were stored: the newest of a version are the ones to show."""

from __future__ import annotations

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("alter table texts add column stored_at timestamptz not null default now()")
