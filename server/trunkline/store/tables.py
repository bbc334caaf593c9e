"""The tables of what the gateway keeps. A change here needs a migration."""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    String,
    Table,
    text,
)

METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
    }
)

# Times are whole seconds since the epoch, sizes bytes. What callers and models said is sealed: see `seal.py`.

RESPONSES: Final = Table(
    "responses",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("owner", String(256), nullable=False),
    Column("previous_id", String(64)),
    Column("status", String(16), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    # Until when whoever writes a response vouches for it; when it ended, where it is written.
    Column("lease_until", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("input", LargeBinary, nullable=False),
    # The headers that tell who answered, and what the target could not take.
    Column("report", LargeBinary, nullable=False),
    Index(None, "expires_at"),
    # Holds all that is asked to find what there is no room for.
    Index(None, "owner", "expires_at", "size"),
)

RESPONSE_ITEMS: Final = Table(
    "response_items",
    METADATA,
    Column("id", String(128), primary_key=True),
    Column("response_id", String(64), primary_key=True, index=True),
)
"""Which responses an item of an answer stands in: callers may name items instead of sending them."""

RESPONSE_EVENTS: Final = Table(
    "response_events",
    METADATA,
    Column("response_id", String(64), primary_key=True),
    # The number of the first event in `body`, and how many there are.
    Column("first", Integer, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The events of responses in the background, while they run and shortly after."""

CONVERSATIONS: Final = Table(
    "conversations",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("owner", String(256), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("metadata", LargeBinary, nullable=False),
    Index(None, "expires_at"),
    Index(None, "owner", "expires_at", "size"),
)

CONVERSATION_ITEMS: Final = Table(
    "conversation_items",
    METADATA,
    Column("conversation_id", String(64), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("id", String(128), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(None, "conversation_id", "id"),
)

# The ledger: times are microseconds since the epoch, and money is in nano-dollars. A `body` is the whole
# `trunkline.v1.LedgerEntry`; its columns, cut to size, are what it is found and counted by.

TOKENS: Final = (
    "input_tokens",
    "cached_input_tokens",
    "cache_write_input_tokens",
    "output_tokens",
    "reasoning_output_tokens",
)
"""The counts of `trunkline.v1.Usage`."""

COSTS: Final = (
    "input_nanos",
    "cached_input_nanos",
    "cache_write_input_nanos",
    "output_nanos",
    "reasoning_output_nanos",
    "media_nanos",
    "request_nanos",
    "total_nanos",
)
"""The fields of `trunkline.v1.Cost`."""

LEDGER_ENTRIES: Final = Table(
    "ledger_entries",
    METADATA,
    Column("id", String(32), primary_key=True),
    Column("kind", SmallInteger, nullable=False),
    Column("call_id", String(128), nullable=False),
    Column("corrects", String(32)),
    Column("started_at", BigInteger, nullable=False),
    Column("ended_at", BigInteger, nullable=False),
    Column("organization_id", String(128), nullable=False),
    Column("team_id", String(128), nullable=False),
    Column("user_id", String(128), nullable=False),
    Column("key_id", String(128), nullable=False),
    Column("model", String(256), nullable=False),
    Column("provider", String(128), nullable=False),
    Column("served_model", String(256), nullable=False),
    Column("surface", String(32), nullable=False),
    Column("operation", String(32), nullable=False),
    Column("outcome", String(64), nullable=False),
    Column("streamed", Boolean, nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in TOKENS),
    Column("usage_estimated", Boolean, nullable=False),
    Column("total_nanos", BigInteger, nullable=False),
    Column("price_version", String(128), nullable=False),
    Column("first_event_ms", BigInteger),
    Column("duration_ms", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(None, "ended_at"),
    Index(None, "key_id", "ended_at"),
    Index(None, "model", "ended_at"),
    Index(None, "call_id"),
    Index(
        None,
        "corrects",
        sqlite_where=text("corrects IS NOT NULL"),
        postgresql_where=text("corrects IS NOT NULL"),
    ),
)
"""What each call used and cost. Rows are never changed."""

LATENCY_BUCKETS: Final = 42
"""Bucket n of a histogram holds what took longer than 2^((n - 1) / 2) ms and at most 2^(n / 2) ms; the first also what
took less, the last, above 18 minutes, also what took longer."""

DIMENSIONS: Final = (
    "hour",
    "tag",
    "organization_id",
    "team_id",
    "user_id",
    "key_id",
    "model",
    "provider",
    "served_model",
    "surface",
    "operation",
    "outcome",
)
"""What tells the rows of `usage_rollups` apart."""

COUNTERS: Final = (
    "calls",
    "corrections",
    "estimated",
    "unpriced",
    "attempts",
    *TOKENS,
    *COSTS,
    "duration_ms",
    "first_events",
    "first_event_ms",
    *(f"duration_{bucket:02}" for bucket in range(LATENCY_BUCKETS)),
    *(f"first_event_{bucket:02}" for bucket in range(LATENCY_BUCKETS)),
)
"""What the rows of `usage_rollups` count."""

USAGE_ROLLUPS: Final = Table(
    "usage_rollups",
    METADATA,
    # A digest of the dimensions.
    Column("id", String(32), primary_key=True),
    # The beginning of the hour in which the call ended, in seconds since the epoch.
    Column("hour", BigInteger, nullable=False),
    # Each entry is counted once under the empty tag, and once under each of its own.
    Column("tag", String(128), nullable=False),
    Column("organization_id", String(128), nullable=False),
    Column("team_id", String(128), nullable=False),
    Column("user_id", String(128), nullable=False),
    Column("key_id", String(128), nullable=False),
    Column("model", String(256), nullable=False),
    Column("provider", String(128), nullable=False),
    Column("served_model", String(256), nullable=False),
    Column("surface", String(32), nullable=False),
    Column("operation", String(32), nullable=False),
    Column("outcome", String(64), nullable=False),
    *(Column(name, BigInteger, nullable=False) for name in COUNTERS),
    Index(None, "hour"),
    Index(None, "tag", "hour"),
    Index(None, "key_id", "hour"),
)
"""The sums of `ledger_entries`, by the hour."""

LEDGER_STATE: Final = Table(
    "ledger_state",
    METADATA,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""From when on there still are entries (`entries_from`) and sums (`sums_from`), in seconds since the epoch."""

USAGE_PERIODS: Final = Table(
    "usage_periods",
    METADATA,
    # See `ledger/summaries.py`.
    Column("span", SmallInteger, primary_key=True, autoincrement=False),
    Column("start", BigInteger, primary_key=True, autoincrement=False),
    Column("folded", Boolean, nullable=False),
)
"""The days and months that have any sums, in UTC, and whether `usage_summaries` has all of what is in them."""

SUMMARY_COUNTERS: Final = ("errors", *COUNTERS)
"""What the rows of `usage_summaries` count."""

_HISTOGRAM: Final = frozenset(name for name in COUNTERS if name[-2:].isdigit())

USAGE_SUMMARIES: Final = Table(
    "usage_summaries",
    METADATA,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("facet", SmallInteger, nullable=False),
    Column("span", SmallInteger, nullable=False),
    Column("start", BigInteger, nullable=False),
    # Those that are not of the facet are empty.
    *(
        Column(column.name, String(column.type.length), nullable=False)
        for column in USAGE_ROLLUPS.columns
        if column.name in DIMENSIONS and isinstance(column.type, String)
    ),
    # Most buckets of a histogram hold nothing, and nothing takes no room.
    *(Column(name, BigInteger, nullable=name in _HISTOGRAM) for name in SUMMARY_COUNTERS),
    Index(None, "facet", "span", "start"),
    Index(None, "key_id", "facet", "span", "start"),
)
"""The sums of `usage_rollups` over longer spans and fewer dimensions: what is asked for most is read from few rows."""

# Keys and their owners. A `body` is the whole message of `keys.proto`; its columns are what it is found by. A `version`
# is that of the change that touched the row last. Rows are not removed, only emptied: an id is never given twice.

ACCESS_STATE: Final = Table(
    "access_state",
    METADATA,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("version", BigInteger, nullable=False),
    # Whether there ever was a key that is no admin's: from then on one is needed.
    Column("closed", Boolean, nullable=False),
    # What the digests of secrets are keyed by, unless the configuration gives it.
    Column("pepper", LargeBinary, nullable=False),
    # The digest of nothing, by which another pepper is noticed.
    Column("probe", LargeBinary, nullable=False),
)
"""One row: what every replica asks for again and again."""

API_KEYS: Final = Table(
    "api_keys",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("digest", LargeBinary(32), unique=True),
    Column("old_digest", LargeBinary(32), unique=True),
    Column("old_expires_at", BigInteger, nullable=False),
    Column("organization_id", String(64), nullable=False),
    Column("team_id", String(64), nullable=False),
    Column("user_id", String(64), nullable=False),
    Column("admin", Boolean, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    Column("deleted_at", BigInteger),
    Column("version", BigInteger, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Index(None, "version"),
    Index(None, "organization_id"),
    Index(None, "team_id"),
    Index(None, "user_id"),
)


def _owners(name: str, *columns: Column[Any]) -> Table:
    return Table(
        name,
        METADATA,
        Column("id", String(64), primary_key=True),
        *columns,
        Column("deleted_at", BigInteger),
        Column("version", BigInteger, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Index(None, "version"),
        *(Index(None, column.name) for column in columns if column.name != "subject"),
    )


ORGANIZATIONS: Final = _owners("organizations")
TEAMS: Final = _owners("teams", Column("organization_id", String(64), nullable=False))
USERS: Final = _owners(
    "users",
    Column("organization_id", String(64), nullable=False),
    Column("team_id", String(64), nullable=False),
    Column("subject", String(256), unique=True),
)

ROUTING_RULES: Final = Table(
    "routing_rules",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("priority", Integer, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    Column("deleted", Boolean, nullable=False),
    Column("body", LargeBinary, nullable=False),
)
"""The rules that were made by API. A deleted one stays as a row without a body, so that replicas hear of it."""
