"""What is special about the provider `cohere`, against a server that is as strict as Cohere."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import cohere
import pytest
from cohere.core.api_error import ApiError
from fakes.cohere_rules import MODELS
from fakes.cohere_server import KEY, CohereServer
from providers.house import House, answering, asking, calling, house_of, losses_of, provider_of

from trunkline.call import Loss, LossKind
from trunkline.config.model import ProviderConfig
from trunkline.dialects import cohere as dialect
from trunkline.errors import GatewayError
from trunkline.providers.build import build_providers, make_provider
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import Function, JsonSchema, ReasoningConfig, ResponseFormat, Sampling, Tool, ToolChoice
from trunkline.v1.content_pb2 import Media, Message, Part
from trunkline.v1.embeddings_pb2 import EmbedRequest

MODEL, REASONS, SEES = MODELS
TOOLS = [Tool(function=Function(name=name)) for name in ("weather", "time")]


@dataclass(slots=True)
class Place:
    """The fake, and a gateway in front of it."""

    server: CohereServer
    house: House

    @property
    def sent(self) -> Any:
        """The body of the last request."""
        return self.server.requests[-1].body


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    """A gateway in front of the fake."""
    async with CohereServer() as server:
        provider = provider_of("cohere", server.url, api_key=KEY)
        yield Place(server, house_of(provider))
        await provider.close()


async def test_what_is_sent(place: Place) -> None:
    """The path and the key, and nothing in the body that nobody asked for."""
    await place.house.ask(asking("Hello", model=MODEL))
    received = place.server.requests[0]
    assert (received.method, received.path) == ("POST", "/v2/chat")
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}], "stream": False}


@pytest.mark.parametrize("suffix", ["", "/", "/v2", "/v2/"])
async def test_the_base_url_may_have_its_version(suffix: str) -> None:
    """The version of the path is never doubled; models are listed at the one that lists them."""
    async with CohereServer() as server:
        provider = provider_of("cohere", server.url + suffix, api_key=KEY)
        assert [model.id for model in await provider.list_models()] == list(MODELS)
        await house_of(provider).ask(asking("Hello", model=MODEL))
        await provider.close()
        assert [one.path.partition("?")[0] for one in server.requests] == ["/v1/models", "/v2/chat"]


def test_a_key_is_required_where_cohere_itself_is_meant() -> None:
    """Without an address of its own the provider needs a key."""
    with pytest.raises(ValueError, match=r"providers\.c\.api_key"):
        build_providers({"c": ProviderConfig(kind="cohere")})


@pytest.mark.parametrize("model", [MODEL, REASONS])
@pytest.mark.parametrize("streamed", [False, True])
async def test_what_the_model_thought_goes_back(place: Place, model: str, streamed: bool) -> None:
    """A plan as a plan, thoughts as thoughts, each with its calls."""
    request = asking("tools", model=model, tools=TOOLS)
    message = (await place.house.ask(request, streamed=streamed)).choices[0].message
    request.messages.extend([message, *answering(message, ["5", "6"])])
    await place.house.ask(request, streamed=streamed)
    said = place.sent["messages"][1]
    if model == MODEL:
        assert said["tool_plan"] == "I will ask all of them."
    else:
        assert said["content"] == [{"type": "thinking", "thinking": "I was asked: tools"}]
    assert [call["function"]["name"] for call in said["tool_calls"]] == ["weather", "time"]


async def test_what_openais_callers_send_is_taken(place: Place) -> None:
    """By every model: what is out of Cohere's bounds is brought within, what is not known is left out, all named."""
    for model in MODELS:
        request = asking(
            "Hello",
            "",
            "there",
            model=model,
            tools=TOOLS,
            sampling=Sampling(temperature=0.2, top_p=1, top_k=900, frequency_penalty=-0.5, presence_penalty=2, seed=-1),
            reasoning=ReasoningConfig(effort="high"),
            stop_sequences=list("abcdefg"),
            max_output_tokens=2000,
        )
        request.messages.insert(0, Message(role=content_pb2.ROLE_DEVELOPER, parts=[Part(text="Be kind.")]))
        request.messages.insert(2, Message(role=content_pb2.ROLE_SYSTEM, parts=[Part(text="Be brief.")]))
        call = calling()
        await place.house.ask(request, call)
        near = ("top_p", "top_k", "frequency_penalty", "presence_penalty", "seed", "stop")
        kind = LossKind.APPROXIMATED if model == REASONS else LossKind.DROPPED
        wanted = {Loss("reasoning_effort", kind), *(Loss(name, LossKind.APPROXIMATED) for name in near)}
        assert set(losses_of(call)) == wanted
    roles = [message["role"] for message in place.sent["messages"]]
    assert roles == ["system", "user", "system", "user"]


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        ("command-a-reasoning-08-2025", True),
        ("command-a-plus-05-2026", True),
        ("command-b-2027", True),
        ("command-a-03-2025", False),
        ("command-a-vision-07-2025", False),
        ("command-r-plus-08-2024", False),
        ("command-r7b-12-2024", False),
        ("command", False),
        ("c4ai-aya-expanse-32b", False),
    ],
)
def test_the_models_that_reason(model: str, reasons: bool) -> None:
    """Those of which it is known that they do not are not told to."""
    assert dialect.reasons(model) == reasons


async def test_a_tool_is_forced_by_showing_it_alone(place: Place) -> None:
    """Cohere knows no choice of one tool."""
    call = calling()
    request = asking("Hello", model=MODEL, tools=TOOLS, tool_choice=ToolChoice(name="time"))
    response = await place.house.ask(request, call)
    calls = [part.tool_call.name for part in response.choices[0].message.parts if part.HasField("tool_call")]
    assert calls == ["time"]
    assert losses_of(call) == [Loss("tool_choice", LossKind.APPROXIMATED)]


async def test_a_form_beside_tools(place: Place) -> None:
    """Cohere refuses the two together: the form is left out, and named."""
    schema = '{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}'
    form = ResponseFormat(json_schema=JsonSchema(name="n", schema_json=schema))
    call = calling()
    await place.house.ask(asking("Hello", model=MODEL, tools=TOOLS, response_format=form), call)
    assert losses_of(call) == [Loss("response_format")]


async def test_images_of_results(place: Place) -> None:
    """Follow all the results of their turn, as the user's: Cohere takes texts and documents from tools alone."""
    image = Part(media=Media(media_type="image/png", uri="data:image/png;base64,AAAA"))
    request = asking("tools", model=SEES, tools=TOOLS)
    message = (await place.house.ask(request)).choices[0].message
    results = answering(message, ["5", "6"])
    results[0].parts[0].tool_result.parts.append(image)
    request.messages.extend([message, *results])
    call = calling()
    await place.house.ask(request, call)
    assert [one["role"] for one in place.sent["messages"]] == ["user", "assistant", "tool", "tool", "user"]
    assert place.sent["messages"][-1]["content"][0]["type"] == "image_url"
    assert [loss.kind for loss in losses_of(call)] == [LossKind.APPROXIMATED]


async def test_documents_are_refused(place: Place) -> None:
    """Cohere has no place for a file: the caller is told where his stands."""
    request = asking("Hello", model=MODEL)
    request.messages[0].parts.append(
        Part(media=Media(media_type="application/pdf", uri="data:application/pdf;base64,A"))
    )
    with pytest.raises(GatewayError) as caught:
        await place.house.ask(request)
    assert (caught.value.name, caught.value.param) == ("UNSUPPORTED", "messages[0].parts[1]")


async def test_many_inputs_are_embedded_in_several_calls(place: Place) -> None:
    """Cohere takes 96 at a time; the vectors come back in order."""
    request = EmbedRequest(model="embed-v4.0")
    for number in range(200):
        request.inputs.add(text=str(number))
    response = await place.house.gateway.embed(request, calling())
    assert len(response.embeddings) == 200
    assert [len(one.body["texts"]) for one in place.server.requests] == [96, 96, 8]


async def test_coheres_own_sdk_accepts_the_fake() -> None:
    """The fake is understood by Cohere's client: answers, calls, thoughts, streams, models and errors."""
    async with CohereServer() as server, cohere.AsyncClientV2(api_key=KEY, base_url=server.url) as client:
        tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
        said: Any = [{"role": "user", "content": "tools"}]
        answer = await client.chat(model=REASONS, messages=said, tools=[cohere.ToolV2(**tool)])
        assert answer.finish_reason == "TOOL_CALL"
        assert answer.message.content is not None
        assert answer.message.content[0].type == "thinking"
        assert answer.message.tool_calls is not None
        assert answer.message.tool_calls[0].function is not None
        arguments = answer.message.tool_calls[0].function.arguments
        assert answer.usage is not None
        assert answer.usage.tokens is not None
        assert answer.usage.tokens.input_tokens == 20
        events = [
            event
            async for event in client.chat_stream(
                model=REASONS,
                messages=said,
                tools=[cohere.ToolV2(**tool)],
            )
        ]
        pieces = [
            event.delta.message.tool_calls.function.arguments for event in events if event.type == "tool-call-delta"
        ]
        assert "".join(pieces) == arguments
        assert [events[0].type, events[-1].type] == ["message-start", "message-end"]
        for model, words, status in ((MODEL, "limited", 429), ("nobody", "Hello", 404), (MODEL, "long", 400)):
            with pytest.raises(ApiError) as caught:
                await client.chat(
                    model=model,
                    messages=[{"role": "user", "content": words}],
                    request_options={"max_retries": 0},
                )
            assert caught.value.status_code == status


CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
ASKED = {"role": "user", "content": "a"}


@pytest.mark.parametrize(
    ("change", "words", "status"),
    [
        ({"user": "u"}, "unknown field", 422),
        ({"messages": []}, "messages is required", 422),
        ({"messages": [{"role": "user", "content": ""}]}, "1 token", 400),
        ({"messages": [{"role": "developer", "content": "a"}]}, "role", 422),
        ({"messages": [ASKED, {"role": "assistant", "content": "b"}]}, "last message", 400),
        ({"messages": [ASKED, {"role": "assistant", "tool_calls": [CALL]}, ASKED]}, "followed by a tool", 400),
        ({"messages": [ASKED, {"role": "tool", "tool_call_id": "x", "content": "5"}]}, "not found in previous", 400),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "images are not supported", 400),
        ({"p": 1}, "p must be between", 400),
        ({"stop_sequences": list("abcdef")}, "at most 5", 400),
        ({"tool_choice": "REQUIRED"}, "requires tools", 400),
        ({"tools": [TOOL], "tool_choice": "AUTO"}, "REQUIRED or NONE", 422),
        ({"tools": [TOOL], "response_format": {"type": "json_object"}}, "not supported with tools", 400),
        ({"response_format": {"type": "json_object", "json_schema": {"type": "object"}}}, "required field", 400),
        ({"thinking": {"type": "enabled"}}, "thinking is not supported", 400),
    ],
)
async def test_the_fake_refuses_what_cohere_refuses(
    place: Place, change: dict[str, Any], words: str, status: int
) -> None:
    """In Cohere's words, which the caller reads as an error of the request."""
    provider: Any = make_provider("c", ProviderConfig(kind="cohere", base_url=place.server.url, api_key=KEY))
    provider.encode_request = lambda request, model, losses: {"messages": [ASKED], **change}
    with pytest.raises(GatewayError, match=words) as caught:
        await house_of(provider).ask(asking("a", model=MODEL))
    await provider.close()
    assert (caught.value.name, caught.value.provider_status) == ("INVALID_REQUEST", status)
