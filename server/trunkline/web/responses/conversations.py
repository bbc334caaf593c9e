"""OpenAI's Conversations, which Responses go on from."""

from __future__ import annotations

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects.wire import Json, Object, dumps
from trunkline.errors import GatewayError, invalid_request
from trunkline.store.conversations import Conversation
from trunkline.store.stores import Stores
from trunkline.web.body import object_of, read_body, read_object
from trunkline.web.exchange import Exchange, json_response
from trunkline.web.mounts import Mounts
from trunkline.web.responses.pages import page
from trunkline.web.responses.surface import encode_error
from trunkline.web.responses.turn import input_items, named

_MOST_ITEMS = 20
"""The most items that are added at once."""


class ConversationsSurface:
    """Serves `/conversations` and what is below it."""

    def __init__(self, entry: Entry, stores: Stores, mounts: Mounts, *, body_timeout: float, keep_alive: float) -> None:
        self._mounts = mounts
        self._exchange = Exchange(entry, "responses", encode_error)
        self._store = stores.conversations
        self._body_timeout = body_timeout

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        answers = (
            ("POST", "", self._create),
            ("GET", "/{id}", self._get),
            ("POST", "/{id}", self._change),
            ("DELETE", "/{id}", self._delete),
            ("GET", "/{id}/items", self._items),
            ("POST", "/{id}/items", self._add),
            ("GET", "/{id}/items/{item}", self._item),
            ("DELETE", "/{id}/items/{item}", self._remove),
        )
        return [
            web.route(method, f"{base}/conversations{path}", self._exchange.handler(answer, name))
            for base, name in self._mounts.items()
            for method, path, answer in answers
        ]

    async def _create(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        body = await read_body(http, timeout=self._body_timeout)
        wire = Object(object_of(body) if body else {})
        made = await self._store.create(call.owner.account, _metadata(wire), _items(wire))
        return self._told(made, call)

    async def _get(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        return self._told(await self._store.get(http.match_info["id"], call.owner.account), call)

    async def _change(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        wire = Object(await read_object(http, timeout=self._body_timeout))
        return self._told(await self._store.change(http.match_info["id"], call.owner.account, _metadata(wire)), call)

    async def _delete(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        name = http.match_info["id"]
        await self._store.delete(name, call.owner.account)
        return self._json({"id": name, "object": "conversation.deleted", "deleted": True}, call)

    async def _items(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        return self._json(page(await self._store.items(http.match_info["id"], call.owner.account), http.query), call)

    async def _add(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        items = _items(Object(await read_object(http, timeout=self._body_timeout)))
        if not items:
            raise invalid_request("`items` must hold at least one item.", "items")
        await self._store.append(http.match_info["id"], call.owner.account, items)
        return self._json(page(items, {"order": "asc", "limit": str(_MOST_ITEMS)}), call)

    async def _item(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        found = await self._store.item(http.match_info["id"], call.owner.account, http.match_info["item"])
        return self._json(found, call)

    async def _remove(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        name = http.match_info["id"]
        await self._store.delete_item(name, call.owner.account, http.match_info["item"])
        return self._told(await self._store.get(name, call.owner.account), call)

    def _told(self, found: Conversation, call: Call) -> web.Response:
        body = {
            "id": found.id,
            "object": "conversation",
            "created_at": found.created_at,
            "metadata": found.metadata,
        }
        return self._json(body, call)

    def _json(self, body: Json, call: Call) -> web.Response:
        return json_response(dumps(body), self._exchange.headers(call))


def _metadata(wire: Object) -> dict[str, Json]:
    inner = wire.take("metadata")
    if inner is None:
        return {}
    if not isinstance(inner, dict) or not all(isinstance(value, str) for value in inner.values()):
        raise invalid_request("`metadata` must be an object of strings.", "metadata")
    return inner


def _items(wire: Object) -> list[dict[str, Json]]:
    given = wire.take("items")
    if given is None:
        return []
    if not isinstance(given, list):
        raise invalid_request("`items` must be an array of items.", "items")
    try:
        items = input_items(Object({"input": given}))
    except GatewayError as error:
        param = (error.param or "").replace("input", "items")
        raise invalid_request(error.message.replace("input", "items"), param) from None
    if len(items) > _MOST_ITEMS:
        raise invalid_request(f"`items` must hold at most {_MOST_ITEMS} items.", "items")
    return named(items)
