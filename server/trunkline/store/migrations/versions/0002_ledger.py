"""The ledger: entries, and their sums by the hour."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TOKENS = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
_COUNTERS = (
    "calls",
    "corrections",
    "estimated",
    "unpriced",
    "attempts",
    *_TOKENS,
    "input_nanos",
    "cached_input_nanos",
    "cache_write_input_nanos",
    "output_nanos",
    "reasoning_output_nanos",
    "media_nanos",
    "request_nanos",
    "total_nanos",
    "duration_ms",
    "first_events",
    "first_event_ms",
    *(f"duration_{bucket:02}" for bucket in range(42)),
    *(f"first_event_{bucket:02}" for bucket in range(42)),
)


def upgrade() -> None:
    op.create_table(
        "ledger_entries",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        sa.Column("call_id", sa.String(128), nullable=False),
        sa.Column("corrects", sa.String(32)),
        sa.Column("started_at", sa.BigInteger, nullable=False),
        sa.Column("ended_at", sa.BigInteger, nullable=False),
        *_owners(),
        *_models(),
        sa.Column("surface", sa.String(32), nullable=False),
        sa.Column("operation", sa.String(32), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        sa.Column("streamed", sa.Boolean, nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _TOKENS),
        sa.Column("usage_estimated", sa.Boolean, nullable=False),
        sa.Column("total_nanos", sa.BigInteger, nullable=False),
        sa.Column("price_version", sa.String(128), nullable=False),
        sa.Column("first_event_ms", sa.BigInteger),
        sa.Column("duration_ms", sa.BigInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ledger_entries"),
    )
    op.create_index("ix_ledger_entries_ended_at", "ledger_entries", ["ended_at"])
    op.create_index("ix_ledger_entries_key_id", "ledger_entries", ["key_id", "ended_at"])
    op.create_index("ix_ledger_entries_model", "ledger_entries", ["model", "ended_at"])
    op.create_index("ix_ledger_entries_call_id", "ledger_entries", ["call_id"])
    op.create_index(
        "ix_ledger_entries_corrects",
        "ledger_entries",
        ["corrects"],
        sqlite_where=sa.text("corrects IS NOT NULL"),
        postgresql_where=sa.text("corrects IS NOT NULL"),
    )
    op.create_table(
        "usage_rollups",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("hour", sa.BigInteger, nullable=False),
        sa.Column("tag", sa.String(128), nullable=False),
        *_owners(),
        *_models(),
        sa.Column("surface", sa.String(32), nullable=False),
        sa.Column("operation", sa.String(32), nullable=False),
        sa.Column("outcome", sa.String(64), nullable=False),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTERS),
        sa.PrimaryKeyConstraint("id", name="pk_usage_rollups"),
    )
    op.create_index("ix_usage_rollups_hour", "usage_rollups", ["hour"])
    op.create_index("ix_usage_rollups_tag", "usage_rollups", ["tag", "hour"])
    op.create_index("ix_usage_rollups_key_id", "usage_rollups", ["key_id", "hour"])


def downgrade() -> None:
    for table in ("usage_rollups", "ledger_entries"):
        op.drop_table(table)


def _owners() -> list[sa.Column[str]]:
    names = ("organization_id", "team_id", "user_id", "key_id")
    return [sa.Column(name, sa.String(128), nullable=False) for name in names]


def _models() -> list[sa.Column[str]]:
    sizes = {"model": 256, "provider": 128, "served_model": 256}
    return [sa.Column(name, sa.String(size), nullable=False) for name, size in sizes.items()]
