"""Keys and their owners."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_TABLES = ("access_state", "api_keys", "organizations", "teams", "users")


def upgrade() -> None:
    op.create_table(
        "access_state",
        sa.Column("id", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("pepper", sa.LargeBinary, nullable=False),
        sa.Column("probe", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_access_state"),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(64), nullable=False),
        sa.Column("digest", sa.LargeBinary(32)),
        sa.Column("old_digest", sa.LargeBinary(32)),
        sa.Column("old_expires_at", sa.BigInteger, nullable=False),
        sa.Column("organization_id", sa.String(64), nullable=False),
        sa.Column("team_id", sa.String(64), nullable=False),
        sa.Column("user_id", sa.String(64), nullable=False),
        sa.Column("admin", sa.Boolean, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_api_keys"),
        sa.UniqueConstraint("digest", name="uq_api_keys_digest"),
        sa.UniqueConstraint("old_digest", name="uq_api_keys_old_digest"),
    )
    for column in ("version", "organization_id", "team_id", "user_id"):
        op.create_index(f"ix_api_keys_{column}", "api_keys", [column])
    _owners("organizations")
    _owners("teams", sa.Column("organization_id", sa.String(64), nullable=False))
    _owners(
        "users",
        sa.Column("organization_id", sa.String(64), nullable=False),
        sa.Column("team_id", sa.String(64), nullable=False),
        sa.Column("subject", sa.String(256)),
        sa.UniqueConstraint("subject", name="uq_users_subject"),
    )
    op.create_index("ix_teams_organization_id", "teams", ["organization_id"])
    op.create_index("ix_users_organization_id", "users", ["organization_id"])
    op.create_index("ix_users_team_id", "users", ["team_id"])


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)


def _owners(name: str, *more: sa.Column[str] | sa.UniqueConstraint) -> None:
    op.create_table(
        name,
        sa.Column("id", sa.String(64), nullable=False),
        *more,
        sa.Column("deleted_at", sa.BigInteger),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name=f"pk_{name}"),
    )
    op.create_index(f"ix_{name}_version", name, ["version"])
