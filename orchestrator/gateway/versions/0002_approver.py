"""What an approver keeps: verdicts, the officers' queue and decisions, outcomes that it has signed, credentials.

The queue holds a case's file as it came: what is sealed in it stays sealed and is opened for an officer only.
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

STATEMENTS = """
create table verdict (
  case_id text not null,
  sequence int not null,
  inputs text not null,
  mandate text not null,
  outcome text not null,
  answers jsonb not null,
  jws text not null,
  made_at timestamptz not null default now(),
  primary key (case_id, sequence)
);
comment on column verdict.answers is '[{question, item, index, iat, max_age}]: how old what it rests on may get.';

create table basis (
  case_id text not null,
  sequence int not null,
  secret text not null,
  salted jsonb not null,
  file jsonb not null,
  envelopes jsonb not null,
  primary key (case_id, sequence)
);
comment on table basis is 'What a verdict rests on, sealed as it came, and a salted hash of each input of the rules.';

create table queue_item (
  case_id text primary key,
  sequence int not null,
  mandate text not null,
  scenario text not null,
  proposed text not null,
  rows jsonb not null,
  materials_wanted jsonb not null,
  file jsonb not null,
  since timestamptz not null default now(),
  done_at timestamptz
);

create table decision (
  case_id text not null,
  sequence int not null,
  mandate text not null,
  officer text not null,
  certificate text not null,
  decision text not null,
  materials_wanted jsonb not null,
  awaits boolean not null default false,
  second jsonb,
  at timestamptz not null default now(),
  primary key (case_id, sequence)
);
comment on column decision.awaits is 'It counts only once a second officer has countersigned it.';
comment on column decision.second is '{certificate, countersign} of the second officer.';

create table sent_back (
  id bigint generated always as identity primary key,
  case_id text not null,
  sequence int not null,
  mandate text not null,
  certificate text not null,
  decision text not null,
  second jsonb not null,
  at timestamptz not null default now()
);
create index sent_back_case on sent_back (case_id, sequence);
comment on table sent_back is 'Decisions that a second officer did not countersign.';

create table officer (
  kid text primary key,
  pseudonym text not null,
  certificate text not null,
  expires_at timestamptz not null,
  revoked_at timestamptz
);

create table desk_act (
  id bigint generated always as identity primary key,
  officer text not null,
  login text not null,
  act text not null,
  case_id text not null,
  request text not null,
  signed text not null,
  at timestamptz not null default now()
);
create index desk_act_case on desk_act (case_id);
comment on table desk_act is 'Who opened, decided, countersigned or undid what, and when: signed by the seat over what the officer signed.';

create table desk_update (
  id bigint generated always as identity primary key,
  case_id text not null,
  sequence int,
  revocation text
);
comment on table desk_update is 'What the orchestrator is to be told: an officer decided, or ordered a revocation.';

create table outcome (
  case_id text not null,
  sequence int not null,
  status smallint not null,
  root text not null,
  valid_until bigint not null,
  leaves jsonb not null,
  signed_at timestamptz not null default now(),
  primary key (case_id, sequence)
);
comment on table outcome is 'The one outcome of a case and sequence number that this seat has signed.';

create table credential (
  case_id text primary key,
  serial bigint not null,
  jwt text not null,
  sealed text not null,
  issued_at timestamptz not null default now()
);

create table credential_type (
  integrity text primary key,
  vct text not null,
  document bytea not null,
  since timestamptz not null default now()
);
comment on table credential_type is 'Type metadata by which this seat has issued: what a credential hashes must stay to be had.';

create table serial (
  scenario text not null,
  year int not null,
  last bigint not null,
  primary key (scenario, year)
);
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
