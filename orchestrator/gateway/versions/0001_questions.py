"""The store of one seat: its query log, what it was asked, what it answered, what it signed.

Nothing here is personal: mandates carry subjects sealed to keys, answers carry sealed or predicate disclosures.
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

STATEMENTS = """
-- One row: size and root of the log. Whoever appends holds its lock, so that the log stays linear.
create table log_head (
  only_row boolean primary key default true check (only_row),
  size bigint not null check (size >= 0),
  root bytea not null check (length(root) = 32)
);

-- Leaves in order: the canonical JSON of an entry, as it was hashed, and what became of the question.
create table log_entry (
  index bigint primary key,
  entry bytea not null,
  at timestamptz not null default now(),
  outcome text not null
);

-- Hashes of complete subtrees (RFC 9162): node (level, index) covers leaves index·2^level up to (index+1)·2^level.
create table log_node (
  level smallint not null,
  index bigint not null,
  hash bytea not null check (length(hash) = 32),
  primary key (level, index)
);

-- Batches as they were signed by their askers: the log's entries name them by hash.
create table batch (
  hash bytea primary key,
  asker smallint not null,
  received_at timestamptz not null default now(),
  jws text not null
);

-- Ids of signed requests that were used, until they expire.
create table nonce (
  asker smallint not null,
  jti text not null,
  expires_at timestamptz not null,
  primary key (asker, jti)
);
create index nonce_expiry on nonce (expires_at);

-- Mandates whose signature was good. `previous` leads from an amendment or withdrawal to what it replaces.
create table mandate (
  hash bytea primary key,
  case_id bytea not null,
  kind text not null,
  previous bytea,
  jws text not null
);
create index mandate_previous on mandate (previous) where previous is not null;

-- How often each question was asked; attempts are numbered from 1 and may have gaps where records were down.
create table question (
  id bytea primary key,
  attempts integer not null check (attempts > 0)
);

create table answer (
  question bytea not null references question (id),
  attempt integer not null,
  binding bigint not null,
  log_index bigint not null references log_entry (index),
  answered_at timestamptz not null default now(),
  envelope bytea not null,
  primary key (question, attempt)
);

-- Content-addressed scenario documents: a version is the SHA-256 of `document`.
create table definition (
  version bytea primary key,
  document bytea not null,
  stored_at timestamptz not null default now()
);

create table texts (
  version bytea not null references definition (version),
  hash bytea not null,
  document bytea not null,
  primary key (version, hash)
);

-- What this seat's chain key has signed on request, with the request.
create table signing (
  digest bytea primary key,
  kind text not null,
  asker smallint not null,
  request text not null,
  signed_at timestamptz not null default now()
);
"""

# SHA-256 of nothing: the root of an empty tree (RFC 9162, 2.1.1).
EMPTY_ROOT = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def upgrade() -> None:
    op.execute(STATEMENTS)
    op.execute(f"insert into log_head (size, root) values (0, '\\x{EMPTY_ROOT}'::bytea)")
