"""Answers that this seat has taken back, and, at an approver, decisions to be looked at again because of one; and what applicants
contest of this seat's answers, with what the department replied."""

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
comment on column desk_update.upheld is 'That a decision stands after a recall, signed.';

create table desk_pending (
  case_id text primary key,
  act text not null check (act in ('uphold', 'revoke')),
  officer text not null,
  login text not null,
  certificate text not null,
  request text not null,
  at timestamptz not null default now()
);
comment on table desk_pending is 'What one officer has signed and a second one has to sign too.';
comment on column review.closing is 'What the officer signed who looked at the decision again.';

create table contest (
  hash bytea primary key,
  case_id text not null,
  question bytea not null,
  attempt int not null,
  operator smallint not null,
  jws text not null,
  statement text not null,
  reply_by date not null,
  received_at timestamptz not null default now(),
  outcome text check (outcome in ('corrected', 'rejected')),
  reply text,
  sealed jsonb,
  replied_at timestamptz,
  foreign key (question, attempt) references answer (question, attempt)
);
create unique index contest_open on contest (question) where reply is null;
create index contest_case on contest (case_id);
comment on table contest is 'What applicants hold to be wrong of this seat''s answers. Open ones are the corrections desk''s list.';
comment on column contest.statement is 'Why, sealed to this seat as the applicant''s client sealed it: opened for an officer only.';
comment on column contest.sealed is 'The reason of the reply by reader: approvers'' seats, and the applicant.';
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
