"""The identity seat's own database: accounts, running authorisations, codes, and whose case is whose.

Revision ID: 0001
"""

from __future__ import annotations

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        create table secret (
            name text primary key,
            value bytea not null
        );
        comment on table secret is 'Keys that never leave this database: pairwise subjects, form tokens, consent links';

        create table account (
            number text primary key,
            name text not null,
            secret text not null,
            development boolean not null default false,
            attributes jsonb not null default '{}',
            failures integer not null default 0,
            locked_until timestamptz
        );
        comment on column account.secret is 'scrypt record, see accounts.py';
        comment on column account.failures is 'Wrong secrets in a row since the last success or lock';

        create table definition (
            version text primary key,
            document text not null
        );
        create table texts (
            hash text primary key,
            document text not null
        );
        comment on table definition is 'Scenario definitions by SHA-256 of their canonical JSON';

        create table assertion (
            client text not null,
            jti text not null,
            expires_at timestamptz not null,
            primary key (client, jti)
        );
        comment on table assertion is 'Client assertions already seen, until they expire';

        create table flow (
            id text primary key,
            request bytea not null unique,
            opened boolean not null default false,
            state text not null,
            expires_at timestamptz not null
        );
        comment on column flow.request is 'SHA-256 of the request_uri';
        comment on column flow.state is 'What was entered so far (JSON); deleted when signed, refused or expired';

        create table session (
            id bytea primary key,
            flow text not null references flow on delete cascade,
            consent integer,
            account text references account on delete cascade
        );
        create index on session (flow);
        comment on column session.id is 'SHA-256 of the cookie';
        comment on column session.consent is 'Which co-consent this browser answers; null for the applicant''s own';

        create table code (
            id bytea primary key,
            client text not null,
            redirect_uri text not null,
            challenge text not null,
            content text not null,
            used boolean not null default false,
            expires_at timestamptz not null
        );
        comment on column code.id is 'SHA-256 of the authorisation code';
        comment on column code.content is 'What the code is good for (JSON): subject, nonce, times, signed mandate';

        create table mandate (
            hash text primary key,
            case_id text not null,
            previous text unique,
            account text not null references account,
            kind text not null check (kind in ('grant', 'amendment', 'withdrawal')),
            binding bigint not null,
            signed_at timestamptz not null
        );
        create index on mandate (case_id);
        create unique index on mandate (case_id) where previous is null;
        comment on table mandate is 'Whose case is whose, for amendments and withdrawals; no content';
        comment on column mandate.previous is 'The mandate that this one follows: unique, so that a chain never forks';
    """)


def downgrade() -> None:
    op.execute("drop table mandate, code, session, flow, assertion, texts, definition, account, secret")
