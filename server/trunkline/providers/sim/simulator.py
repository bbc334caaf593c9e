"""An OpenAI-compatible server without a socket: request bytes in, status, headers and chunks out."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Mapping
from typing import Any, Final
from urllib.parse import unquote

import msgspec

from trunkline.providers.sim import embeddings
from trunkline.providers.sim.catalogue import MODELS, find
from trunkline.providers.sim.errors import ApiError
from trunkline.providers.sim.faults import error_plan
from trunkline.providers.sim.ids import Ids
from trunkline.providers.sim.limits import check, limit
from trunkline.providers.sim.parameters import Values
from trunkline.providers.sim.plan import Break, Frame, Plan, Step
from trunkline.providers.sim.request import ChatRequest, decode
from trunkline.providers.sim.scripts import Said, Turn
from trunkline.providers.sim.tokens import count
from trunkline.providers.sim.wire import Head, completion, events

_MODEL = "/models/"

_NO_VALUES: Final[Values] = {}

_BREATH: Final = 16
"""After so many chunks without a wait, other tasks get a turn."""


class Answer(msgspec.Struct, frozen=True):
    """The answer to one request. Closing `body` ends it; `body` raises `ConnectionResetError` where it breaks."""

    status: int
    headers: Mapping[str, str]
    body: AsyncGenerator[bytes, None]


class Simulator:
    """Plays the scripts. It holds no state between requests."""

    def __init__(self) -> None:
        self._started = int(time.time())

    async def answer(self, method: str, path: str, body: bytes | None) -> Answer:
        """Answer a request to `path` below the base URL, such as `/chat/completions`.

        Raises `ConnectionRefusedError` where the connection is to be refused. Errors of the API are answers.
        """
        values = _NO_VALUES
        headers = {"content-type": "application/json", "server": "trunkline-sim"}
        try:
            match method, path.partition("?")[0].rstrip("/"):
                case "POST", "/chat/completions":
                    plan, values = self._chat(body or b"", headers)
                case "POST", "/embeddings":
                    plan = _json(embeddings.embed(body or b""), {**headers, "x-request-id": Ids(None).new("req_")})
                case "GET", "/models":
                    plan = _json({"object": "list", "data": [self._model(name) for name in MODELS]}, headers)
                case "GET", one if one.startswith(_MODEL):
                    name = unquote(one.removeprefix(_MODEL))
                    if name != embeddings.MODEL:
                        find(name)
                    plan = _json(self._model(name), headers)
                case _, "/chat/completions" | "/embeddings" | "/models" as known:
                    raise ApiError(405, f"Not allowed to {method} on {known}.", code="method_not_supported")
                case _:
                    raise ApiError(404, f"Invalid URL ({method} {path}).")
        except ApiError as error:
            plan = error_plan(error, {"x-request-id": Ids(None).new("req_"), **headers})
        if values and values["wait"]:
            await asyncio.sleep(values["wait"])
        match plan.before:
            case Break.CUT:
                raise ConnectionRefusedError("The simulated server refuses the connection.")
            case Break.SILENCE:
                await _silence()
        return Answer(plan.status, plan.headers, _carry(plan.steps, values["delay"] if values else 0))

    def _chat(self, body: bytes, headers: dict[str, str]) -> tuple[Plan, Values]:
        request = decode(body)
        play = find(request.model)
        seed = play.values.get("seed", request.seed)
        ids = Ids(None if seed is None else int(seed))
        headers["x-request-id"] = ids.new("req_")
        turn = Turn(request, body, play.values, ids)
        head = Head(ids.new("chatcmpl-"), int(time.time()), request.model)
        stops, budget = request.stops, request.budget
        top = (request.top_logprobs or 0) if request.logprobs else None
        answers: list[Said] = []
        for choice in range(request.choices):
            answers.append(limit(play.script.say(turn, choice), stops, budget))
            check(answers, 0 if top is None else 1 + top)
        prompt_tokens = sum(count(message.text()) for message in request.messages)
        if request.stream:
            headers["content-type"] = "text/event-stream; charset=utf-8"
            headers["cache-control"] = "no-cache"
            steps: Iterable[Step] = events(head, answers, prompt_tokens, top, include_usage=_asks_usage(request))
        else:
            data = completion(head, answers, prompt_tokens, top)
            headers["content-length"] = str(len(data))
            steps = (Frame(data, "done"),)
        plan = Plan(200, headers, steps, bool(request.stream))
        return (plan if play.fault is None else play.fault.spoil(plan, play.values)), play.values

    def _model(self, name: str) -> dict[str, Any]:
        about = MODELS.get(name.partition(":")[0], "")
        return {
            "id": name,
            "object": "model",
            "created": self._started,
            "owned_by": "trunkline",
            "description": about,
        }


def _json(data: object, headers: dict[str, str]) -> Plan:
    body = msgspec.json.encode(data)
    return Plan(200, {**headers, "content-length": str(len(body))}, (Frame(body, "done"),))


def _asks_usage(request: ChatRequest) -> bool:
    return request.stream_options is not None and bool(request.stream_options.include_usage)


async def _carry(steps: Iterable[Step], delay: float) -> AsyncGenerator[bytes, None]:
    """The bytes of `steps`, `delay` seconds apart. Raises `ConnectionResetError` at a cut."""
    first = True
    for sent, step in enumerate(steps):
        if isinstance(step, Frame):
            if delay and not first:
                await asyncio.sleep(delay)
            elif sent % _BREATH == _BREATH - 1:
                await asyncio.sleep(0)
            first = False
            yield step.data
        elif step is Break.CUT:
            raise ConnectionResetError("The simulated connection broke.")
        else:
            await _silence()


async def _silence() -> None:
    """Wait to be cancelled."""
    await asyncio.get_running_loop().create_future()
