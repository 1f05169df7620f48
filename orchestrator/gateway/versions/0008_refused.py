"""Batches that were refused as a whole."""

from __future__ import annotations

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

STATEMENTS = """
create table refused_batch (
  id bigint generated always as identity primary key,
  at timestamptz not null default now(),
  code text not null,
  asker smallint,
  signed boolean not null,
  hash bytea not null,
  jws text
);
create index refused_batch_newest on refused_batch (signed, id desc);
comment on table refused_batch is 'Batches that were refused before any question of theirs was judged. They are not in the query log.';
comment on column refused_batch.asker is 'The seat that the batch says it is from; proven where signed.';
comment on column refused_batch.signed is 'The signature is that of the asker''s request key: then jws proves who sent it.';
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
