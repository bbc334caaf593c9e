"""What routing.run's clients ask of a user: his keys, and how his limits stand.

https://docs.routing.run/api-reference/usage-and-streams and https://docs.routing.run/api-reference/authentication.
"""

from __future__ import annotations

from datetime import UTC
from typing import Final

from aiohttp import web
from google.protobuf.timestamp_pb2 import Timestamp

from trunkline.access.grants import limits_of
from trunkline.access.limits.model import Standing, Unit
from trunkline.admin.keys import KeyDesk
from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects.wire import Json, Object, dumps
from trunkline.v1.keys_pb2 import Key
from trunkline.web.body import read_object
from trunkline.web.exchange import Exchange, json_response
from trunkline.web.mounts import Mounts
from trunkline.web.openai import encode_error
from trunkline.web.spending import Peek

_NAMES: Final = ("openai", "routing_run")
_WINDOWS: Final = {"r86400": "day", "r3600": "hour", "r60": "minute"}


class UserSurface:
    """Serves `/user/key` and `/user/requests` below routing.run's own of `mounts`, and OpenAI's."""

    def __init__(self, entry: Entry, mounts: Mounts, desk: KeyDesk, peek: Peek, *, body_timeout: float) -> None:
        self._mounts = {base: name for base, name in mounts.items() if name in _NAMES}
        self._exchange = Exchange(entry, "openai", encode_error)
        self._desk = desk
        self._peek = peek
        self._body_timeout = body_timeout

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        return [
            web.route(method, f"{base}/user/{path}", self._exchange.handler(answer, name))
            for base, name in self._mounts.items()
            for method, path, answer in (
                ("GET", "key", self._keys),
                ("POST", "key", self._create),
                ("DELETE", "key/{id}", self._delete),
                ("GET", "requests", self._requests),
                ("GET", "requests/hourly", self._hourly),
            )
        ]

    async def _keys(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        keys = await self._desk.keys_of_user(call)
        return self._answer({"data": [_encode(key, call.owner.plan) for key in keys]}, call)

    async def _create(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_object(http, timeout=self._body_timeout))
        made = await self._desk.create_own(wire.need_str("name"), call)
        return self._answer({**_encode(made.key, call.owner.plan), "key": made.secret}, call)

    async def _delete(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        await self._desk.delete_own(http.match_info["id"], call)
        return self._answer({"message": "API key revoked"}, call)

    async def _requests(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        told = await self._standings(call)
        day, hour, minute = (told.get(name) for name in ("day", "hour", "minute"))
        return self._answer(
            {
                "requests_used_today": _used(day),
                "requests_limit_today": _most(day),
                "requests_remaining": _left(day),
                "requests_used_this_hour": _used(hour),
                "requests_limit_this_hour": _most(hour),
                "requests_remaining_this_hour": _left(hour),
                "requests_used_this_minute": _used(minute),
                "requests_limit_per_minute": _most(minute),
                "requests_remaining_this_minute": _left(minute),
                "plan_tier": call.owner.plan,
            },
            call,
        )

    async def _hourly(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        hour = (await self._standings(call)).get("hour")
        told: Json = {"limit": _most(hour), "used": _used(hour), "remaining": _left(hour), "plan_tier": call.owner.plan}
        return self._answer(told, call)

    async def _standings(self, call: Call) -> dict[str, Standing]:
        """How the limits of requests stand, by their windows: of each the one of which the least is left."""
        limits = [one for one in limits_of(call.owner) if one.unit is Unit.REQUESTS and not one.scope]
        standings = sorted(await self._peek(limits), key=lambda one: -one.remaining)
        return {_WINDOWS[one.limit.window.code]: one for one in standings if one.limit.window.code in _WINDOWS}

    def _answer(self, wire: Json, call: Call) -> web.Response:
        return json_response(dumps(wire), self._exchange.headers(call))


def _encode(key: Key, plan: str) -> dict[str, Json]:
    return {
        "id": key.id,
        "key_prefix": key.prefix,
        "name": key.name,
        "plan_tier": key.plan or plan,
        "created_at": _time(key.create_time),
        "last_used_at": _time(key.last_use_time) if key.HasField("last_use_time") else None,
    }


def _time(time: Timestamp) -> str:
    return time.ToDatetime(UTC).isoformat().replace("+00:00", "Z")


def _used(standing: Standing | None) -> int:
    return 0 if standing is None else standing.used


def _most(standing: Standing | None) -> int:
    """Zero stands for no limit."""
    return 0 if standing is None else standing.limit.most


def _left(standing: Standing | None) -> int:
    return 0 if standing is None else standing.remaining
