"""What OpenRouter tells of calls that were made: one by one, and by the day."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects.openrouter.generation import encode_activity, encode_generation, generation_id_of
from trunkline.dialects.openrouter.names import second_of
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import invalid_request, not_found
from trunkline.usage.usage import Usage
from trunkline.usage.view import view_of
from trunkline.v1 import usage_pb2
from trunkline.v1.usage_pb2 import LedgerRecord, QueryUsageRequest
from trunkline.web.exchange import Exchange, json_response
from trunkline.web.mounts import Mounts
from trunkline.web.openai import encode_error

_NAME: Final = "openrouter"
_DAY: Final = 86_400
_DAYS: Final = 30
"""The days that are told of: those that are over."""


class ActivitySurface:
    """Serves `/generation` and `/activity` below OpenRouter's own of `mounts`."""

    def __init__(self, entry: Entry, mounts: Mounts, usage: Usage) -> None:
        self._mounts = mounts
        self._usage = usage
        self._exchange = Exchange(entry, "openai", encode_error)

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        handler = self._exchange.handler
        bases = [base for base, name in self._mounts.items() if name == _NAME]
        return [
            *(web.get(f"{base}/generation", handler(self._generation, _NAME)) for base in bases),
            *(web.get(f"{base}/activity", handler(self._activity, _NAME)) for base in bases),
        ]

    async def _generation(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        name = http.query.get("id", "")
        record = await self._record(name, call)
        if record is None:
            raise not_found(f"There is no generation `{name[:128]}`.", "id")
        return self._answer(encode_generation(record), call)

    async def _record(self, name: str, call: Call) -> LedgerRecord | None:
        view = view_of(call.owner)
        second = second_of(name)
        if second is not None:
            made = (one for one in await self._usage.begun(second, view) if generation_id_of(one) == name)
            entry = next(made, None)
            return None if entry is None else await self._usage.record(entry.id, view)
        return await self._usage.record(name, view)

    async def _activity(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        today = int(time.time()) // _DAY * _DAY
        start, end = today - _DAYS * _DAY, today
        asked = http.query.get("date")
        if asked is not None:
            start = _day(asked)
            if not today - _DAYS * _DAY <= start < today:
                raise invalid_request(f"`date` must be one of the last {_DAYS} days (UTC) that are over.", "date")
            end = start + _DAY
        request = QueryUsageRequest(
            bucket=usage_pb2.USAGE_BUCKET_DAY,
            group_by=[
                usage_pb2.USAGE_DIMENSION_MODEL,
                usage_pb2.USAGE_DIMENSION_SERVED_MODEL,
                usage_pb2.USAGE_DIMENSION_PROVIDER,
            ],
        )
        request.start_time.seconds, request.end_time.seconds = start, end
        request.filter.key_ids.extend(http.query.getall("api_key_hash", []))
        request.filter.user_ids.extend(http.query.getall("user_id", []))
        response = await self._usage.sums(request, view_of(call.owner))
        return self._answer(encode_activity(response.rows), call)

    def _answer(self, wire: Json, call: Call) -> web.Response:
        return json_response(dumps(wire), self._exchange.headers(call))


def _day(text: str) -> int:
    try:
        return int(datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC).timestamp())
    except ValueError:
        raise invalid_request("`date` must be a day, such as 2026-11-30.", "date") from None
