"""A question about sums, checked."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.errors import invalid_request
from trunkline.ledger.calendar import DAY, HOUR, MICROS, MINUTE, day_of, month_of
from trunkline.ledger.rows import micros
from trunkline.usage.filters import Filter, filter_of
from trunkline.usage.view import View
from trunkline.v1 import usage_pb2
from trunkline.v1.usage_pb2 import QueryUsageRequest, UsageDimension

_USUAL: Final = 30 * DAY
"""Seconds before its end that a question is about where it does not say."""

_MOST_GROUPS: Final = 4
_LONGEST_KEY: Final = 128

COLUMNS: Final[Mapping[UsageDimension.ValueType, str]] = {
    usage_pb2.USAGE_DIMENSION_KEY: "key_id",
    usage_pb2.USAGE_DIMENSION_USER: "user_id",
    usage_pb2.USAGE_DIMENSION_TEAM: "team_id",
    usage_pb2.USAGE_DIMENSION_ORGANIZATION: "organization_id",
    usage_pb2.USAGE_DIMENSION_MODEL: "model",
    usage_pb2.USAGE_DIMENSION_SERVED_MODEL: "served_model",
    usage_pb2.USAGE_DIMENSION_PROVIDER: "provider",
    usage_pb2.USAGE_DIMENSION_SURFACE: "surface",
    usage_pb2.USAGE_DIMENSION_OPERATION: "operation",
    usage_pb2.USAGE_DIMENSION_OUTCOME: "outcome",
    usage_pb2.USAGE_DIMENSION_TAG: "tag",
    usage_pb2.USAGE_DIMENSION_METADATA: "metadata",
}
"""The names of the dimensions: columns of `usage_rollups` but for the last, and fields of `UsageGroup`."""


class Bucket(IntEnum):
    """The spans of time to tell usage by, numbered as in the contract."""

    WHOLE = 0
    MINUTE = 1
    HOUR = 2
    DAY = 3
    MONTH = 4

    def start(self, moment: int) -> int:
        """The beginning of the span that `moment`, in seconds since the epoch, is in; 0 where there is one for all."""
        match self:
            case Bucket.WHOLE:
                return 0
            case Bucket.MINUTE:
                return moment - moment % MINUTE
            case Bucket.HOUR:
                return moment - moment % HOUR
            case Bucket.DAY:
                return day_of(moment)
        return month_of(moment)


@dataclass(frozen=True, slots=True)
class Question:
    """Which sums are asked for. `start` and `end` are microseconds since the epoch."""

    start: int
    end: int
    bucket: Bucket
    groups: tuple[str, ...]
    filter: Filter
    metadata_key: str = ""
    latencies: bool = False

    @property
    def by_entry(self) -> bool:
        """Whether entries must be read one by one, as no sums are told apart by what is asked."""
        return self.bucket is Bucket.MINUTE or "metadata" in self.groups or bool(self.filter.metadata)

    @property
    def names(self) -> set[str]:
        """The dimensions that the sums must be told apart by."""
        return {*self.groups, *self.filter.columns, *(("tag",) if self.filter.tags else ())}


def question_of(request: QueryUsageRequest, view: View) -> Question:
    """The question of a request, within what may be seen. Raises `GatewayError` (INVALID_REQUEST)."""
    end = moment_of(request.end_time, "end_time") if request.HasField("end_time") else time.time_ns() // 1000
    start = moment_of(request.start_time, "start_time") if request.HasField("start_time") else end - _USUAL * MICROS
    check_range(start, end)
    if int(request.bucket) not in list(Bucket):
        raise invalid_request("`bucket` is none that there is.", "bucket")
    asked = tuple(request.group_by)
    if len(asked) > _MOST_GROUPS or len(set(asked)) != len(asked):
        raise invalid_request(f"`group_by` takes at most {_MOST_GROUPS} dimensions, each once.", "group_by")
    if any(one not in COLUMNS for one in asked):
        raise invalid_request("`group_by` has a dimension that there is not.", "group_by")
    groups = tuple(COLUMNS[one] for one in asked)
    if ("metadata" in groups) != bool(request.metadata_key):
        raise invalid_request(
            "`metadata_key` and the dimension `USAGE_DIMENSION_METADATA` go together.", "metadata_key"
        )
    if len(request.metadata_key) > _LONGEST_KEY:
        raise invalid_request(f"`metadata_key` is longer than {_LONGEST_KEY} characters.", "metadata_key")
    wanted = filter_of(request.filter, view)
    if len(wanted.tags) > 1:
        raise invalid_request("`filter.tags` takes one tag here: calls that have two would count twice.", "filter.tags")
    return Question(start, end, Bucket(request.bucket), groups, wanted, request.metadata_key, request.latencies)


def moment_of(time: Timestamp, field: str) -> int:
    """Microseconds since the epoch. Raises `GatewayError` (INVALID_REQUEST)."""
    try:
        time.ToDatetime()
    except (ValueError, OverflowError):
        raise invalid_request(f"`{field}` is no time.", field) from None
    # What began within a microsecond is not before it.
    return micros(time) + (time.nanos % 1000 > 0)


def check_range(start: int, end: int) -> None:
    """Raises `GatewayError` (INVALID_REQUEST) where the end is before the start."""
    if start > end:
        raise invalid_request("`start_time` is after `end_time`.", "start_time")
