"""What every kind of provider does, through a gateway's own core and over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
import struct
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest
from fakes.file_server import PNG, FileServer
from fakes.relay import HTML, Cut, Page, Relay, Stall
from providers.house import NEAR, House, answering, asking, calling, house_of, texts_of
from providers.kinds import Kind, Refusal
from yarl import URL

from trunkline.call import Call, Loss, LossKind
from trunkline.config.model import ProviderConfig
from trunkline.errors import GatewayError
from trunkline.providers.build import build_providers
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import (
    ChatEvent,
    ChatRequest,
    ChatResponse,
    Function,
    JsonSchema,
    ReasoningConfig,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from trunkline.v1.content_pb2 import Media, Message, Part, Reasoning

CITY = '{"type":"object","properties":{"city":{"type":"string"}},"required":["city"],"additionalProperties":false}'
NAMED = '{"type":"object","properties":{"name":{"type":"string"}},"required":["name"],"additionalProperties":false}'
TOOLS = [Tool(function=Function(name=name, parameters_json=CITY)) for name in ("weather", "time")]
NAME = ResponseFormat(json_schema=JsonSchema(name="person", schema_json=NAMED))
LOW = ReasoningConfig(effort="low")
STEP = 41
"""Bytes between two places where an answer is cut, beside the ends of its events."""

SEALS = frozenset({"signature", "thoughtSignature", "encrypted_content", "data", "redactedContent"})
"""The keys under which providers keep what seals their reasoning."""

streamed_or_not = pytest.mark.parametrize("streamed", [False, True])


@dataclass
class Bench:
    """A gateway with one provider, the relay in between, and the fake behind it."""

    kind: Kind
    fake: Any
    relay: Relay
    house: House

    def asking(self, way: str, **more: Any) -> ChatRequest:
        """A request that brings about `way`."""
        model, words = self.kind.way(way)
        return asking(words, model=model, **more)

    async def ask(self, request: ChatRequest, call: Call | None = None, *, streamed: bool = False) -> ChatResponse:
        """The answer to `request`, whole or folded from its events."""
        return await self.house.ask(request, call, streamed=streamed)

    async def refused(self, request: ChatRequest, call: Call | None = None, *, streamed: bool = False) -> GatewayError:
        """The error that `request` ends in."""
        with pytest.raises(GatewayError) as caught:
            await self.ask(request, call, streamed=streamed)
        return caught.value

    async def told(self, request: ChatRequest) -> tuple[list[ChatEvent], GatewayError | None]:
        """The events of the answer to `request`, and the error that ended them."""
        events: list[ChatEvent] = []
        try:
            async for event in self.house.events(request):
                events.append(event)  # noqa: PERF401  # what came before an error counts
        except GatewayError as error:
            return events, error
        return events, None


class ProviderConformance:
    """Inherited once by each kind of provider, which says by `kind` what it is."""

    kind: Kind

    @pytest.fixture
    async def bench(self) -> AsyncIterator[Bench]:
        """A gateway in front of the fake."""
        async with self.kind.serve() as fake:
            place = URL(fake.url)
            async with Relay(str(place.origin())) as relay:
                settings = {**self.kind.settings, "base_url": relay.url + place.path.rstrip("/")}
                provider = build_providers({"it": ProviderConfig(**settings)}, NEAR)["it"]
                yield Bench(self.kind, fake, relay, house_of(provider))
                await provider.close()

    @streamed_or_not
    async def test_a_text(self, bench: Bench, streamed: bool) -> None:
        """A text comes with its end and what it used, from the provider that said it; nothing is lost."""
        call = calling(strict=True)
        response = await bench.ask(bench.asking("text"), call, streamed=streamed)

        assert "Hello" in "".join(texts_of(response))
        assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_STOP
        assert response.provider == "it"
        assert call.losses == []

    @pytest.mark.parametrize("way", ["text", "tools", "reasoning"])
    async def test_a_stream_is_its_answer(self, bench: Bench, way: str) -> None:
        """The events of a stream fold to what is answered at once, but for what names the answer itself."""
        request = bench.asking(way)
        if way == "tools":
            request.tools.extend(TOOLS)
        if way == "reasoning" and bench.kind.reasoning != "none":
            request.reasoning.CopyFrom(LOW)
        whole, folded = await bench.ask(request), await bench.ask(request, streamed=True)

        assert whole.usage.output_tokens > 0
        assert _bare(folded) == _bare(whole)

    @streamed_or_not
    async def test_usage(self, bench: Bench, streamed: bool) -> None:
        """What is used is counted once, with what was cached and reasoned in it."""
        usage = (await bench.ask(bench.asking("text"), streamed=streamed)).usage

        assert usage.input_tokens > 0
        assert usage.output_tokens > 0
        assert {name: getattr(usage, name) for name in bench.kind.usage} == bench.kind.usage
        assert all(count >= 0 for count in (usage.cached_input_tokens, usage.reasoning_output_tokens))
        assert usage.cached_input_tokens + usage.cache_write_input_tokens <= usage.input_tokens
        assert usage.reasoning_output_tokens <= usage.output_tokens

    @streamed_or_not
    async def test_tools(self, bench: Bench, streamed: bool) -> None:
        """Tools are called at once, each call with an id of its own; their results, in any order, end in a text."""
        request = bench.asking("tools", tools=TOOLS)
        response = await bench.ask(request, calling(strict=True), streamed=streamed)
        message = response.choices[0].message
        calls = [part.tool_call for part in message.parts if part.HasField("tool_call")]

        assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS
        assert [call.name for call in calls] == ["weather", "time"]
        assert all("city" in json.loads(call.arguments_json) for call in calls)
        assert len({call.id for call in calls} - {""}) == 2
        request.messages.extend([message, *answering(message, ["it rains", "it is late"])])
        ended = await bench.ask(request, calling(strict=True), streamed=streamed)

        assert texts_of(ended)
        assert ended.choices[0].finish.reason == chat_pb2.FINISH_REASON_STOP
        sent = bench.relay.last.sent.decode()
        assert "it rains" in sent
        assert "it is late" in sent

    @streamed_or_not
    async def test_a_forced_tool(self, bench: Bench, streamed: bool) -> None:
        """The tool that is asked for is called, and no other."""
        request = bench.asking("forced", tools=TOOLS, tool_choice=ToolChoice(name="weather"))
        response = await bench.ask(request, streamed=streamed)

        calls = [part.tool_call for part in response.choices[0].message.parts if part.HasField("tool_call")]
        assert [call.name for call in calls] == ["weather"]

    async def test_no_tool(self, bench: Bench) -> None:
        """Where no tool is to be called, none is."""
        request = bench.asking("text", tools=TOOLS[:1], tool_choice=ToolChoice(mode=chat_pb2.ToolChoice.MODE_NONE))
        call = calling()
        response = await bench.ask(request, call)

        assert not any(part.HasField("tool_call") for part in response.choices[0].message.parts)

    @streamed_or_not
    async def test_structured_output(self, bench: Bench, streamed: bool) -> None:
        """The answer is JSON that has what its schema requires; where the gateway sees to that, it says so."""
        call = calling()
        response = await bench.ask(bench.asking("schema", response_format=NAME), call, streamed=streamed)

        assert "name" in json.loads("".join(texts_of(response)))
        assert not any(part.HasField("tool_call") for part in response.choices[0].message.parts)
        emulated = [Loss("response_format", LossKind.EMULATED)] if bench.kind.structured == "emulated" else []
        assert call.losses == emulated

    @streamed_or_not
    async def test_reasoning_over_turns(self, bench: Bench, streamed: bool) -> None:
        """What the model thought is told, and what seals it goes back as it was, turn after turn between the calls and
        their results: the fake refuses it otherwise."""
        request = bench.asking("reasoning", tools=TOOLS, reasoning=LOW)
        seals: set[str] = set()
        call = calling()
        for turn in range(5):
            message = (await bench.ask(request, call if turn == 0 else None, streamed=streamed)).choices[0].message
            seals |= set(_seals(message))
            thoughts = [part.reasoning for part in message.parts if part.HasField("reasoning")]
            assert bool(thoughts) == (bench.kind.reasoning in ("sealed", "open"))
            request.messages.append(message)
            count = sum(part.HasField("tool_call") for part in message.parts)
            if count:
                request.messages.extend(answering(message, ["5"] * count))
                message = (await bench.ask(request, streamed=streamed)).choices[0].message
                seals |= set(_seals(message))
                request.messages.append(message)
            request.messages.extend(bench.asking("reasoning").messages)
        await bench.ask(request, streamed=streamed)

        assert bool(seals) == (bench.kind.reasoning == "sealed")
        assert all(seal in bench.relay.last.sent.decode() for seal in seals)
        assert (Loss("reasoning_effort") in call.losses) == (bench.kind.reasoning == "none")

    async def test_a_seal_that_was_tampered_with(self, bench: Bench) -> None:
        """Is refused by the provider, and told as an error of the request."""
        request = bench.asking("reasoning", tools=TOOLS, reasoning=LOW)
        message = (await bench.ask(request)).choices[0].message
        request.messages.extend([message, *answering(message, ["5"] * _calls_in(message))])
        for part in request.messages[1].parts:
            for dialect, text in part.extras.items():
                part.extras[dialect] = json.dumps(_tampered(json.loads(text)))
        if bench.kind.reasoning == "sealed":
            error = await bench.refused(request)
            assert (error.name, error.provider_status) == ("INVALID_REQUEST", 400)
        else:
            await bench.ask(request)

    async def test_reasoning_of_another_provider(self, bench: Bench) -> None:
        """Is left out: no provider is shown what seals another's."""
        request = bench.asking("text")
        part = Part(reasoning=Reasoning(text="Hmm"), extras={"elsewhere": '{"signature":"sealed elsewhere"}'})
        request.messages.append(Message(role=content_pb2.ROLE_ASSISTANT, parts=[part, Part(text="Hi")]))
        request.messages.extend(bench.asking("text").messages)
        await bench.ask(request)

        assert "elsewhere" not in bench.relay.last.sent.decode()

    async def test_an_image(self, bench: Bench) -> None:
        """An image that is sent along reaches the provider byte for byte."""
        data = base64.b64encode(PNG).decode()
        request = bench.asking("image")
        request.messages[0].parts.append(Part(media=Media(media_type="image/png", uri=f"data:image/png;base64,{data}")))
        await bench.ask(request, calling(strict=True))

        assert data in bench.relay.last.sent.decode()

    async def test_an_image_by_address(self, bench: Bench) -> None:
        """Is fetched by the provider where it does that, by the gateway otherwise."""
        async with FileServer() as files:
            address = f"{files.url}/a.png"
            request = bench.asking("image")
            request.messages[0].parts.append(Part(media=Media(media_type="image/png", uri=address)))
            await bench.ask(request, calling(strict=True))
        sent = bench.relay.last.sent.decode()

        assert (address in sent) == bench.kind.by_address
        assert (base64.b64encode(PNG).decode() in sent) != bench.kind.by_address
        assert bool(files.paths) != bench.kind.by_address

    @streamed_or_not
    async def test_stop_sequences(self, bench: Bench, streamed: bool) -> None:
        """An answer ends before them; which it was is told where the provider tells. Where they cannot be sent, that
        is reported."""
        model, _ = bench.kind.way("text")
        call = calling()
        request = asking("Hello END there", model=model, stop_sequences=["END"])
        response = await bench.ask(request, call, streamed=streamed)

        assert (Loss("stop") in call.losses) == (bench.kind.stop == "lost")
        assert ("there" in "".join(texts_of(response))) == (bench.kind.stop == "lost")
        finish = response.choices[0].finish
        assert finish.reason == chat_pb2.FINISH_REASON_STOP
        assert finish.stop_sequence == ("END" if bench.kind.stop == "told" else "")

    @streamed_or_not
    async def test_several_answers(self, bench: Bench, streamed: bool) -> None:
        """Come with their numbers and all that they used, by one call or by several."""
        one = await bench.ask(bench.asking("text"))
        call = calling(strict=True)
        response = await bench.ask(bench.asking("text", choice_count=2), call, streamed=streamed)

        assert sorted(choice.index for choice in response.choices) == [0, 1]
        assert all(any(part.text for part in choice.message.parts) for choice in response.choices)
        assert len(bench.relay.passed) == (2 if bench.kind.native_choices else 3)
        assert response.usage.output_tokens >= one.usage.output_tokens * (1 if bench.kind.native_choices else 2)

    async def test_what_cannot_be_taken(self, bench: Bench) -> None:
        """Is reported, field by field; a strict caller is refused before anything is sent."""
        request = bench.asking(
            "text",
            tools=TOOLS,
            sampling=Sampling(temperature=0.5, frequency_penalty=0.5, presence_penalty=0.5, seed=7, top_k=5),
            stop_sequences=["END"],
            user="u",
            top_logprobs=2,
            parallel_tool_calls=False,
            extras={"openai": '{"logit_bias":{"1":2}}'},
        )
        call = calling()
        await bench.ask(request, call)
        assert sorted(loss.field for loss in call.losses) == sorted(bench.kind.lost)

        sent = len(bench.relay.passed)
        if bench.kind.lost:
            error = await bench.refused(request, calling(strict=True))
            assert error.name == "UNSUPPORTED"
            assert all(f"`{name}`" in error.message for name in bench.kind.lost)
            assert len(bench.relay.passed) == sent
        else:
            await bench.ask(request, calling(strict=True))

    @streamed_or_not
    async def test_refusals(self, bench: Bench, streamed: bool) -> None:
        """Each error of the provider has its reason, its status, how long to wait, and the numbers that it tells."""
        found: dict[str, Refusal] = {}
        for way, wanted in bench.kind.refusals.items():
            words = bench.kind.ways.get(way, way)
            model, text = words if isinstance(words, tuple) else (bench.kind.model, words)
            error = await bench.refused(asking(text, model=model), streamed=streamed)
            wait = error.retry_after.total_seconds() if error.retry_after is not None else None
            assert wanted.words in error.message
            assert error.provider == "it"
            found[way] = Refusal(error.name, error.provider_status or 0, wait, wanted.words)

        assert found == bench.kind.refusals

    async def test_an_unknown_model(self, bench: Bench) -> None:
        """A model that the provider does not have is not found."""
        error = await bench.refused(asking("Hello", model="nobodys-model"))
        assert (error.name, error.provider_status) == (bench.kind.unknown_model.reason, bench.kind.unknown_model.status)

    async def test_a_wrong_key(self, bench: Bench) -> None:
        """That the gateway's key is refused says nothing of the caller's, nor of the key."""
        place = URL(bench.fake.url)
        settings = {**bench.kind.settings, **bench.kind.wrong_key, "base_url": bench.relay.url + place.path.rstrip("/")}
        provider = build_providers({"it": ProviderConfig(**settings)}, NEAR)["it"]
        with pytest.raises(GatewayError) as caught:
            await house_of(provider).ask(bench.asking("unauthorized"))
        await provider.close()

        assert caught.value.name == "PROVIDER_UNAUTHENTICATED"
        assert not any(key in caught.value.message for key in bench.kind.wrong_key.values())

    @streamed_or_not
    async def test_what_may_not_be_said(self, bench: Bench, streamed: bool) -> None:
        """Ends for that reason, or is an error of the request."""
        request = bench.asking("withheld")
        if bench.kind.withheld == "error":
            error = await bench.refused(request, streamed=streamed)
            assert error.name == "CONTENT_FILTERED"
        else:
            response = await bench.ask(request, streamed=streamed)
            assert response.choices[0].finish.reason == chat_pb2.FINISH_REASON_CONTENT_FILTER

    @streamed_or_not
    @pytest.mark.parametrize(
        ("page", "name", "words"),
        [
            (Page(), "PROVIDER_FAILED", "502 Bad Gateway"),
            (Page(503, "upstream connect error\n", "text/plain"), "PROVIDER_UNAVAILABLE", "upstream connect error"),
            (Page(504, HTML), "PROVIDER_TIMEOUT", ""),
            (Page(429, HTML), "RATE_LIMITED", ""),
            (Page(413, ""), "REQUEST_TOO_LARGE", ""),
            (Page(200, HTML), "PROVIDER_FAILED", ""),
            (Page(200, "", "application/json"), "PROVIDER_FAILED", ""),
            (Page(200, "[]", "application/json"), "PROVIDER_FAILED", ""),
        ],
    )
    async def test_what_proxies_say(self, bench: Bench, page: Page, name: str, words: str, streamed: bool) -> None:
        """A page of a proxy in between has its reason by its status, and its title for a message; one that is no
        answer is none."""
        bench.relay.harm = page
        error = await bench.refused(bench.asking("text"), streamed=streamed)

        assert error.name == name
        assert words in error.message
        assert "<" not in error.message

    async def test_a_stream_in_one_piece(self, bench: Bench) -> None:
        """A server, or a proxy before it, that was asked for a stream may answer at once, and tells an error so."""
        if bench.kind.frames != "lines":
            return
        request = bench.asking("text")
        whole = await bench.ask(request)
        bench.relay.harm = Page(200, bench.relay.last.body.decode(), "application/json")
        told = await bench.ask(request, streamed=True)
        assert told.choices == whole.choices
        assert told.usage == whole.usage

        bench.relay.harm = Page(200, '{"error":{"message":"Slow down","code":429}}', "application/json")
        error = await bench.refused(request, streamed=True)
        assert error.message == "Slow down"

    async def test_an_error_within_a_stream(self, bench: Bench) -> None:
        """Ends it with that error, and never in peace."""
        events, error = await bench.told(bench.asking("failing"))

        assert error is not None
        assert error.name == bench.kind.failing
        assert not _finished(events)

    @pytest.mark.parametrize("clean", [False, True])
    @pytest.mark.parametrize("way", ["text", "tools", "reasoning"])
    async def test_a_stream_that_is_cut(self, bench: Bench, way: str, clean: bool) -> None:
        """Before the event that makes it whole, at any byte and at the end of any event, it is an error, never an end;
        what came is told, in order, and nothing is made up."""
        request = bench.asking(way, tools=TOOLS if way == "tools" else [])
        if way == "reasoning" and bench.kind.reasoning != "none":
            request.reasoning.CopyFrom(LOW)
        whole, error = await bench.told(request)
        assert error is None
        body = bench.relay.last.body
        ends = list(_ends_of_events(body, bench.kind))
        marker = bench.kind.end if way == "text" else _last_marker(body, bench.kind)
        last = max(end for end in [0, *ends] if end <= body.rindex(marker))
        for at in sorted({*ends, *range(0, len(body), STEP)}):
            bench.relay.harm = Cut(at, clean)
            told, error = await bench.told(request)
            if at <= last:
                assert error is not None, at
                assert error.name == "PROVIDER_FAILED", at
                assert not _finished(told), at
            assert _pieces(whole)[: len(_pieces(told))] == _pieces(told), at
            if error is None:
                assert _finished(told), at

    @pytest.mark.parametrize("clean", [False, True])
    async def test_an_answer_that_is_cut(self, bench: Bench, clean: bool) -> None:
        """Truncated JSON is the provider's failure, wherever it ends."""
        request = bench.asking("text")
        await bench.ask(request)
        size = len(bench.relay.last.body.rstrip())
        for at in {*range(0, size, STEP), size - 1}:
            bench.relay.harm = Cut(at, clean)
            error = await bench.refused(request)
            assert error.name == "PROVIDER_FAILED", at

    @streamed_or_not
    async def test_a_caller_that_leaves(self, bench: Bench, streamed: bool) -> None:
        """Closes the connection to the provider at once, before and within an answer; nothing stays open."""
        request = bench.asking("text")
        await bench.ask(request, streamed=streamed)
        bench.relay.harm = Stall(len(bench.relay.last.body) * 2 // 3)
        if streamed:
            async with aclosing(bench.house.events(request)) as events:
                async for event in events:
                    if event.WhichOneof("event") == "part_start":
                        break
        else:
            asked = asyncio.ensure_future(bench.ask(request))
            await bench.relay.stalled.wait()
            asked.cancel()
            await asyncio.wait([asked])
            assert asked.cancelled()
        async with asyncio.timeout(30):
            await bench.relay.left.wait()
            await bench.relay.closed()


def _bare(response: ChatResponse) -> ChatResponse:
    """What an answer says, without what differs from one to the next: its names, and its provider's own fields."""
    for name in ("id", "extras", "create_time"):
        response.ClearField(name)
    for holder in (response.usage, *response.choices, *(choice.message for choice in response.choices)):
        holder.ClearField("extras")
    for part in (part for choice in response.choices for part in choice.message.parts):
        part.ClearField("extras")
        if part.HasField("tool_call"):
            part.tool_call.ClearField("id")
            part.tool_call.arguments_json = json.dumps(json.loads(part.tool_call.arguments_json))
    return response


def _seals(message: Message) -> Iterator[str]:
    """What seals the reasoning of a message."""
    for part in message.parts:
        for text in part.extras.values():
            yield from _sealed(json.loads(text))


def _sealed(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in SEALS and isinstance(inner, str):
                yield inner
            else:
                yield from _sealed(inner)


def _tampered(value: Any) -> Any:
    """`value` with all that is a seal in it turned round."""
    if not isinstance(value, dict):
        return value
    return {
        key: base64.b64encode(b"forged").decode() if key in SEALS and isinstance(inner, str) else _tampered(inner)
        for key, inner in value.items()
    }


def _calls_in(message: Message) -> int:
    return sum(part.HasField("tool_call") for part in message.parts)


def _finished(events: list[ChatEvent]) -> bool:
    return any(event.WhichOneof("event") in ("choice_end", "response_end") for event in events)


def _pieces(events: list[ChatEvent]) -> list[tuple[str, int, str]]:
    """What the events tell, without what differs from one answer to the next."""
    return [
        (event.WhichOneof("event") or "", event.part_delta.index, event.part_delta.text)
        for event in events
        if event.WhichOneof("event") != "usage"
    ]


def _ends_of_events(body: bytes, kind: Kind) -> Iterator[int]:
    """The places where an event of a stream ends."""
    at = 0
    while at < len(body):
        if kind.frames == "amazon":
            at += struct.unpack_from(">I", body, at)[0]
        else:
            found = [place for mark in (b"\n\n", b"\r\n\r\n") if (place := body.find(mark, at)) >= 0]
            if not found:
                return
            at = min(found)
            at += 4 if body[at : at + 4] == b"\r\n\r\n" else 2
        yield at


def _last_marker(body: bytes, kind: Kind) -> bytes:
    """What is found in the event that ends an answer, whatever it ended for."""
    return kind.end if kind.end in body else kind.end.partition(b":")[0]
