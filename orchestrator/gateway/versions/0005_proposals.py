"""What the seat was asked to sign, what officers said to it, and which bindings the department has ended by itself.

A proposal is kept whether a person was asked or not, so that what was signed last can be compared with what comes next.
"""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS = """
create table proposal (
  hash bytea primary key,
  document bytea not null,
  kind text not null,
  scenario text not null,
  version bytea not null,
  texts bytea not null,
  region text,
  asker smallint not null,
  request text not null,
  asked_at timestamptz not null default now(),
  waiting_since timestamptz
);
create index proposal_waiting on proposal (waiting_since) where waiting_since is not null;
comment on column proposal.document is 'Canonical JSON: protocol/proposal.py. Its SHA-256 is the hash.';
comment on column proposal.request is 'The signed request by which it was asked first.';
comment on column proposal.waiting_since is 'Since when an officer is to decide; null when none is needed, or one has.';

create table proposal_decision (
  id bigint generated always as identity primary key,
  proposal bytea not null references proposal (hash),
  outcome text not null check (outcome in ('approve', 'decline')),
  reason text not null,
  officer text not null,
  certificate text not null,
  decision text not null,
  at timestamptz not null default now()
);
create index proposal_decision_of on proposal_decision (proposal, id);
comment on table proposal_decision is 'Officers'' signed words, each kept; the last one on a proposal counts.';

create table retirement (
  binding bigint primary key,
  version bytea not null,
  region text not null,
  at timestamptz not null default now()
);
comment on table retirement is 'Bindings that the department itself has ended: the same is not signed again without a person.';

alter table signing add column proposal bytea references proposal (hash);
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
