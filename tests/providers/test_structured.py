"""JSON mode and JSON Schema over providers that lack one or both, through the gateway's own core."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Any

import pytest
from fakes.anthropic_server import KEY, AnthropicServer
from fakes.sim_server import SimServer

from trunkline.call import Attempt, Call, Loss, LossKind
from trunkline.config.model import ProviderConfig
from trunkline.core.check import Limits
from trunkline.core.fold import fold, unfold
from trunkline.core.gateway import Gateway
from trunkline.core.plan import InOrder
from trunkline.core.provider import Provider
from trunkline.core.target import Target
from trunkline.errors import GatewayError
from trunkline.providers.build import build_providers, make_provider
from trunkline.providers.structured import Emulated
from trunkline.providers.wrapped import Wrapped
from trunkline.v1 import chat_pb2, content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import (
    ChatEvent,
    ChatRequest,
    ChatResponse,
    CountTokensResponse,
    Function,
    JsonObject,
    JsonSchema,
    ReasoningConfig,
    ResponseFormat,
    Routing,
    Tool,
)
from trunkline.v1.content_pb2 import CacheBreakpoint, Message, Part
from trunkline.v1.models_pb2 import Model

LEGACY = "claude-3-7-sonnet"
"""Has no schemas, and tools that can be forced."""
CITY = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
EMULATED = [Loss("response_format", LossKind.EMULATED)]
ANY = ResponseFormat(json_object=JsonObject())

streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


class Unlisted:
    """A gateway that lists no models."""

    async def list(self) -> list[Model]:
        return []


@asynccontextmanager
async def gateway_of(**configs: ProviderConfig) -> AsyncIterator[Gateway]:
    """A gateway that asks each of the providers in turn."""
    providers = build_providers(configs)
    targets = list[Provider](providers.values())
    try:
        yield Gateway(InOrder(lambda name: [Target(one, _own(one, name)) for one in targets]), Unlisted(), Limits())
    finally:
        for one in targets:
            await one.close()


def _own(provider: Provider, model: str) -> str:
    """What the provider calls the model: the one called `good` has Claude alone."""
    return "claude-opus-4-6" if provider.name == "good" else model


@pytest.fixture
async def claude() -> AsyncIterator[tuple[AnthropicServer, Gateway]]:
    """A gateway in front of Anthropic."""
    async with AnthropicServer() as server:
        config = ProviderConfig(kind="anthropic", base_url=server.url, api_key=KEY)
        async with gateway_of(anthropic=config) as gateway:
            yield server, gateway


@pytest.fixture
async def echo() -> AsyncIterator[tuple[SimServer, Gateway]]:
    """A gateway in front of a server with JSON mode alone, which says what the user says."""
    async with SimServer() as server:
        config = ProviderConfig(kind="deepseek", base_url=server.url, api_key="k")
        async with gateway_of(deepseek=config) as gateway:
            yield server, gateway


def form(schema: Any = CITY, **more: Any) -> ResponseFormat:
    """JSON that matches `schema`."""
    return ResponseFormat(json_schema=JsonSchema(name="place", schema_json=json.dumps(schema), **more))


def asking(text: str, model: str, response_format: ResponseFormat, **more: Any) -> ChatRequest:
    """A request in which the user says `text`."""
    said = Message(role=content_pb2.ROLE_USER, parts=[Part(text=text)])
    return ChatRequest(model=model, messages=[said], response_format=response_format, **more)


async def events_of(gateway: Gateway, request: ChatRequest, call: Call) -> AsyncIterator[ChatEvent]:
    """The events of the answer."""
    async with aclosing(gateway.stream_chat(request, call)) as batches:
        async for batch in batches:
            for event in batch:
                yield event


async def ask(gateway: Gateway, request: ChatRequest, call: Call, *, streamed: bool) -> ChatResponse:
    """The answer, whole or folded from its events."""
    if not streamed:
        return await gateway.chat(request, call)
    return fold([event async for event in events_of(gateway, request, call)])


def text_of(response: ChatResponse, choice: int = 0) -> str:
    """The text of a choice that is one text."""
    [part] = response.choices[choice].message.parts
    assert part.WhichOneof("kind") == "text"
    return part.text


@streamed_or_not
async def test_by_a_forced_tool(claude: tuple[AnthropicServer, Gateway], streamed: bool) -> None:
    """The caller sees the JSON as a text that ended well, the usage, and that it was emulated."""
    server, gateway = claude
    call = Call("c", "grpc")
    response = await ask(gateway, asking("Where?", LEGACY, form()), call, streamed=streamed)

    assert json.loads(text_of(response)) == {"city": "Zürich"}
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_STOP
    assert (response.usage.input_tokens, response.usage.output_tokens) == (20, 5)
    assert call.losses == EMULATED
    assert call.usage == response.usage
    sent = server.requests[-1].body
    assert sent["tool_choice"] == {"type": "tool", "name": "place"}
    assert [(tool["name"], tool["input_schema"]) for tool in sent["tools"]] == [("place", CITY)]
    assert "system" not in sent


@streamed_or_not
async def test_the_answer_is_sent_back(claude: tuple[AnthropicServer, Gateway], streamed: bool) -> None:
    """The next turn holds it as a text, without a call that has no result, and is answered in the same way."""
    server, gateway = claude
    request = asking("Where?", LEGACY, form())
    for _ in range(3):
        response = await ask(gateway, request, Call("c", "grpc"), streamed=streamed)
        request.messages.append(response.choices[0].message)
        request.messages.add(role=content_pb2.ROLE_USER).parts.add(text="And then?")
    kinds = [message["role"] for message in server.requests[-1].body["messages"]]
    assert kinds == ["user", "assistant", "user", "assistant", "user"]
    assert "tool_use" not in json.dumps(server.requests[-1].body["messages"])


@streamed_or_not
async def test_a_model_that_reasons(claude: tuple[AnthropicServer, Gateway], streamed: bool) -> None:
    """It is told in words, and what it says that is no JSON is an error, not an answer."""
    server, gateway = claude
    reasoning = ReasoningConfig(budget_tokens=2048)
    request = asking('{"city": "Bern"}', LEGACY, form(), reasoning=reasoning, max_output_tokens=4096)
    response = await ask(gateway, request, Call("c", "grpc"), streamed=streamed)
    kinds = [part.WhichOneof("kind") for part in response.choices[0].message.parts]
    assert kinds == ["reasoning", "reasoning", "text"]
    assert response.choices[0].message.parts[2].text == '{"city": "Bern"}'
    assert "tool_choice" not in server.requests[-1].body
    assert json.dumps(CITY) in json.dumps(server.requests[-1].body["system"]).replace("\\", "")

    request.messages[0].parts[0].text = "Nowhere."
    with pytest.raises(GatewayError, match="not the JSON") as caught:
        await ask(gateway, request, Call("c", "grpc"), streamed=streamed)
    assert (caught.value.provider, caught.value.provider_status) == ("anthropic", 200)


async def test_cache_marks_stay(claude: tuple[AnthropicServer, Gateway]) -> None:
    """What the caller marks is the same text with the same mark, with a form of the answer and without."""
    server, gateway = claude
    bodies = []
    for response_format in (ResponseFormat(), ANY):
        request = asking("{}", LEGACY, response_format)
        system = Message(role=content_pb2.ROLE_SYSTEM, parts=[Part(text="Be kind.", cache=CacheBreakpoint())])
        request.messages.insert(0, system)
        await gateway.chat(request, Call("c", "grpc"))
        bodies.append(server.requests[-1].body)
    assert bodies[1]["system"][:1] == bodies[0]["system"]
    assert bodies[1]["messages"] == bodies[0]["messages"]


@streamed_or_not
async def test_the_callers_tools(claude: tuple[AnthropicServer, Gateway], streamed: bool) -> None:
    """The model may call them: the calls are the caller's to run."""
    server, gateway = claude
    tools = [Tool(function=Function(name="weather", parameters_json='{"type":"object"}'))]
    request = asking("tools", LEGACY, form(), tools=tools)
    request.parallel_tool_calls = False
    response = await ask(gateway, request, Call("c", "grpc"), streamed=streamed)
    [part] = response.choices[0].message.parts
    assert part.tool_call.name == "weather"
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    assert server.requests[-1].body["tool_choice"]["type"] == "any"


@streamed_or_not
async def test_several_choices(claude: tuple[AnthropicServer, Gateway], streamed: bool) -> None:
    """Each is read by itself."""
    server, gateway = claude
    call = Call("c", "grpc")
    response = await ask(gateway, asking("Where?", LEGACY, form(), choice_count=3), call, streamed=streamed)
    assert [json.loads(text_of(response, choice)) for choice in range(3)] == [{"city": "Zürich"}] * 3
    assert response.usage.output_tokens == 15
    assert call.losses == EMULATED
    assert len(server.requests) == 3


@pytest.mark.parametrize("choices", [1, 2])
@pytest.mark.parametrize("by", ["header", "request"])
@streamed_or_not
async def test_a_strict_caller(claude: tuple[AnthropicServer, Gateway], streamed: bool, by: str, choices: int) -> None:
    """What would be emulated is refused, and nothing is sent."""
    server, gateway = claude
    request = asking("Where?", LEGACY, form(), choice_count=choices)
    if by == "request":
        request.routing.CopyFrom(Routing(require_parameters=True))
    with pytest.raises(GatewayError, match="cannot take `response_format`") as caught:
        await ask(gateway, request, Call("c", "grpc", strict=by == "header"), streamed=streamed)
    assert caught.value.reason == errors_pb2.ERROR_REASON_UNSUPPORTED
    assert caught.value.param == "response_format"
    assert server.requests == []


async def test_a_strict_caller_gets_what_the_model_has(claude: tuple[AnthropicServer, Gateway]) -> None:
    """A model with schemas of its own is asked."""
    _, gateway = claude
    call = Call("c", "grpc", strict=True)
    response = await gateway.chat(asking("Where?", "claude-opus-4-6", form()), call)
    assert json.loads(text_of(response)) == {"city": "x"}
    assert call.losses == []


@streamed_or_not
async def test_a_schema_that_is_none(claude: tuple[AnthropicServer, Gateway], streamed: bool) -> None:
    """The field is named, and nothing is sent."""
    server, gateway = claude
    request = asking("Where?", LEGACY, form({"type": "place"}))
    with pytest.raises(GatewayError, match=r"no JSON Schema: `\$.type` must be one of") as caught:
        await ask(gateway, request, Call("c", "grpc"), streamed=streamed)
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    assert caught.value.param == "response_format.json_schema.schema_json"
    assert server.requests == []


@pytest.mark.parametrize(
    ("said", "schema", "answer"),
    [
        ('Sure!\n```json\n{"city": "Bern"}\n```\nAnything else?', CITY, '{"city": "Bern"}'),
        ('["Bern", "Basel"] are cities.', {"type": "array", "items": {"type": "string"}}, '["Bern", "Basel"]'),
        ("```\n42\n```", {"type": "integer"}, "42"),
        ('"Bern"', {"anyOf": [{"type": "string"}, {"type": "null"}]}, '"Bern"'),
    ],
)
@streamed_or_not
async def test_in_words(echo: tuple[SimServer, Gateway], said: str, schema: Any, answer: str, streamed: bool) -> None:
    """The answer is found in what the model says, word by word, for each choice, with its log probabilities."""
    _, gateway = echo
    call = Call("c", "grpc")
    request = asking(said, "echo", form(schema), top_logprobs=1)
    response = await ask(gateway, request, call, streamed=streamed)
    assert text_of(response) == answer
    assert len(response.choices[0].message.parts[0].logprobs) > 0
    assert response.usage.output_tokens > 0
    assert Loss("response_format", LossKind.EMULATED) in call.losses


async def test_in_json_mode(echo: tuple[SimServer, Gateway]) -> None:
    """A server with JSON mode is held to it where an object is asked for, and told the schema in words."""
    server, gateway = echo
    await gateway.chat(asking('{"city": "Bern"}', "echo", form()), Call("c", "grpc"))
    sent = json.loads(server.requests[-1].body)
    assert sent["response_format"] == {"type": "json_object"}
    assert sent["messages"][0]["role"] == "system"
    assert json.dumps(CITY) in sent["messages"][0]["content"]
    call = Call("c", "grpc")
    await gateway.chat(asking('{"json": 0}', "echo", ANY), call)
    assert call.losses == []
    assert len(json.loads(server.requests[-1].body)["messages"]) == 1


@streamed_or_not
async def test_an_answer_that_is_cut_by_length(echo: tuple[SimServer, Gateway], streamed: bool) -> None:
    """It is told as far as it goes, as a target with schemas tells it."""
    _, gateway = echo
    request = asking('Well: {"city": "Bern, or Basel, or any other"}', "echo", form(), max_output_tokens=6)
    response = await ask(gateway, request, Call("c", "grpc"), streamed=streamed)
    assert '{"city": "Bern, or Basel, or any other"}'.startswith(text_of(response))
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_LENGTH


@streamed_or_not
async def test_a_refusal(echo: tuple[SimServer, Gateway], streamed: bool) -> None:
    """It is told as one."""
    _, gateway = echo
    response = await ask(gateway, asking("Where?", "refusal", form()), Call("c", "grpc"), streamed=streamed)
    [part] = response.choices[0].message.parts
    assert part.WhichOneof("kind") == "refusal"


@pytest.mark.parametrize("model", ["fault/cut", "fault/cut-clean", "fault/error-in-stream"])
async def test_a_stream_that_is_cut(echo: tuple[SimServer, Gateway], model: str) -> None:
    """It does not look finished, whether the JSON was whole or not."""
    _, gateway = echo
    for text in ('{"city": "Bern, Basel, Chur and others"}', "{} " + "and so on " * 20):
        with pytest.raises(GatewayError):
            async for event in events_of(gateway, asking(text, model, ANY), Call("c", "grpc")):
                assert not event.HasField("choice_end")


@pytest.mark.parametrize("model", ["echo", "reasoning"])
async def test_another_target_is_asked(model: str) -> None:
    """Where one answers something else than JSON, for as long as the caller was told nothing."""
    async with SimServer() as bad, AnthropicServer() as good:
        configs = {
            "bad": ProviderConfig(kind="deepseek", base_url=bad.url, api_key="k"),
            "good": ProviderConfig(kind="anthropic", base_url=good.url, api_key=KEY),
        }
        async with gateway_of(**configs) as gateway:
            call = Call("c", "grpc")
            response = await gateway.chat(asking("No JSON.", model, form()), call)
            assert [attempt.provider for attempt in call.attempts] == ["bad", "good"]
            assert json.loads(text_of(response)) == {"city": "x"}
            assert call.losses == []


class Counting(Wrapped):
    """Notes what it is to count."""

    counted: ChatRequest | None = None

    async def count_tokens(self, request: ChatRequest, attempt: Attempt) -> CountTokensResponse | None:
        self.counted = request
        return None


async def test_what_is_counted() -> None:
    """The tokens of what would be sent, the instruction included."""
    counting = Counting(make_provider("sim", ProviderConfig(kind="sim")))
    provider = Emulated(counting, lambda model: "instruction")
    attempt = Attempt(Call("c", "grpc"), "sim", "echo")
    await provider.count_tokens(asking("Where?", "echo", form()), attempt)
    assert counting.counted is not None
    assert not counting.counted.HasField("response_format")
    assert counting.counted.messages[0].role == content_pb2.ROLE_SYSTEM
    await provider.close()


class Saying(Wrapped):
    """Streams an answer in given batches."""

    def __init__(self, inner: Provider, batches: Sequence[list[ChatEvent]]) -> None:
        super().__init__(inner)
        self._batches = batches

    async def stream_chat(self, request: ChatRequest, attempt: Attempt) -> AsyncGenerator[list[ChatEvent], None]:
        for batch in self._batches:
            yield batch


@pytest.mark.parametrize("together", [True, False])
async def test_a_stream_fails_before_anything_is_told(together: bool) -> None:
    """Where a whole answer that is no JSON comes at once, nothing of it is told: another target may be asked."""
    message = Message(role=content_pb2.ROLE_ASSISTANT, parts=[Part(text="No.")])
    events = list(unfold(ChatResponse(choices=[chat_pb2.Choice(message=message)])))
    inner = make_provider("sim", ProviderConfig(kind="sim"))
    provider = Emulated(Saying(inner, [events] if together else [[one] for one in events]), lambda model: "instruction")
    told: list[ChatEvent] = []
    with pytest.raises(GatewayError, match="not the JSON"):
        async for batch in provider.stream_chat(asking("Where?", "m", ANY), Attempt(Call("c", "grpc"), "sim", "m")):
            told += batch
    assert bool(told) is not together
    await provider.close()
