"""Sums of sums: by the day and the month, and what is still kept of the ledger."""

from datetime import UTC, datetime

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SIZES = {
    "tag": 128,
    "organization_id": 128,
    "team_id": 128,
    "user_id": 128,
    "key_id": 128,
    "model": 256,
    "provider": 128,
    "served_model": 256,
    "surface": 32,
    "operation": 32,
    "outcome": 64,
}
_COUNTERS = (
    "errors",
    "calls",
    "corrections",
    "estimated",
    "unpriced",
    "attempts",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
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
)
_HISTOGRAMS = tuple(f"{name}_{bucket:02}" for name in ("duration", "first_event") for bucket in range(42))

_DAY = 86_400


def upgrade() -> None:
    op.create_table(
        "ledger_state",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("value", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_ledger_state"),
    )
    periods = op.create_table(
        "usage_periods",
        sa.Column("span", sa.SmallInteger, nullable=False, autoincrement=False),
        sa.Column("start", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("folded", sa.Boolean, nullable=False),
        sa.PrimaryKeyConstraint("span", "start", name="pk_usage_periods"),
    )
    op.create_table(
        "usage_summaries",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("facet", sa.SmallInteger, nullable=False),
        sa.Column("span", sa.SmallInteger, nullable=False),
        sa.Column("start", sa.BigInteger, nullable=False),
        *(sa.Column(name, sa.String(size), nullable=False) for name, size in _SIZES.items()),
        *(sa.Column(name, sa.BigInteger, nullable=False) for name in _COUNTERS),
        *(sa.Column(name, sa.BigInteger) for name in _HISTOGRAMS),
        sa.PrimaryKeyConstraint("id", name="pk_usage_summaries"),
    )
    op.create_index("ix_usage_summaries_facet", "usage_summaries", ["facet", "span", "start"])
    op.create_index("ix_usage_summaries_key_id", "usage_summaries", ["key_id", "facet", "span", "start"])
    # What is there already is folded by the gateway when it runs. From day to day by the index, as there may be very
    # many rows of each.
    rollups = sa.table("usage_rollups", sa.column("hour", sa.BigInteger))
    connection = op.get_bind()
    hour = connection.execute(sa.select(sa.func.min(rollups.c.hour))).scalar()
    months = set()
    while hour is not None:
        day = hour - hour % _DAY
        month = _month(day)
        rows = [{"span": 1, "start": day, "folded": False}]
        if month not in months:
            months.add(month)
            rows.append({"span": 2, "start": month, "folded": False})
        connection.execute(periods.insert(), rows)
        later = sa.select(sa.func.min(rollups.c.hour)).where(rollups.c.hour >= day + _DAY)
        hour = connection.execute(later).scalar()


def downgrade() -> None:
    for table in ("usage_summaries", "usage_periods", "ledger_state"):
        op.drop_table(table)


def _month(day: int) -> int:
    """The beginning of the month that a day is in."""
    return int(datetime.fromtimestamp(day, UTC).replace(day=1).timestamp())
