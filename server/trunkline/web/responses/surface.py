"""OpenAI's Responses, over any provider: the conversation is kept here."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Final

from aiohttp import web

from trunkline.call import Call
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.dialects import responses
from trunkline.dialects.wire import Json, dumps
from trunkline.errors import GatewayError, invalid_request
from trunkline.store.responses import RUNNING, Stored
from trunkline.store.stores import Stores
from trunkline.web.body import read_request
from trunkline.web.events import EventStream
from trunkline.web.exchange import Exchange, json_response
from trunkline.web.mounts import Mounts
from trunkline.web.responses.background import Background, report
from trunkline.web.responses.follow import failed, follow
from trunkline.web.responses.frames import Frames, adopt, completed
from trunkline.web.responses.pages import page
from trunkline.web.responses.tokenrouter import RouterFrames, has_own_events
from trunkline.web.responses.turn import Turn, begin
from trunkline.web.skins.table import skin_of
from trunkline.web.stream import send_stream

_CODES: Final = {"previous_response_id": "previous_response_not_found"}
"""What OpenAI calls an error about a field."""

_VERSION: Final = "2020-10-01"
"""What OpenAI's own answers give as their `openai-version`."""

_NOTHING: Final[Mapping[str, str]] = {}


def encode_error(error: GatewayError, request_id: str) -> Json:
    """OpenAI's error object. What is missing here is no model, unless the model is."""
    wire = responses.encode_error(error)
    inner = wire["error"]
    if inner["code"] == "model_not_found" and error.param != "model":
        inner["code"] = None
    elif error.param in _CODES and "not found" in error.message:
        inner["code"] = _CODES[error.param]
    return wire


class ResponsesSurface:
    """Serves `/responses` and what is below it, below each of `mounts`."""

    def __init__(self, entry: Entry, stores: Stores, mounts: Mounts, *, body_timeout: float, keep_alive: float) -> None:
        self._mounts = mounts
        self._exchange = Exchange(entry, "responses", encode_error)
        self._stores = stores
        self._background = Background(entry, stores)
        self._body_timeout = body_timeout
        self._keep_alive = keep_alive

    def routes(self) -> list[web.RouteDef]:
        """The routes to mount."""
        answers = (
            ("POST", "", self._create),
            ("POST", "/input_tokens", self._count),
            ("POST", "/compact", self._compact),
            ("GET", "/{id}", self._get),
            ("DELETE", "/{id}", self._delete),
            ("POST", "/{id}/cancel", self._cancel),
            ("GET", "/{id}/input_items", self._items),
        )
        return [
            web.route(method, f"{base}/responses{path}", self._exchange.handler(answer, name))
            for base, name in self._mounts.items()
            for method, path, answer in answers
        ]

    async def close(self, grace: float) -> None:
        """Give the responses that are written in the background `grace` seconds to end, then stop them."""
        await self._background.close(grace)

    async def _create(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        turn = await begin(await read_request(http, timeout=self._body_timeout), call.owner.account, self._stores, call)
        if turn.background:
            return await self._begin(http, call, turn)
        if turn.streamed:
            frames = RouterFrames(turn, call) if has_own_events(call) else Frames(turn, call)
            out = EventStream(http, self._headers(call), self._keep_alive)
            return await send_stream(
                gateway, turn.request, call, frames, out, lambda: turn.keep(frames.body, report(call), self._stores)
            )
        response = adopt(await gateway.chat(turn.request, call), turn)
        body = completed(responses.encode_response(response, turn.request, turn.own))
        skin_of(call).settle(body, call, None)
        await turn.keep(body, report(call), self._stores)
        return self._json(body, call)

    async def _begin(self, http: web.Request, call: Call, turn: Turn) -> web.StreamResponse:
        run, queued = await self._background.start(turn, http.headers, call)
        if turn.streamed:
            return await self._listen(http, call, run.listen(-1))
        return self._json(queued, call)

    async def _listen(self, http: web.Request, call: Call, told: AsyncGenerator[bytes, None]) -> web.StreamResponse:
        out = EventStream(http, self._headers(call), self._keep_alive)
        try:
            async with aclosing(told) as events:
                async for data in events:
                    await out.write(data)
            if not out.begun:
                # The client has every event already.
                await out.write(b"")
        except GatewayError:
            if not out.begun:
                raise
            # What follows cannot be told; without its last event the client knows that it is not all.
        finally:
            out.stop()
        return await out.close()

    async def _get(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        name = http.match_info["id"]
        if http.query.get("stream", "").lower() == "true":
            run = self._background.running(name, call.owner.account)
            after = _number(http.query.get("starting_after", "-1"))
            if run is not None:
                return await self._listen(http, call, run.listen(after))
            return await self._listen(http, call, follow(self._stores, name, call.owner.account, after))
        return self._told(await self._stores.responses.get(name, call.owner.account), call)

    def _told(self, stored: Stored, call: Call) -> web.Response:
        return self._json(failed(stored) if stored.lost else stored.body, call, stored.report)

    async def _delete(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        name = http.match_info["id"]
        await self._stores.responses.delete(name, call.owner.account)
        run = self._background.running(name, call.owner.account)
        if run is not None:
            await self._background.cancel(run)
            self._background.forget(run)
        return self._json({"id": name, "object": "response", "deleted": True}, call)

    async def _cancel(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        name = http.match_info["id"]
        stored = await self._stores.responses.get(name, call.owner.account)
        if not stored.body.get("background"):
            raise invalid_request("Only a response with `background` set to true can be cancelled.", "response_id")
        run = self._background.running(name, call.owner.account)
        if run is not None:
            await self._background.cancel(run)
        elif stored.status in RUNNING and not stored.lost:
            await self._background.call_off(stored)
        return self._told(await self._stores.responses.get(name, call.owner.account), call)

    async def _items(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        stored = await self._stores.responses.get(http.match_info["id"], call.owner.account)
        return self._json(page(stored.input, http.query), call)

    async def _count(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        turn = await begin(await read_request(http, timeout=self._body_timeout), call.owner.account, self._stores, call)
        counted = await gateway.count_tokens(turn.request, call)
        guessed = {"x-trunkline-estimated": "input_tokens"} if counted.estimated else {}
        return self._json({"object": "response.input_tokens", "input_tokens": counted.input_tokens}, call, guessed)

    async def _compact(self, http: web.Request, call: Call, gateway: Gateway) -> web.StreamResponse:
        turn = await begin(await read_request(http, timeout=self._body_timeout), call.owner.account, self._stores, call)
        response = adopt(await gateway.compact(turn.request, call), turn)
        return self._json(responses.encode_compaction(response), call)

    def _json(self, body: Json, call: Call, more: Mapping[str, str] = _NOTHING) -> web.Response:
        return json_response(dumps(body), {**more, **self._headers(call)})

    def _headers(self, call: Call) -> dict[str, str]:
        """What tells of a call, with the headers that OpenAI's own answers have."""
        headers = self._exchange.headers(call)
        headers["openai-version"] = _VERSION
        headers["openai-processing-ms"] = str(round((time.monotonic() - call.started) * 1000))
        return headers


def _number(text: str) -> int:
    try:
        return int(text[:12])
    except ValueError:
        raise invalid_request("`starting_after` must be a whole number.", "starting_after") from None
