"""What the identity seat delivers itself, what it needs to sign a withdrawal alone, and visits to a person's own pages.

Revision ID: 0002
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.execute("""
        alter table mandate add column seats smallint[] not null default '{}', add column terms text not null default '{}';
        comment on column mandate.seats is 'Departments that the mandate names: they are told what follows it';
        comment on column mandate.terms is 'What a withdrawal repeats of the mandate: hashes and public keys, nothing personal';

        create table delivery (
            mandate text not null references mandate,
            seat smallint not null,
            jws text not null,
            due_at timestamptz not null default now(),
            attempts integer not null default 0,
            error text,
            acknowledgement text,
            primary key (mandate, seat)
        );
        create index delivery_due on delivery (due_at) where acknowledgement is null;
        comment on table delivery is 'Amendments and withdrawals on their way to departments, until each has acknowledged';

        create table visit (
            id bytea primary key,
            account text not null references account on delete cascade,
            expires_at timestamptz not null
        );
        comment on table visit is 'Browsers that are signed in to a person''s own pages';
        comment on column visit.id is 'Hash of the cookie';
    """)


def downgrade() -> None:
    op.execute("drop table visit, delivery")
    op.execute("alter table mandate drop column seats, drop column terms")
