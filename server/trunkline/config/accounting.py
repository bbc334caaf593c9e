"""How calls are counted and recorded."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from trunkline.config.section import Section
from trunkline.config.values import Count, Size, Text, Token


class LedgerConfig(Section):
    """The ledger, in which each call is recorded with what it used and cost; docs/ledger.md tells what it promises."""

    enabled: bool | None = Field(
        default=None, description="Whether calls are recorded. By default they are, unless `store.url` is `:memory:`."
    )
    folder: Text | None = Field(
        default=None,
        description="Where calls are recorded before they go to the database: a folder on a disk of this machine, "
        "whose syncs are real. By default the folder of the data.",
    )
    segment_bytes: Size = Field(default=8 << 20, description="How large one file of the journal is.")
    keep_free_bytes: Size = Field(
        default=256 << 20, description="How much of the disk is left to others: below it, no new call is taken."
    )
    entries_days: Count | None = Field(
        default=None,
        description="For how many days entries are kept. Their sums stay: whole hours are told as before. By default "
        "as long as the sums.",
    )
    retention_days: Count | None = Field(
        default=None,
        description="For how many days the sums of entries are kept, and the entries at the most. By default for ever.",
    )
    unpriced: Literal["allow", "refuse_limited", "refuse"] = Field(
        default="refuse_limited",
        description="What becomes of calls of models whose price is not known: all are taken, those of callers with a "
        "limit of money are not, or none is. What is taken is recorded without a cost, which is not the same as 0.",
    )


class CountersConfig(Section):
    """Where limits are counted; docs/limits.md tells how."""

    url: Token | None = Field(
        default=None,
        description="A Valkey or Redis that all replicas share, such as `redis://host:6379/0` or "
        "`unix:///run/valkey.sock`. Without it each process counts by itself.",
    )
    when_away: Literal["refuse", "local"] = Field(
        default="refuse",
        description="What becomes of calls while it cannot be reached: they are refused, or each replica lets in its "
        "share of each limit.",
    )
    replicas: Count = Field(default=1, description="How many replicas share it: what the share is reckoned by.")
