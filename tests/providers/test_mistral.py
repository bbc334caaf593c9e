"""The kind `mistral`, through the gateway's own core, against a server that is as strict as Mistral."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from fakes.mistral_server import KEY, MODELS, MistralServer
from mistralai.client import Mistral
from mistralai.client.errors import MistralError
from mistralai.client.models import AssistantMessage, ReferenceChunk, TextChunk, ThinkChunk
from providers.house import House, answering, asking, calling, house_of, losses_of, provider_of, texts_of

from trunkline.call import Loss, LossKind
from trunkline.dialects.mistral.ids import CallIds
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import (
    ChatRequest,
    Function,
    JsonSchema,
    ReasoningConfig,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from trunkline.v1.content_pb2 import Media, Message, Part, Reasoning, ToolCall, ToolResult

MODEL = "mistral-small-latest"
TOOLS = [Tool(function=Function(name=name)) for name in ("weather", "time")]

streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


@pytest.fixture
async def server() -> AsyncIterator[MistralServer]:
    """The fake."""
    async with MistralServer() as server:
        yield server


@pytest.fixture
async def house(server: MistralServer) -> AsyncIterator[House]:
    """A gateway in front of the fake."""
    provider = provider_of("mistral", server.url, api_key=KEY)
    yield house_of(provider)
    await provider.close()


def said(role: content_pb2.Role.ValueType, *parts: Part) -> Message:
    """A message."""
    return Message(role=role, parts=parts)


def conversation(*messages: Message, **more: object) -> ChatRequest:
    """A request with these messages."""
    return ChatRequest(model=MODEL, messages=messages, **more)  # type: ignore[arg-type]


USER, ASSISTANT, SYSTEM, TOOL = (
    content_pb2.ROLE_USER,
    content_pb2.ROLE_ASSISTANT,
    content_pb2.ROLE_SYSTEM,
    content_pb2.ROLE_TOOL,
)


def call_of(name: str, call_id: str = "") -> Part:
    """A call of a tool."""
    return Part(tool_call=ToolCall(id=call_id, name=name, arguments_json="{}"))


def result_of(call_id: str, *parts: Part, name: str = "") -> Part:
    """What a tool returned."""
    return Part(tool_result=ToolResult(tool_call_id=call_id, name=name, parts=parts or [Part(text="5")]))


@streamed_or_not
async def test_a_text(house: House, streamed: bool) -> None:
    """A text comes back, with its usage counted once, whole or streamed."""
    response = await house.ask(asking("Hello", model=MODEL), streamed=streamed)
    assert texts_of(response) == ["You said: Hello"]
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_STOP
    usage = response.usage
    assert (usage.input_tokens, usage.cached_input_tokens, usage.output_tokens) == (20, 6, 5)


async def test_what_is_sent(house: House, server: MistralServer) -> None:
    """The path, the key and nothing beside; Mistral's own name of the request is kept."""
    call = calling(strict=True)
    await house.ask(asking("Hello", model=MODEL), call)
    [received] = server.requests
    assert (received.method, received.path) == ("POST", "/v1/chat/completions")
    assert received.headers["authorization"] == f"Bearer {KEY}"
    assert received.body == {"model": MODEL, "messages": [{"role": "user", "content": "Hello"}]}
    assert call.attempts[0].upstream_id == "req_1"


@streamed_or_not
async def test_parallel_tools_and_their_results(house: House, streamed: bool) -> None:
    """Calls come whole, and their results are taken in any order; the answer to them is a text."""
    request = asking("tools", model=MODEL, tools=TOOLS)
    response = await house.ask(request, calling(strict=True), streamed=streamed)
    message = response.choices[0].message
    calls = [part.tool_call for part in message.parts]
    assert [(call.name, json.loads(call.arguments_json)) for call in calls] == [
        ("weather", {"city": "Zürich"}),
        ("time", {"city": "Zürich"}),
    ]
    assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS
    request.messages.extend([message, *answering(message, ["a", "b"])])
    assert texts_of(await house.ask(request, calling(strict=True), streamed=streamed)) == ["You said: tools"]


@pytest.mark.parametrize(
    ("choice", "sent", "names"),
    [
        (ToolChoice(name="time"), {"type": "function", "function": {"name": "time"}}, ["time"]),
        (ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED), "any", ["weather", "time"]),
        (ToolChoice(mode=chat_pb2.ToolChoice.MODE_NONE), "none", []),
    ],
)
async def test_tool_choice(
    house: House, server: MistralServer, choice: ToolChoice, sent: object, names: list[str]
) -> None:
    """A tool can be forced, by name or any, or forbidden, in Mistral's words."""
    response = await house.ask(asking("tools", model=MODEL, tools=TOOLS, tool_choice=choice))
    parts = response.choices[0].message.parts
    assert [part.tool_call.name for part in parts if part.HasField("tool_call")] == names
    assert server.requests[0].body["tool_choice"] == sent


async def test_ids_of_other_providers(house: House, server: MistralServer) -> None:
    """An id that Mistral refuses becomes another, in the call and in its result, the same in every request; its own
    stay."""
    turns = [
        said(USER, Part(text="Hi")),
        said(ASSISTANT, call_of("weather", "toolu_01A"), call_of("time", "abcDEF123")),
        said(TOOL, result_of("abcDEF123")),
        said(TOOL, result_of("toolu_01A")),
    ]
    for _ in range(2):
        await house.ask(conversation(*turns), calling(strict=True))
        turns += [said(ASSISTANT, Part(text="5")), said(USER, Part(text="Again"))]
    first, second = (received.body["messages"] for received in server.requests)
    assert second[: len(first)] == first
    foreign, own = (call["id"] for call in first[1]["tool_calls"])
    assert (own, foreign) == ("abcDEF123", first[3]["tool_call_id"])
    assert len(foreign) == 9


def test_no_two_calls_get_one_id() -> None:
    """An id that is made up never is one that is there, nor one that was made for another."""
    made = CallIds([]).of("call_1")
    assert CallIds([made, "call_1"]).of("call_1") != made
    ids = CallIds([])
    assert len({ids.of(f"call_{number}") for number in range(500)}) == 500


async def test_calls_without_ids(house: House, server: MistralServer) -> None:
    """The older form, in which a result names its function alone, gets ids."""
    turns = [
        said(USER, Part(text="Hi")),
        said(ASSISTANT, call_of("weather")),
        said(TOOL, result_of("", name="weather")),
    ]
    await house.ask(conversation(*turns), calling(strict=True))
    messages = server.requests[0].body["messages"]
    assert messages[1]["tool_calls"][0]["id"] == messages[2]["tool_call_id"]


async def test_a_user_behind_a_result(house: House, server: MistralServer) -> None:
    """Mistral wants the assistant to speak in between; that somebody spoke for it is told."""
    turns = [
        said(USER, Part(text="Hi")),
        said(ASSISTANT, call_of("weather", "abcDEF123")),
        said(TOOL, result_of("abcDEF123")),
        said(USER, Part(text="Stop")),
    ]
    call = calling()
    assert texts_of(await house.ask(conversation(*turns), call)) == ["You said: Stop"]
    assert server.requests[0].body["messages"][3] == {"role": "assistant", "content": "OK"}
    assert losses_of(call) == [Loss("messages[3]", LossKind.EMULATED)]


async def test_instructions_within_a_conversation(house: House, server: MistralServer) -> None:
    """Behind the assistant, where Mistral takes none, the user says them."""
    turns = [
        said(SYSTEM, Part(text="Be kind.")),
        said(USER, Part(text="Hi")),
        said(SYSTEM, Part(text="Be brief.")),
        said(ASSISTANT, Part(text="Hello")),
        said(SYSTEM, Part(text="Be rude.")),
    ]
    call = calling()
    await house.ask(conversation(*turns), call)
    roles = [message["role"] for message in server.requests[0].body["messages"]]
    assert roles == ["system", "user", "system", "assistant", "user"]
    assert losses_of(call) == [Loss("messages[4].role", LossKind.APPROXIMATED)]


async def test_the_assistant_may_be_gone_on_with(house: House, server: MistralServer) -> None:
    """A conversation that ends with the assistant's words is marked so that Mistral goes on with them."""
    before = said(ASSISTANT, Part(text="A"))
    before.extras["openai"] = '{"prefix":true}'
    turns = [said(USER, Part(text="Hi")), before, said(USER, Part(text="So?")), said(ASSISTANT, Part(text="Well"))]
    await house.ask(conversation(*turns), calling(strict=True))
    messages = server.requests[0].body["messages"]
    assert [message.get("prefix") for message in messages] == [None, None, None, True]


@streamed_or_not
@pytest.mark.parametrize("model", [MODEL, "magistral-medium-latest"])
async def test_reasoning_goes_back_sealed(house: House, server: MistralServer, model: str, streamed: bool) -> None:
    """Thinking is told, and goes back turn after turn with its signature, which the server checks."""
    request = asking("tools", model=model, tools=TOOLS, reasoning=ReasoningConfig(effort="high"))
    for _ in range(4):
        message = (await house.ask(request, streamed=streamed)).choices[0].message
        assert message.parts[0].reasoning.text == "Asked: tools"
        request.messages.extend([message, *answering(message, ["a", "b"])])
        message = (await house.ask(request, streamed=streamed)).choices[0].message
        request.messages.append(message)
        request.messages.append(said(USER, Part(text="tools")))
    block = server.requests[-1].body["messages"][1]["content"][0]
    assert (block["type"], len(block["signature"]), block["closed"]) == ("thinking", 64, True)


async def test_a_signature_that_was_tampered_with(house: House) -> None:
    """Is refused by Mistral, in its words."""
    forged = Part(reasoning=Reasoning(text="Hmm"), extras={"openai": '{"signature":"x"}'})
    request = conversation(
        said(USER, Part(text="Hi")), said(ASSISTANT, forged, Part(text="A")), said(USER, Part(text="B"))
    )
    with pytest.raises(GatewayError, match="signature") as caught:
        await house.ask(request)
    assert (caught.value.name, caught.value.provider_status) == ("INVALID_REQUEST", 400)


@pytest.mark.parametrize(
    ("model", "config", "sent", "losses"),
    [
        (MODEL, ReasoningConfig(effort="low"), {"reasoning_effort": "low"}, []),
        (MODEL, ReasoningConfig(enabled=False), {"reasoning_effort": "none"}, []),
        (MODEL, ReasoningConfig(enabled=True), {}, [Loss("reasoning.enabled", LossKind.APPROXIMATED)]),
        (
            "magistral-medium-latest",
            ReasoningConfig(effort="low"),
            {"prompt_mode": "reasoning"},
            [Loss("reasoning_effort", LossKind.APPROXIMATED)],
        ),
        (
            "magistral-medium-latest",
            ReasoningConfig(enabled=False),
            {"prompt_mode": None},
            [Loss("reasoning_effort", LossKind.APPROXIMATED)],
        ),
    ],
)
async def test_how_much_to_reason(
    house: House, server: MistralServer, model: str, config: ReasoningConfig, sent: object, losses: list[Loss]
) -> None:
    """By effort, or for Magistral by a prompt of Mistral's own."""
    call = calling()
    await house.ask(asking("Hello", model=model, reasoning=config), call)
    body = server.requests[0].body
    assert {key: value for key, value in body.items() if key not in ("model", "messages")} == sent
    assert losses_of(call) == losses


@streamed_or_not
async def test_references_are_citations(house: House, streamed: bool) -> None:
    """What a text rests on is told with it, and the text goes on."""
    response = await house.ask(asking("cite", model=MODEL), streamed=streamed)
    assert texts_of(response) == ["You said: cite", "."]
    [citation] = response.choices[0].message.parts[0].citations
    assert (citation.title, json.loads(citation.extras["openai"])["reference_ids"]) == ("1, 2", [1, 2])


@streamed_or_not
async def test_structured_output(house: House, streamed: bool) -> None:
    """JSON by a schema, by Mistral's own means."""
    schema = '{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}'
    form = ResponseFormat(json_schema=JsonSchema(name="person", schema_json=schema, strict=True))
    request = asking("Who?", model=MODEL, response_format=form)
    response = await house.ask(request, calling(strict=True), streamed=streamed)
    assert json.loads(texts_of(response)[0]) == {"name": "x"}


async def test_media(house: House, server: MistralServer) -> None:
    """Images, documents and sounds reach the server in its own forms; a video has none."""
    request = asking("Look", model=MODEL)
    image = Media(media_type="image/png", uri="data:image/png;base64,AAAA")
    document = Media(media_type="application/pdf", uri="https://example.com/a.pdf", filename="a.pdf")
    sound = Media(media_type="audio/wav", uri="data:audio/wav;base64,BBBB")
    upload = Media(media_type="application/pdf", file_id="file-1")
    request.messages[0].parts.extend(Part(media=media) for media in (image, document, sound, upload))
    await house.ask(request, calling(strict=True))
    assert server.requests[0].body["messages"][0]["content"][1:] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
        {"type": "document_url", "document_url": "https://example.com/a.pdf", "document_name": "a.pdf"},
        {"type": "input_audio", "input_audio": "BBBB"},
        {"type": "file", "file_id": "file-1"},
    ]
    request.messages[0].parts.add().media.MergeFrom(Media(media_type="video/mp4", uri="data:video/mp4;base64,AA=="))
    with pytest.raises(GatewayError) as caught:
        await house.ask(request)
    assert (caught.value.name, caught.value.param) == ("UNSUPPORTED", "messages[0]")


async def test_images_in_the_results_of_tools(house: House, server: MistralServer) -> None:
    """Tools answer in text alone: the user shows what they brought, once all have answered."""
    image = Part(media=Media(media_type="image/png", uri="data:image/png;base64,AAAA"))
    turns = [
        said(USER, Part(text="Hi")),
        said(ASSISTANT, call_of("look", "abcDEF123"), call_of("time", "abcDEF124")),
        said(TOOL, result_of("abcDEF123", Part(text="Here"), image)),
        said(TOOL, result_of("abcDEF124", image)),
        said(USER, Part(text="And?")),
    ]
    call = calling()
    await house.ask(conversation(*turns), call)
    messages = server.requests[0].body["messages"]
    assert [message["role"] for message in messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "user",
        "user",
    ]
    assert messages[2]["content"] == [{"type": "text", "text": "Here"}]
    assert [part["type"] for part in messages[5]["content"]] == ["text", "image_url"] * 2
    assert losses_of(call) == [Loss(f"messages[{n}].content", LossKind.APPROXIMATED) for n in (2, 3)]


async def test_what_openais_callers_send_is_taken(house: House, server: MistralServer) -> None:
    """A request with all that callers of OpenAI send is taken, and what was lost of it is named."""
    request = asking(
        "Hello",
        model=MODEL,
        tools=TOOLS,
        sampling=Sampling(temperature=1.8, top_p=0.9, frequency_penalty=0.5, seed=7, top_k=5),
        stop_sequences=["END"],
        parallel_tool_calls=False,
        max_output_tokens=2000,
        user="u",
        service_tier="default",
        top_logprobs=2,
        choice_count=1,
        extras={"openai": '{"logit_bias":{"1":2},"store":true,"safe_prompt":true,"prompt_cache_key":"k"}'},
    )
    request.messages[0].name = "Ann"
    answer = Message(role=ASSISTANT, parts=[Part(text="Hi"), Part(refusal="No.")])
    answer.extras["openai"] = '{"annotations":[],"audio":{"id":"a"}}'
    request.messages.extend([answer, said(USER, Part(text="So?"))])
    call = calling()
    assert texts_of(await house.ask(request, call)) == ["You said: So?"]
    body = server.requests[0].body
    assert (body["random_seed"], body["service_tier"], body["temperature"]) == (7, "standard_only", 1.5)
    assert (body["safe_prompt"], body["prompt_cache_key"], body["max_tokens"]) == (True, "k", 2000)
    assert set(losses_of(call)) == {
        Loss("user"),
        Loss("logit_bias"),
        Loss("store"),
        Loss("messages[0].name"),
        Loss("messages[1].audio"),
        Loss("messages[1].refusal", LossKind.APPROXIMATED),
        Loss("temperature", LossKind.APPROXIMATED),
    }


@pytest.mark.parametrize(
    ("fields", "lost"),
    [
        ({"sampling": Sampling(seed=-1)}, "seed"),
        ({"service_tier": "priority"}, "service_tier"),
        ({"user": "u"}, "user"),
    ],
)
async def test_strict_callers_are_refused_instead(
    house: House, server: MistralServer, fields: dict[str, object], lost: str
) -> None:
    """A strict caller is told what cannot be taken, before anything is sent."""
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking("Hello", model=MODEL, **fields), calling(strict=True))
    assert (caught.value.name, caught.value.param) == ("UNSUPPORTED", lost)
    assert server.requests == []


@streamed_or_not
@pytest.mark.parametrize(
    ("word", "name", "status", "wait"),
    [
        ("limited", "RATE_LIMITED", 429, 7),
        ("overloaded", "PROVIDER_UNAVAILABLE", 503, None),
        ("poor", "QUOTA_EXCEEDED", 402, None),
        ("broken", "PROVIDER_FAILED", 500, None),
        ("long", "CONTEXT_LENGTH_EXCEEDED", 400, None),
    ],
)
async def test_errors(house: House, word: str, name: str, status: int, wait: int | None, streamed: bool) -> None:
    """Errors have their reason, their status and how long to wait."""
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking(word, model=MODEL), streamed=streamed)
    error = caught.value
    assert (error.name, error.provider_status, error.provider) == (name, status, "mistral")
    assert (error.retry_after.total_seconds() if error.retry_after is not None else None) == wait


async def test_a_field_that_is_refused_is_named(house: House) -> None:
    """What nobody knows is passed on, and Mistral's answer says where it stands."""
    request = asking("Hello", model=MODEL, extras={"openai": '{"nonsense":1}'})
    with pytest.raises(GatewayError) as caught:
        await house.ask(request)
    assert (caught.value.name, caught.value.param) == ("INVALID_REQUEST", "nonsense")
    assert caught.value.message == "`nonsense`: Extra inputs are not permitted"


async def test_an_unknown_model_and_a_wrong_key(house: House, server: MistralServer) -> None:
    """A model that Mistral does not have is not found; the gateway's key is not the caller's affair."""
    with pytest.raises(GatewayError) as caught:
        await house.ask(asking("Hello", model="mistral-none"))
    assert (caught.value.name, caught.value.provider_status) == ("NOT_FOUND", 400)
    provider = provider_of("mistral", server.url, api_key="sk-wrong")
    with pytest.raises(GatewayError) as caught:
        await house_of(provider).ask(asking("Hello", model=MODEL))
    await provider.close()
    assert caught.value.name == "PROVIDER_UNAUTHENTICATED"
    assert "wrong" not in caught.value.message


@pytest.mark.parametrize(
    ("word", "name"), [("fails", "PROVIDER_UNAVAILABLE"), ("breaks", "PROVIDER_FAILED"), ("ends", "PROVIDER_FAILED")]
)
async def test_a_stream_that_comes_to_nothing(house: House, word: str, name: str) -> None:
    """It ends in an error: nothing that was cut looks finished."""
    told = []
    with pytest.raises(GatewayError) as caught:
        async for event in house.events(asking(word, model=MODEL)):
            told.append(event)  # noqa: PERF401
    assert caught.value.name == name
    assert not any(event.HasField("choice_end") for event in told)


async def test_a_client_that_leaves(house: House, server: MistralServer) -> None:
    """Leaving a stream leaves Mistral's."""
    async with aclosing(house.events(asking("hangs", model=MODEL, reasoning=ReasoningConfig(effort="high")))) as events:
        async for event in events:
            if event.HasField("part_delta"):
                break
    await asyncio.wait_for(server.abandoned.wait(), 10)


async def test_models(house: House) -> None:
    """The models are those that Mistral lists."""
    assert [model.id for model in await house.provider.list_models()] == list(MODELS)


async def test_the_fake_is_taken_for_mistral(server: MistralServer) -> None:
    """Mistral's own client reads what the fake says, whole and streamed, and its errors."""
    async with Mistral(api_key=KEY, server_url=server.origin) as client:
        asked = [{"role": "user", "content": "cite"}]
        whole = await client.chat.complete_async(model=MODEL, messages=asked)  # type: ignore[arg-type]
        content = AssistantMessage.model_validate(whole.choices[0].message).content
        assert [type(chunk) for chunk in content] == [TextChunk, ReferenceChunk, TextChunk]  # type: ignore[union-attr]
        thinking = await client.chat.complete_async(
            model="magistral-medium-latest",
            messages=[{"role": "user", "content": "Hello"}],
        )
        assert isinstance(thinking.choices[0].message.content[0], ThinkChunk)  # type: ignore[union-attr,index]
        stream = await client.chat.stream_async(
            model=MODEL,
            messages=[{"role": "user", "content": "tools"}],
            tools=[{"type": "function", "function": {"name": "weather", "parameters": {}}}],
        )
        async with stream:
            last = [event.data async for event in stream][-1]
        assert (last.choices[0].finish_reason, last.usage.total_tokens) == ("tool_calls", 25)  # type: ignore[union-attr]
        with pytest.raises(MistralError) as caught:
            await client.chat.complete_async(model="none", messages=[{"role": "user", "content": "Hi"}])
        assert caught.value.status_code == 400
