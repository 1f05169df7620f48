"""Answers that this seat has taken back, and, at an approver, decisions to be looked at again because of one."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS = """
create table recall (
  id bigint generated always as identity primary key,
  operator smallint not null,
  jws text not null,
  at timestamptz not null default now()
);
comment on table recall is 'Signed recalls, each for the seat that operates the cases.';

create table recalled (
  question bytea not null,
  attempt int not null,
  recall bigint not null references recall (id),
  primary key (question, attempt),
  foreign key (question, attempt) references answer (question, attempt)
);
comment on table recalled is 'Answers that count no more and are not handed out.';

create table review (
  case_id text not null,
  recall text not null,
  jws text not null,
  sequence int not null,
  opened_at timestamptz not null default now(),
  closed_at timestamptz,
  closing text,
  primary key (case_id, recall)
);
alter table desk_update add column upheld text;
comment on column desk_update.upheld is 'Why an officer let a decision stand after a recall.';
comment on column review.closing is 'What the officer signed who looked at the decision again.';
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
