"""The tables of what the gateway keeps. A change here needs a migration."""

from __future__ import annotations

from typing import Final

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, MetaData, String, Table

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
    # Until when whoever writes a response vouches for it; 0 where it is written.
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
