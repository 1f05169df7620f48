"""Who asked about whom, for the person who asks that; and what the identity seat delivered by itself."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

STATEMENTS = """
create table index_secret (
  id bigint generated always as identity primary key,
  sealed text not null
);
comment on table index_secret is
  'From which the tokens of tables look and access are made, sealed to the seat''s own key: not to be had from this database.';

create table look (
  token bytea not null,
  index bigint not null references log_entry (index),
  part text not null,
  role text not null,
  mandate bytea not null references mandate (hash),
  item text not null,
  place smallint not null,
  purpose text not null,
  primary key (token, index, part)
);
comment on column look.token is 'HMAC of day and identifier: whom a logged question is about, for who knows the identifier and the secret.';

create table access (
  token bytea not null,
  index bigint primary key references log_entry (index),
  asker smallint not null,
  at bigint not null,
  jws text not null
);
create index access_token on access (token);
comment on table access is 'Signed requests by which a person had the list shown to them.';

create table notice (
  mandate bytea primary key references mandate (hash),
  index bigint not null references log_entry (index),
  at bigint not null
);
comment on table notice is 'Amendments and withdrawals that the identity seat delivered itself, with their place in the log.';

alter table mandate add column issuer smallint not null;
create index mandate_withdrawn on mandate (case_id) where kind = 'withdrawal';
alter table answer add column case_id bytea not null, add column issuer smallint not null, add column kinds bytea not null;
comment on column answer.issuer is 'The identity seat that issued the mandate.';
comment on column answer.kinds is 'What was answered in kind, encrypted under an index secret: no values.';
alter table desk_update add column withdrawal text;
comment on column desk_update.withdrawal is 'A withdrawal that the identity seat delivered.';
"""


def upgrade() -> None:
    op.execute(STATEMENTS)
