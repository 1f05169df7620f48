"""What comes after a decision: answers under it that were taken back, and approvers who let it stand."""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = """
create table paper (
    case_id text not null references case_file (id) on delete cascade,
    kind text not null check (kind in ('recall', 'upholding')),
    hash text not null,
    seat int not null,
    jws text not null,
    suspends boolean not null default false,
    at timestamptz not null default now(),
    primary key (case_id, hash)
);
comment on table paper is 'Recalls that the lead has on its desk, and what approvers'' officers said to them.';
comment on column paper.suspends is 'Whether the scenario says of such a recall that the credential does not count meanwhile.';
"""


def upgrade() -> None:
    op.execute(TABLES)
