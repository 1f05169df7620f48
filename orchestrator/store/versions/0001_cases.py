"""Cases, what they rest on, batches for the chain, and what the follower has read."""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
create table definition (
    version text primary key,
    scenario text not null,
    definition jsonb not null,
    texts jsonb not null,
    texts_hash text not null,
    created_at timestamptz not null default now()
);

create table principal (
    token_hash bytea primary key,
    role text not null check (role in ('operator', 'auditor')),
    label text not null,
    created_at timestamptz not null default now()
);
comment on table principal is 'Operators and auditors, by the SHA-256 of their bearer token. Officers are certified by their department, never here.';

create table session (
    token_hash bytea primary key,
    subject text not null,
    expires_at timestamptz not null
);
comment on table session is 'Applicants and agents signed in through the identity seat, by pairwise subject: no id number is known here.';

create table login (
    state text primary key,
    nonce text not null,
    code_verifier text not null,
    application text,
    created_at timestamptz not null default now()
);
comment on table login is 'Authorization requests under way at the identity seat.';

create table application (
    id text primary key,
    subject text not null,
    scenario text not null,
    version text not null,
    binding bigint not null,
    kind text not null check (kind in ('grant', 'amendment', 'withdrawal', 'contest')),
    case_id text,
    situation jsonb not null,
    situation_salt text not null,
    form jsonb,
    delivery jsonb not null,
    holder jsonb,
    materials jsonb not null default '[]',
    contest jsonb,
    created_at timestamptz not null default now()
);
comment on table application is 'What an applicant has prepared and not yet submitted.';

create table case_file (
    id text primary key,
    subject text not null,
    scenario text not null,
    version text not null,
    binding bigint not null,
    situation jsonb not null,
    situation_salt text not null,
    form jsonb,
    delivery jsonb not null,
    status smallint not null default 0,
    sequence int not null default 0,
    target smallint,
    verdict_outcome text,
    revocation text,
    day date not null,
    deadline jsonb not null,
    submitted_at timestamptz not null default now(),
    settled_at timestamptz,
    stage text not null default 'intake',
    due_at timestamptz not null default now(),
    attempts int not null default 0,
    lease_owner text,
    lease_until timestamptz,
    error jsonb
);
comment on table case_file is 'One application from submission to result. status and sequence are what the chain has confirmed; stage is where the pipeline is.';
create index case_file_due on case_file (stage, due_at) where stage not in ('waiting', 'done');
create index case_file_subject on case_file (subject, submitted_at desc);

create table mandate (
    hash text primary key,
    case_id text not null references case_file (id) on delete cascade,
    position int not null,
    jws text not null,
    unique (case_id, position)
);

create table question (
    id text primary key,
    case_id text not null references case_file (id) on delete cascade,
    mandate text not null references mandate (hash) on delete cascade,
    item text not null,
    idx int not null,
    seat int not null,
    purpose text not null,
    state text not null default 'due' check (state in ('due', 'answered', 'refused', 'unavailable', 'brought')),
    tries int not null default 0,
    asked_at timestamptz,
    next_at timestamptz not null default now(),
    attempt int,
    envelope jsonb,
    answer_hash text,
    answered_at timestamptz,
    reason text
);
create index question_case on question (case_id);
create index question_due on question (case_id) where state = 'due';

create table answer (
    hash text primary key,
    question text not null references question (id) on delete cascade,
    envelope jsonb not null,
    answered_at timestamptz not null default now()
);
create index answer_question on answer (question);
comment on table answer is 'Every answer that came: a question asked again keeps its newest, a sealed dossier rests on older ones too.';

create table material (
    case_id text not null references case_file (id) on delete cascade,
    material text not null,
    hash text not null,
    sealed jsonb not null,
    added_at timestamptz not null default now(),
    primary key (case_id, material, hash)
);
comment on table material is 'Sealed to the approvers before it came here: the orchestrator holds a salted hash and a ciphertext.';

create table verdict (
    case_id text not null references case_file (id) on delete cascade,
    sequence int not null,
    seat int not null,
    jws text not null,
    hash text not null,
    outcome text not null,
    rows jsonb not null,
    materials_wanted jsonb not null,
    primary key (case_id, sequence, seat)
);

create table contest (
    hash text primary key,
    case_id text not null references case_file (id) on delete cascade,
    question text not null references question (id) on delete cascade,
    item text not null,
    idx int not null,
    seat int not null,
    claims jsonb not null,
    answer text not null,
    jws text not null,
    statement jsonb not null,
    reply_by date not null,
    state text not null default 'new' check (state in ('new', 'open', 'refused', 'corrected', 'rejected')),
    problem jsonb,
    reply text,
    sealed jsonb not null default '{}',
    made_at timestamptz not null default now(),
    replied_at timestamptz,
    lapsed_at timestamptz,
    followed boolean not null default false
);
create index contest_case on contest (case_id, made_at);
create index contest_busy on contest (seat) where state in ('new', 'open') or not followed;
comment on table contest is 'What applicants hold to be wrong of an answer, carried to its department and back: why is sealed to the department, the reply''s reason to applicant and approvers.';
comment on column contest.followed is 'Whether the case has gone on with what became of it: first of all to its approvers, so that they know.';

create table credential (
    case_id text primary key references case_file (id) on delete cascade,
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
comment on table credential_type is 'Type metadata that credentials name by vct and hash, as the issuers gave it.';
create index credential_type_vct on credential_type (vct, since desc);

create table leaf (
    case_id text not null references case_file (id) on delete cascade,
    kind text not null,
    salt text not null,
    content text not null,
    sequence int not null,
    primary key (case_id, kind, content)
);
comment on table leaf is 'The dossier: a leaf belongs to every transition from its sequence on.';

create table batch (
    id bigint generated always as identity primary key,
    state text not null default 'signed' check (state in ('signed', 'sent', 'confirmed', 'replaced')),
    nonce bigint not null,
    tx_hash text not null,
    raw bytea not null,
    created_at timestamptz not null default now(),
    sent_at timestamptz,
    block bigint,
    gas_used bigint
);
create unique index batch_nonce on batch (nonce) where state <> 'replaced';
comment on table batch is 'A signed transaction is stored before it is sent: sending the same bytes again is harmless.';

create table sheet (
    id bigint generated always as identity primary key,
    seat int not null,
    valid_until bigint not null,
    signature text not null,
    transitions jsonb not null
);
comment on table sheet is 'What a seat signed together, in order: [[case, root, step], ...]. All of it must be in the batch that carries the sheet.';

create table transition (
    case_id text not null references case_file (id) on delete cascade,
    sequence int not null,
    status smallint not null,
    binding bigint not null,
    root text not null,
    sealed_at timestamptz not null default now(),
    sheets bigint[] not null default '{}',
    batch bigint references batch (id),
    block bigint,
    tx_hash text,
    settled_at timestamptz,
    refused text,
    primary key (case_id, sequence)
);
create index transition_batch on transition (batch);

create table seat_head (
    seat int primary key,
    size bigint not null,
    root text not null,
    signature text not null,
    anchored_size bigint not null default 0,
    anchored_root text,
    waiting_since timestamptz not null default now(),
    seen_at timestamptz not null default now()
);
comment on column seat_head.waiting_since is 'Since when there is a head that the chain does not have, or when it was last sent by itself.';
comment on column seat_head.seen_at is 'When the seat last showed its head.';

create table notice (
    id bigint generated always as identity primary key,
    subject text not null,
    case_id text not null references case_file (id) on delete cascade,
    push text not null,
    target text,
    texts jsonb not null,
    prefill jsonb not null default '{}',
    created_at timestamptz not null default now(),
    unique (case_id, push)
);

create table event (
    id bigint generated always as identity primary key,
    case_id text not null references case_file (id) on delete cascade,
    at timestamptz not null default clock_timestamp(),
    kind text not null,
    detail jsonb not null default '{}'
);
create index event_case on event (case_id, id);

create table idempotency (
    principal text not null,
    key text not null,
    request_hash bytea not null,
    status int,
    body jsonb,
    created_at timestamptz not null default now(),
    primary key (principal, key)
);

create table chain_block (
    number bigint primary key,
    hash text not null,
    parent text not null
);

create table cursor (
    name text primary key,
    value bigint not null
);
"""


def upgrade() -> None:
    """Creates every table of the orchestrator's store."""
    op.execute(TABLES)


def downgrade() -> None:
    """There is nothing before the first revision: drop the database instead."""
    raise RuntimeError("the first revision cannot be undone; drop the database")
