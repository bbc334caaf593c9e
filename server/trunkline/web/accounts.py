"""What OpenRouter's clients ask of keys: the one they call with, its credits, and, for admins, all of them."""

from __future__ import annotations

from datetime import UTC
from typing import Final

from aiohttp import web

from trunkline.access.grants import limits_in, limits_of
from trunkline.access.limits.model import MOST, TOTAL, Unit
from trunkline.admin.caller import check_admin
from trunkline.admin.keys import KeyDesk
from trunkline.call import ANYONE, Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects.openrouter.keys import (
    Budget,
    Spent,
    budget_of,
    decode_change,
    decode_new,
    encode_current,
    encode_key,
)
from trunkline.dialects.wire import Json, Object, dumps
from trunkline.errors import GatewayError, invalid_request
from trunkline.v1 import errors_pb2
from trunkline.v1.keys_pb2 import (
    CreateKeyRequest,
    DeleteKeyRequest,
    GetKeyRequest,
    Key,
    ListKeysRequest,
    UpdateKeyRequest,
)
from trunkline.web.body import read_object
from trunkline.web.exchange import Exchange, json_response
from trunkline.web.mounts import Mounts
from trunkline.web.openai import encode_error
from trunkline.web.spending import Spending, least

_NAME: Final = "openrouter"
_NANO: Final = 1_000_000_000
_PAGE: Final = 100


class AccountSurface:
    """Serves `/key` and `/credits`, and `/keys` for admins, below OpenRouter's own of `mounts`."""

    def __init__(self, entry: Entry, mounts: Mounts, desk: KeyDesk, spending: Spending, *, body_timeout: float) -> None:
        self._bases = [base for base, name in mounts.items() if name == _NAME]
        self._exchange = Exchange(entry, "openai", encode_error)
        self._desk = desk
        self._spending = spending
        self._body_timeout = body_timeout

    def routes(self) -> list[web.RouteDef]:
        """The routes of whoever has a key."""
        handler = self._exchange.handler
        return [
            web.get(f"{base}/{path}", handler(answer, _NAME))
            for base in self._bases
            for path, answer in (("key", self._key), ("auth/key", self._key), ("credits", self._credits))
        ]

    def admin_routes(self) -> list[web.RouteDef]:
        """The routes of admins."""
        handler = self._exchange.handler
        one = "keys/{hash}"
        return [
            web.route(method, f"{base}/{path}", handler(answer, _NAME))
            for base in self._bases
            for method, path, answer in (
                ("GET", "keys", self._list),
                ("POST", "keys", self._create),
                ("GET", one, self._get),
                ("PATCH", one, self._change),
                ("DELETE", one, self._delete),
            )
        ]

    async def _key(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        owner = call.owner
        if owner is ANYONE:
            raise GatewayError(errors_pb2.ERROR_REASON_UNAUTHENTICATED, "There is no key to tell of: none was given.")
        spent = (await self._spending.of_keys([owner.key_id])).get(owner.key_id, Spent()) if owner.key_id else Spent()
        budget = least(await self._spending.peek(limits_of(owner)))
        key = await self._desk.own_key(owner)
        told = encode_current(
            owner.name if key is None else f"{key.prefix}...",
            spent,
            budget,
            admin=owner.admin,
            user=owner.user_id,
            expires=None if key is None or not key.HasField("expire_time") else _time(key),
        )
        return self._answer(told, call)

    async def _credits(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        """What may be spent in all, and what was: of an admin, by everyone. What is not limited is told as the most
        that a counter holds."""
        if call.owner.admin:
            used, most = await self._spending.in_all(), MOST
        else:
            totals = [one for one in limits_of(call.owner) if one.unit is Unit.MONEY and one.window == TOTAL]
            standings = await self._spending.peek([one for one in totals if not one.scope])
            found = min(standings, key=lambda one: one.remaining, default=None)
            used, most = (0, MOST) if found is None else (found.used, found.limit.most)
        return self._answer({"data": {"total_credits": most / _NANO, "total_usage": used / _NANO}}, call)

    async def _list(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        check_admin(call)
        offset = _offset(http.query.get("offset", "0"))
        every = http.query.get("include_disabled", "").lower() in ("true", "1")
        request = ListKeysRequest(page_size=1000, organization_id=http.query.get("workspace_id", ""))
        listed: list[Key] = []
        while len(listed) < offset + _PAGE:
            page = await self._desk.list_keys(request, call)
            listed += [key for key in page.keys if every or not key.disabled]
            request.page_token = page.next_page_token
            if not page.next_page_token:
                break
        return self._answer({"data": await self._told(listed[offset : offset + _PAGE])}, call)

    async def _create(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        check_admin(call)
        key = decode_new(Object(await read_object(http, timeout=self._body_timeout)))
        made = await self._desk.create_key(CreateKeyRequest(key=key), call)
        (told,) = await self._told([made.key])
        return self._answer({"data": told, "key": made.secret}, call, status=201)

    async def _get(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        key = await self._desk.get_key(GetKeyRequest(id=http.match_info["hash"]), call)
        (told,) = await self._told([key])
        return self._answer({"data": told}, call)

    async def _change(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        key = await self._desk.get_key(GetKeyRequest(id=http.match_info["hash"]), call)
        wire = Object(await read_object(http, timeout=self._body_timeout))
        request = UpdateKeyRequest(key=key)
        request.update_mask.paths.extend(decode_change(wire, request.key))
        if request.update_mask.paths:
            key = await self._desk.update_key(request, call)
        (told,) = await self._told([key])
        return self._answer({"data": told}, call)

    async def _delete(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        await self._desk.delete_key(DeleteKeyRequest(id=http.match_info["hash"]), call)
        return self._answer({"deleted": True}, call)

    async def _told(self, keys: list[Key]) -> list[Json]:
        spent = await self._spending.of_keys([key.id for key in keys])
        return [encode_key(key, spent.get(key.id, Spent()), await self._budget(key)) for key in keys]

    async def _budget(self, key: Key) -> Budget | None:
        asked = budget_of(key.limits)
        if asked is None:
            return None
        most, reset = asked
        limits = [one for one in limits_in(key.limits, f"key:{key.id}", "key") if one.unit is Unit.MONEY]
        standings = await self._spending.peek([one for one in limits if one.most == most and not one.scope])
        return Budget(most, min((one.remaining for one in standings), default=most), reset)

    def _answer(self, wire: Json, call: Call, status: int = 200) -> web.Response:
        return json_response(dumps(wire), self._exchange.headers(call), status)


def _time(key: Key) -> str:
    return key.expire_time.ToDatetime(UTC).isoformat().replace("+00:00", "Z")


def _offset(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise invalid_request("`offset` must be a whole number.", "offset")
    return int(text)
