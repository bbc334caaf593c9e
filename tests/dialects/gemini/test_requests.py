"""Requests: lossless on the wire, and what Google's own types take."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.gemini.cases import (
    REFUSED,
    REQUESTS,
    each,
    load,
    model,
    read_request,
    user,
    write_request,
)
from dialects.gemini.equivalent import canonical
from google.genai import types
from pydantic import TypeAdapter, ValidationError
from wire.recordings import Recording, recording

from trunkline.call import Loss, LossKind
from trunkline.dialects import openai
from trunkline.dialects.wire import text_of
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2, errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest
from trunkline.v1.content_pb2 import CacheBreakpoint, Media, Message, Opaque, Part, Reasoning, ToolCall, ToolResult

SDK: dict[str, TypeAdapter[Any]] = {
    "contents": TypeAdapter(list[types.Content]),
    "systemInstruction": TypeAdapter(types.Content),
    "tools": TypeAdapter(list[types.Tool]),
    "toolConfig": TypeAdapter(types.ToolConfig),
    "generationConfig": TypeAdapter(types.GenerationConfig),
    "safetySettings": TypeAdapter(list[types.SafetySetting]),
    "cachedContent": TypeAdapter(str),
    "serviceTier": TypeAdapter(str),
    "labels": TypeAdapter(dict[str, str]),
}


def refused_by_the_sdk(wire: dict[str, Any]) -> set[str]:
    """The keys of a request that the SDK's types do not take, or do not know."""
    wrong = set()
    for key, value in wire.items():
        try:
            SDK[key].validate_python(value)
        except (KeyError, ValidationError, AttributeError):
            # The SDK's own enums stumble over numbers.
            wrong.add(key)
    return wrong


@each(REQUESTS)
def test_request_is_lossless_on_the_wire(recording: Recording) -> None:
    """Reading and writing a recorded request gives it back, up to the listed equivalences, and reports no loss."""
    assert recording.request is not None
    wire = load(recording.request)
    losses: list[Loss] = []
    written = write_request(read_request(wire), losses=losses)
    assert canonical(written) == canonical(wire)
    assert losses == []


@each(REQUESTS)
def test_writing_is_settled(recording: Recording) -> None:
    """What is written of a request is read and written as the very same."""
    assert recording.request is not None
    written = write_request(read_request(load(recording.request)))
    assert write_request(read_request(written)) == written


@each(REQUESTS)
def test_written_request_is_valid_for_the_sdk(recording: Recording) -> None:
    """What is written of a request is valid by the SDK's types, but for what its caller wrote otherwise."""
    assert recording.request is not None
    wire = load(recording.request)
    assert refused_by_the_sdk(write_request(read_request(wire))) <= refused_by_the_sdk(canonical(wire))


@pytest.mark.parametrize("case", REFUSED)
def test_refused_requests(case: str) -> None:
    """A request that Google refuses for its shape is refused, too, and the field is named."""
    request = recording(case).request
    assert request is not None
    with pytest.raises(GatewayError) as caught:
        read_request(load(request))
    assert (caught.value.reason, caught.value.param) == (errors_pb2.ERROR_REASON_INVALID_REQUEST, "contents[0].role")


@pytest.mark.parametrize(
    ("wire", "param"),
    [
        ({}, "contents"),
        ({"contents": [1]}, "contents[0]"),
        ({"contents": [{"parts": [{"text": 1}]}]}, "contents[0].parts[0].text"),
        ({"contents": [{"parts": [{"functionCall": {"args": {}}}]}]}, "contents[0].parts[0].functionCall.name"),
        ({"contents": [], "generationConfig": {"topP": 2}}, "generationConfig.topP"),
        ({"contents": [], "generationConfig": {"stopSequences": [1]}}, "generationConfig.stopSequences[0]"),
        ({"contents": [], "tools": [{"functionDeclarations": [{}]}]}, "tools[0].functionDeclarations[0].name"),
    ],
)
def test_wrong_types_are_named(wire: dict[str, Any], param: str) -> None:
    """A field of a wrong type is refused by its path."""
    with pytest.raises(GatewayError) as caught:
        read_request(wire)
    assert (caught.value.reason, caught.value.param) == (errors_pb2.ERROR_REASON_INVALID_REQUEST, param)


def test_snake_case_is_camel_case() -> None:
    """The names of protobuf mean what those of JSON mean."""
    request = read_request(
        {
            "system_instruction": {"parts": {"text": "Be brief."}},
            "contents": {"parts": [{"inline_data": {"mime_type": "image/png", "data": "aGk="}}]},
            "generation_config": {"max_output_tokens": 5, "thinking_config": {"thinking_budget": 0}},
            "tools": [{"function_declarations": [{"name": "f", "parameters_json_schema": {"type": "object"}}]}],
            "tool_config": {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["f"]}},
        }
    )
    assert request.messages[0].parts[0].text == "Be brief."
    assert request.messages[1].parts[0].media == Media(media_type="image/png", uri="data:image/png;base64,aGk=")
    assert (request.max_output_tokens, request.reasoning.enabled) == (5, False)
    assert (request.tools[0].function.name, request.tool_choice.name) == ("f", "f")


def test_an_array_of_one_may_be_left_out() -> None:
    """Google takes an object for an array that holds it, of tools and of what they declare, too."""
    tools = {"functionDeclarations": {"name": "f", "description": "F"}}
    request = read_request({"contents": {"parts": {"text": "Hi"}}, "tools": tools})
    assert request == read_request(
        {
            "contents": [{"parts": [{"text": "Hi"}]}],
            "tools": [{"functionDeclarations": [tools["functionDeclarations"]]}],
        }
    )
    assert request.tools[0].function.name == "f"


def asking(*messages: Message, **more: Any) -> ChatRequest:
    """A request of the contract."""
    return ChatRequest(model="m", messages=messages or [said("Hi")], **more)


def said(text: str, role: content_pb2.Role.ValueType = content_pb2.ROLE_USER) -> Message:
    """A message of one text."""
    return Message(role=role, parts=[Part(text=text)])


def written(request: ChatRequest, model: str = "gemini-3-flash") -> tuple[Any, list[Loss]]:
    """What is written for `model`, and what it could not take."""
    losses: list[Loss] = []
    return write_request(request, model, losses), losses


def test_instructions_have_one_place() -> None:
    """System and developer messages become the system instruction in their order; one in the middle is reported."""
    request = asking(
        said("one", content_pb2.ROLE_SYSTEM),
        said("two", content_pb2.ROLE_DEVELOPER),
        said("Hi"),
        said("three", content_pb2.ROLE_SYSTEM),
    )
    wire, losses = written(request)
    assert wire["systemInstruction"] == {"parts": [{"text": "one"}, {"text": "two"}, {"text": "three"}]}
    assert wire["contents"] == [user({"text": "Hi"})]
    assert losses == [Loss("messages[3].role", LossKind.APPROXIMATED)]


def test_instructions_alone_are_what_the_user_says() -> None:
    """Google wants contents: where there are instructions only, these are said by the user."""
    wire, _ = written(asking(said("Say hi.", content_pb2.ROLE_SYSTEM)))
    assert wire["contents"] == [user({"text": "Say hi."})]
    assert "systemInstruction" not in wire


def called(*calls: ToolCall) -> Message:
    """A turn of the assistant that calls tools."""
    return Message(role=content_pb2.ROLE_ASSISTANT, parts=[Part(tool_call=call) for call in calls])


def returned(call_id: str, *parts: Part, failed: bool = False) -> Message:
    """A message with one result."""
    result = ToolResult(tool_call_id=call_id, parts=parts, failed=failed)
    return Message(role=content_pb2.ROLE_TOOL, parts=[Part(tool_result=result)])


def test_results_of_a_turn_are_one_content() -> None:
    """Results in messages of their own are one content, named after their calls; failures are told as errors."""
    request = asking(
        said("Hi"),
        called(ToolCall(id="a", name="f", arguments_json='{"x":1}'), ToolCall(id="b", name="g")),
        returned("a", Part(text="warm")),
        returned("b", Part(text="no"), failed=True),
        said("Go on"),
    )
    wire, losses = written(request, "gemini-2.5-flash")
    assert wire["contents"][1:] == [
        model(
            {"functionCall": {"id": "a", "name": "f", "args": {"x": 1}}},
            {"functionCall": {"id": "b", "name": "g", "args": {}}},
        ),
        user(
            {"functionResponse": {"id": "a", "name": "f", "response": {"output": "warm"}}},
            {"functionResponse": {"id": "b", "name": "g", "response": {"error": "no"}}},
        ),
        user({"text": "Go on"}),
    ]
    assert losses == []


@pytest.mark.parametrize(
    ("text", "response"),
    [
        ("21 degrees", {"output": "21 degrees"}),
        ('{"degrees":21}', {"degrees": 21}),
        ("[1]", {"output": "[1]"}),
        ("{broken", {"output": "{broken"}),
        ("", {"output": ""}),
    ],
)
def test_result_is_an_object(text: str, response: dict[str, Any]) -> None:
    """Google takes objects alone: the text of one is that object, any other text its output."""
    wire, _ = written(asking(called(ToolCall(id="a", name="f")), returned("a", Part(text=text))))
    assert wire["contents"][1]["parts"][0]["functionResponse"]["response"] == response


IMAGE = Part(media=Media(media_type="image/png", uri="data:image/png;base64,aGk="))


@pytest.mark.parametrize(("name", "inside"), [("gemini-3-flash", True), ("gemini-2.5-flash", False)])
def test_image_in_a_result(name: str, *, inside: bool) -> None:
    """Gemini 3 takes media in a result; for older models they stand behind all results of the turn."""
    request = asking(
        called(ToolCall(id="a", name="f"), ToolCall(id="b", name="g")),
        returned("a", Part(text="see"), IMAGE),
        returned("b", Part(text="no")),
        said("Well?"),
    )
    wire, losses = written(request, name)
    inline = {"inlineData": {"mimeType": "image/png", "data": "aGk="}}
    parts = wire["contents"][1]["parts"]
    if inside:
        assert parts[0]["functionResponse"]["parts"] == [inline]
        assert len(parts) == 2
    else:
        assert [list(part) for part in parts] == [["functionResponse"], ["functionResponse"], ["inlineData"]]
        assert parts[2] == inline
    assert wire["contents"][2] == user({"text": "Well?"})
    assert losses == []


def test_results_are_matched_by_name() -> None:
    """A call without an id is given one, its result finds it by name, and Google sees neither."""
    call = {"functionCall": {"name": "f", "args": {}}}
    result = {"functionResponse": {"name": "f", "response": {"output": "x"}}}
    wire = {"contents": [user({"text": "Hi"}), model(call, call), user(result, result)]}
    request = read_request(wire)
    calls = [part.tool_call.id for part in request.messages[1].parts]
    assert len(set(calls)) == 2
    assert [part.tool_result.tool_call_id for part in request.messages[2].parts] == calls
    assert read_request(wire) == request
    assert write_request(request) == wire


def test_ids_that_google_gave_go_back() -> None:
    """A call's own id stays, and a result that names it is given it, whatever their order."""
    wire = {
        "contents": [
            model(*({"functionCall": {"id": name, "name": "f", "args": {}}} for name in "ab")),
            user(*({"functionResponse": {"id": name, "name": "f", "response": {"output": name}}} for name in "ba")),
        ]
    }
    request = read_request(wire)
    assert [part.tool_result.tool_call_id for part in request.messages[1].parts] == ["b", "a"]
    assert write_request(request) == wire


def test_arguments_that_are_no_object() -> None:
    """Broken arguments of a model reach Google as an argument, as it takes no text, and are reported."""
    wire, losses = written(asking(called(ToolCall(id="a", name="f", arguments_json='{"x":'))))
    assert wire["contents"][0]["parts"][0]["functionCall"]["args"] == {"arguments": '{"x":'}
    assert losses == [Loss("messages[0].tool_calls", LossKind.APPROXIMATED)]


def test_foreign_reasoning_is_dropped_and_own_goes_back() -> None:
    """A thought goes back with its signature to the dialect that wrote it, and never from another one."""
    own = {"text": "Hm.", "thought": True, "thoughtSignature": "c2ln"}
    request = read_request({"contents": [model(own, {"text": "Hi"})]})
    assert write_request(request)["contents"] == [model(own, {"text": "Hi"})]
    foreign = Part(reasoning=Reasoning(text="Hm."), extras={"anthropic": '{"signature":"hunter2"}'})
    wire, losses = written(asking(Message(role=content_pb2.ROLE_ASSISTANT, parts=[foreign, Part(text="Hi")])))
    assert wire["contents"] == [model({"text": "Hi"})]
    assert "hunter2" not in text_of(wire)
    assert losses == []


def test_calls_of_other_models_pass_gemini_3() -> None:
    """Gemini 3 refuses unsigned calls: the first of a turn gets the signature that Google's guide names for these."""
    calls = called(ToolCall(id="a", name="f"), ToolCall(id="b", name="g"))
    parts = written(asking(calls))[0]["contents"][0]["parts"]
    assert "thoughtSignature" in parts[0]
    assert "thoughtSignature" not in parts[1]
    assert "thoughtSignature" not in written(asking(calls), "gemini-2.5-pro")[0]["contents"][0]["parts"][0]
    signed = Part(tool_call=ToolCall(id="a", name="f"), extras={"gemini": '{"thoughtSignature":"c2ln"}'})
    own = written(asking(Message(role=content_pb2.ROLE_ASSISTANT, parts=[signed])))[0]
    assert own["contents"][0]["parts"][0]["thoughtSignature"] == "c2ln"


def test_signatures_survive_twenty_turns() -> None:
    """Signatures on calls, on texts, on empty texts and on thoughts go back byte for byte, each in its place."""
    contents: list[Any] = []
    for turn in range(20):
        contents += [
            user({"text": f"question {turn}"}),
            model(
                {"text": f"thought {turn}", "thought": True},
                {"text": "thought", "thought": True, "thoughtSignature": f"dGhvdWdodA{turn}+/=="},
                {"functionCall": {"name": "f", "args": {"turn": turn}}, "thoughtSignature": f"Y2FsbA-_{turn}"},
                {"functionCall": {"name": "f", "args": {}}},
            ),
            user(*({"functionResponse": {"name": "f", "response": {"n": n}}} for n in range(2))),
            model({"text": "answer"}, {"text": "", "thoughtSignature": f"ZW1wdHk{turn}"}),
        ]
    assert write_request(read_request({"contents": contents}))["contents"] == contents


def test_signatures_are_no_loss_to_others() -> None:
    """A conversation of Gemini's goes on at another provider: its signatures are of no use there, and no loss."""
    call = {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "c2ln"}
    losses: list[Loss] = []
    openai.encode_request(read_request({"contents": [model({"text": "Hm.", "thought": True}, call)]}), losses=losses)
    assert losses == []


def test_code_that_google_ran_goes_back_verbatim() -> None:
    """Parts of what Google runs itself are opaque: verbatim for Gemini, left out and named for others."""
    parts = [
        {"executableCode": {"language": "PYTHON", "code": "print(1)"}, "thoughtSignature": "c2ln"},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "1\n"}},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "id": "x", "args": {"queries": ["q"]}}},
        {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "id": "x"}},
        {"somethingNew": {"a_b": 1}},
    ]
    request = read_request({"contents": [model(*parts)]})
    assert {part.WhichOneof("kind") for part in request.messages[0].parts} == {"opaque"}
    assert write_request(request)["contents"] == [model(*parts)]


def test_foreign_blocks_are_left_out_and_named() -> None:
    """Blocks and tools of another dialect are left out, and named by their own type."""
    block = Opaque(dialect="anthropic", json='{"type":"web_search_tool_result","content":[]}')
    tool = chat_pb2.Tool(native=Opaque(dialect="anthropic", json='{"type":"web_search_20250305","name":"w"}'))
    request = asking(
        Message(role=content_pb2.ROLE_ASSISTANT, parts=[Part(opaque=block), Part(text="Hi")]), tools=[tool]
    )
    wire, losses = written(request)
    assert wire == {"contents": [model({"text": "Hi"})]}
    assert losses == [Loss("messages[0].web_search_tool_result"), Loss("tools[0].web_search_20250305")]


def test_what_gemini_has_no_place_for_is_reported() -> None:
    """Each field that is left out is named as OpenAI's callers know it, once."""
    message = said("Hi")
    message.name = "bob"
    message.parts[0].cache.CopyFrom(CacheBreakpoint())
    tool = chat_pb2.Tool(function=chat_pb2.Function(name="f", strict=True))
    request = asking(
        message,
        tools=[tool],
        parallel_tool_calls=False,
        user="u",
        service_tier="scale",
        sampling=chat_pb2.Sampling(top_k=-1, seed=2**40),
        extras={"openai": '{"logit_bias":{"1":1}}'},
    )
    wire, losses = written(request)
    assert wire == {
        "contents": [user({"text": "Hi"})],
        "tools": [{"functionDeclarations": [{"name": "f", "description": ""}]}],
    }
    assert {loss.field for loss in losses} == {
        "cache_control",
        "logit_bias",
        "messages[0].name",
        "parallel_tool_calls",
        "seed",
        "service_tier",
        "tools[0].function.strict",
        "top_k",
        "user",
    }
    assert all(loss.kind is LossKind.DROPPED for loss in losses)


@pytest.mark.parametrize(("tier", "word"), [("default", "standard"), ("flex", "flex"), ("priority", "priority")])
def test_service_tiers(tier: str, word: str) -> None:
    """A class of service is asked for in Google's word."""
    wire, losses = written(asking(service_tier=tier))
    assert (wire["serviceTier"], losses) == (word, [])
    assert read_request(wire).service_tier == tier


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"mode": "AUTO"}, chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_AUTO)),
        ({"mode": "none"}, chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_NONE)),
        ({"mode": "ANY"}, chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED)),
        ({"mode": "ANY", "allowedFunctionNames": ["f"]}, chat_pb2.ToolChoice(name="f")),
        (
            {"mode": "ANY", "allowedFunctionNames": ["f", "g"]},
            chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_REQUIRED),
        ),
        ({"mode": "VALIDATED"}, chat_pb2.ToolChoice()),
    ],
)
def test_tool_choice(config: dict[str, Any], expected: chat_pb2.ToolChoice) -> None:
    """Each mode has its meaning in the contract, and goes back as it was."""
    wire = {
        "contents": [user({"text": "Hi"})],
        "tools": [{"functionDeclarations": [{"name": "f", "description": ""}]}],
        "toolConfig": {"functionCallingConfig": config},
    }
    request = read_request(wire)
    assert request.tool_choice == expected
    assert canonical(write_request(request)) == canonical(wire)


def test_no_tool_choice_without_functions() -> None:
    """Google refuses a choice where there is nothing to choose."""
    wire, _ = written(asking(tool_choice=chat_pb2.ToolChoice(mode=chat_pb2.ToolChoice.MODE_AUTO)))
    assert "toolConfig" not in wire


@pytest.mark.parametrize(
    ("media", "part"),
    [
        (Media(media_type="image/png", data=b"hi"), {"inlineData": {"mimeType": "image/png", "data": "aGk="}}),
        (
            Media(media_type="image/*", uri="data:image/png;base64,aGk=", filename="a.png"),
            {"inlineData": {"mimeType": "image/png", "data": "aGk=", "displayName": "a.png"}},
        ),
        (Media(uri="data:text/plain,a%20b"), {"inlineData": {"mimeType": "text/plain", "data": "YSBi"}}),
        (
            Media(media_type="image/*", uri="https://example.com/a.JPG?x=1"),
            {"fileData": {"mimeType": "image/jpeg", "fileUri": "https://example.com/a.JPG?x=1"}},
        ),
        (Media(media_type="video/*", uri="https://youtu.be/x"), {"fileData": {"fileUri": "https://youtu.be/x"}}),
        (
            Media(media_type="application/pdf", uri="gs://b/a"),
            {"fileData": {"mimeType": "application/pdf", "fileUri": "gs://b/a"}},
        ),
        (
            Media(file_id="files/abc", media_type="application/pdf"),
            {
                "fileData": {
                    "mimeType": "application/pdf",
                    "fileUri": "https://generativelanguage.googleapis.com/v1beta/files/abc",
                }
            },
        ),
    ],
)
def test_media(media: Media, part: dict[str, Any]) -> None:
    """Content goes inline, an address as a file, with the most exact type that is known."""
    wire, losses = written(asking(Message(role=content_pb2.ROLE_USER, parts=[Part(media=media)])))
    assert (wire["contents"], losses) == ([user(part)], [])


@pytest.mark.parametrize(
    "message",
    [
        Message(role=content_pb2.ROLE_USER, parts=[Part(media=Media(file_id="file-abc"))]),
        Message(role=content_pb2.ROLE_SYSTEM, parts=[IMAGE]),
        Message(role=content_pb2.ROLE_USER, parts=[Part()]),
        returned("a", Part(reasoning=Reasoning(text="x"))),
    ],
)
def test_what_cannot_be_said_is_refused(message: Message) -> None:
    """What would change the conversation if it were left out is refused, not dropped."""
    with pytest.raises(GatewayError) as caught:
        written(asking(message))
    assert caught.value.reason == errors_pb2.ERROR_REASON_UNSUPPORTED


def test_no_leak() -> None:
    """A request never holds what belongs to another dialect, and says what it left out."""
    secret = {"anthropic": '{"secret":"hunter2"}', "openai": '{"secret":"hunter2"}'}
    part = Part(text="Hi", extras=secret)
    tool = chat_pb2.Tool(function=chat_pb2.Function(name="f"), extras=secret)
    request = asking(Message(role=content_pb2.ROLE_USER, parts=[part], extras=secret), tools=[tool], extras=secret)
    wire, losses = written(request)
    assert "hunter2" not in text_of(wire)
    assert {loss.field for loss in losses} == {"secret", "messages[0].secret", "tools[0].secret"}
