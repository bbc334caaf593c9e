"""Requests: what goes in comes out, whatever the contract models of it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from dialects.responses.cases import each, request_of
from dialects.responses.equivalent import meaning
from wire.recordings import Recording

from trunkline.call import Loss
from trunkline.core.check import Limits, check
from trunkline.dialects import responses
from trunkline.dialects.wire import dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatRequest


def read(**fields: Any) -> ChatRequest:
    """A request with `fields`, as the surface reads it."""
    return request_of(dumps({"model": "m", "input": "Hello", **fields}))


def write(request: ChatRequest) -> dict[str, Any]:
    """`request` as it goes out, without loss."""
    check(request, Limits())
    losses: list[Loss] = []
    wire = loads(dumps(responses.encode_request(request, losses)))
    assert losses == []
    assert isinstance(wire, dict)
    return wire


def through(items: list[Any], **fields: Any) -> list[Any]:
    """The items of a conversation as they come out."""
    return list(write(read(input=items, **fields))["input"])


@each(lambda one: one.request is not None and one.status == 200)
def test_a_recorded_request_comes_out_as_it_went_in(recording: Recording) -> None:
    """`encode(decode(w)) == w`, up to the listed equivalences."""
    asked = msgspec.json.decode(recording.request or b"")
    assert meaning(write(request_of(recording.request or b""))) == meaning(asked)


CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "r"}
REASONING = {
    "type": "reasoning",
    "id": "rs_1",
    "summary": [{"type": "summary_text", "text": "one"}, {"type": "summary_text", "text": "two\n\nthree"}],
    "content": [{"type": "reasoning_text", "text": "raw"}],
    "encrypted_content": "gAAA==",
    "status": "completed",
}

ITEMS: dict[str, list[Any]] = {
    "message": [{"role": "user", "content": "a"}, {"type": "message", "role": "developer", "content": "b"}],
    "parts": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "a", "prompt_cache_breakpoint": {"mode": "explicit"}},
                {"type": "input_image", "image_url": "https://a/b.png", "detail": "high"},
                {"type": "input_image", "file_id": "file_1", "detail": "low"},
                {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA", "filename": "a.pdf"},
                {"type": "input_file", "file_data": "data:audio/mpeg;base64,AAAA", "filename": "a.mp3"},
                {"type": "input_file", "file_url": "https://a/b.pdf"},
                {"type": "input_file", "file_id": "file_2"},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "input_video", "video_url": "https://a/b.mp4"},
            ],
        }
    ],
    "assistant": [
        {"role": "assistant", "content": "a"},
        {"role": "assistant", "content": "b", "phase": "commentary"},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [
                {
                    "type": "output_text",
                    "text": "c",
                    "annotations": [
                        {"type": "url_citation", "url": "https://a", "title": "A", "start_index": 0, "end_index": 1},
                        {"type": "file_citation", "file_id": "f", "filename": "a.pdf", "index": 3},
                        {
                            "type": "container_file_citation",
                            "container_id": "cn",
                            "file_id": "f",
                            "filename": "a.csv",
                            "start_index": 1,
                            "end_index": 2,
                        },
                        {"type": "file_path", "file_id": "f", "index": 1},
                    ],
                    "logprobs": [{"token": "c", "logprob": -0.5, "bytes": [99], "top_logprobs": []}],
                },
                {"type": "refusal", "refusal": "No."},
                {"type": "output_hologram", "x": 1},
            ],
        },
    ],
    "calls": [
        CALL,
        {**CALL, "call_id": "c2", "id": "fc_2", "status": "completed"},
        RESULT,
        {**RESULT, "call_id": "c2"},
    ],
    "result parts": [
        CALL,
        {
            **RESULT,
            "id": "fco_1",
            "output": [
                {"type": "input_text", "text": "see"},
                {"type": "input_image", "image_url": "data:image/png;base64,AAAA"},
                {"type": "input_file", "file_url": "https://a/b.pdf"},
            ],
        },
    ],
    "reasoning": [
        REASONING,
        {**CALL, "id": "fc_1"},
        RESULT,
        {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "x"},
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "why"}]},
        {"type": "reasoning", "id": "rs_3", "summary": [{"type": "summary_text", "text": ""}]},
        {"type": "reasoning", "id": "rs_4", "summary": [], "content": [{"type": "other", "text": "t", "x": 1}]},
    ],
    "custom": [
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "c3", "name": "sql", "input": "SELECT 1"},
        {"type": "custom_tool_call_output", "call_id": "c3", "output": "1"},
    ],
    "unasked": [
        CALL,
        RESULT,
        {"type": "function_call_output", "id": "fco_2", "name": "goal", "namespace": "agent", "output": "Win."},
        {"type": "function_call_output", "name": "goal", "output": [{"type": "input_text", "text": "a", "x": 1}]},
    ],
    "namespace": [{**CALL, "namespace": "mcp__x"}, {**CALL, "call_id": "c2", "namespace": "y__"}],
    "hosted": [
        {"role": "user", "content": "a"},
        {"type": "web_search_call", "id": "ws_1", "status": "completed", "action": {"type": "search", "query": "q"}},
        {"type": "local_shell_call", "id": "ls_1", "call_id": "s", "action": {"type": "exec"}, "status": "completed"},
        {"type": "local_shell_call_output", "id": "s", "output": "o"},
        {"type": "mcp_approval_response", "approval_request_id": "m", "approve": True},
        {"type": "additional_tools", "role": "developer", "tools": []},
        {"type": "item_reference", "id": "msg_9"},
        {"type": "a_kind_of_tomorrow", "x": [1]},
        {"role": "assistant", "content": "b"},
        {"type": "web_search_call", "id": "ws_2", "status": "failed", "action": None},
        {"type": "custom_tool_call", "id": "ctc_1", "call_id": "xs_call_1", "name": "x_keyword_search", "input": "{}"},
    ],
}


@pytest.mark.parametrize("items", ITEMS.values(), ids=ITEMS)
def test_every_kind_of_item_comes_out_as_it_went_in(items: list[Any]) -> None:
    """In its order, with its id and with all that it holds."""
    out = through(items)
    assert meaning({"input": out})["input"] == meaning({"input": items})["input"]


def test_all_items_together() -> None:
    """Neighbours are not mixed up: neither two messages of the assistant nor the reasoning of two calls."""
    items = [
        item for kind in ("message", "assistant", "calls", "hosted", "reasoning", "custom") for item in ITEMS[kind]
    ]
    assert meaning({"input": through(items)})["input"] == meaning({"input": items})["input"]


def test_what_the_assistant_wrote_is_one_turn() -> None:
    """Its reasoning, its words and its calls stand in one message of the contract, as other formats need it."""
    request = read(input=[{"role": "user", "content": "a"}, REASONING, *ITEMS["calls"]])
    assert [message.role for message in request.messages] == [
        content_pb2.ROLE_USER,
        content_pb2.ROLE_ASSISTANT,
        content_pb2.ROLE_TOOL,
        content_pb2.ROLE_TOOL,
    ]
    kinds = [part.WhichOneof("kind") for part in request.messages[1].parts]
    assert kinds == ["reasoning", "tool_call", "tool_call"]
    assert request.messages[1].parts[0].reasoning.text == "one\n\ntwo\n\nthree\n\nraw"


def test_instructions_are_a_system_message_of_their_own() -> None:
    """Other formats read them; this one writes them back where they were, beside the system's messages."""
    request = read(instructions="Be kind.", input=[{"role": "system", "content": "Be brief."}])
    assert [(message.role, message.parts[0].text) for message in request.messages] == [
        (content_pb2.ROLE_SYSTEM, "Be kind."),
        (content_pb2.ROLE_SYSTEM, "Be brief."),
    ]
    wire = write(request)
    assert wire["instructions"] == "Be kind."
    assert wire["input"] == [{"role": "system", "content": "Be brief."}]


FUNCTION = {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True}
TOOLS: dict[str, Any] = {
    "function": FUNCTION,
    "function without strict": {"type": "function", "name": "f", "parameters": {"type": "object"}},
    "deferred": {**FUNCTION, "defer_loading": True},
    "custom": {"type": "custom", "name": "sql", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}},
    "hosted": {"type": "web_search", "external_web_access": True, "filters": {"allowed_domains": ["a.b"]}},
    "mcp": {"type": "mcp", "server_label": "s", "server_url": "https://a", "require_approval": "never"},
    "namespace": {
        "type": "namespace",
        "name": "mcp__x",
        "description": "X",
        "tools": [FUNCTION, {**FUNCTION, "name": "g"}],
    },
    "namespace of other tools": {"type": "namespace", "name": "n", "tools": [{"type": "custom", "name": "c"}]},
    "empty namespace": {"type": "namespace", "name": "n", "tools": []},
}


@pytest.mark.parametrize("tool", TOOLS.values(), ids=TOOLS)
def test_every_kind_of_tool_comes_out_as_it_went_in(tool: Any) -> None:
    """With all that it holds, beside others."""
    tools = [FUNCTION, tool, {**FUNCTION, "name": "z"}]
    assert write(read(tools=tools))["tools"] == tools


def test_tools_of_a_namespace_are_functions_under_both_names() -> None:
    """Other providers can offer them; the calls in the conversation bear the same names."""
    request = read(input=[{**CALL, "namespace": "mcp__x"}], tools=[TOOLS["namespace"]])
    assert [tool.function.name for tool in request.tools] == ["mcp__x__f", "mcp__x__g"]
    assert request.messages[0].parts[0].tool_call.name == "mcp__x__f"


def test_functions_without_parameters_take_none() -> None:
    """The API requires a schema; some callers leave it out."""
    assert write(read(tools=[{"type": "function", "name": "f"}]))["tools"] == [
        {"type": "function", "name": "f", "parameters": {"type": "object", "properties": {}}}
    ]


SETTINGS: list[dict[str, Any]] = [
    {"tool_choice": "auto"},
    {"tool_choice": "none"},
    {"tool_choice": "required"},
    {"tool_choice": {"type": "function", "name": "f"}},
    {"tool_choice": {"type": "custom", "name": "sql"}},
    {"tool_choice": {"type": "web_search_preview"}},
    {"tool_choice": {"type": "allowed_tools", "mode": "required", "tools": [{"type": "function", "name": "f"}]}},
    {"text": {"format": {"type": "json_object"}}},
    {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"type": "object"}, "strict": True}}},
    {"text": {"format": {"type": "json_schema", "name": "n", "description": "d", "schema": {}}, "verbosity": "low"}},
    {"text": {"verbosity": "high"}},
    {"text": {"format": {"type": "grammar", "x": 1}}},
    {"reasoning": {"effort": "high", "summary": "detailed"}},
    {"reasoning": {"effort": "none", "context": "all_turns"}},
    {"max_output_tokens": 16, "temperature": 0.5, "top_p": 0.9, "parallel_tool_calls": False},
    {"include": ["reasoning.encrypted_content", "message.output_text.logprobs"], "top_logprobs": 3},
    {"include": ["web_search_call.action.sources"], "top_logprobs": 3},
    {"user": "u", "safety_identifier": "s", "metadata": {"a": "b"}, "service_tier": "flex"},
    {"previous_response_id": "resp_1", "truncation": "auto", "store": True},
    {"conversation": {"id": "conv_1"}, "background": True, "max_tool_calls": 3},
    {"prompt": {"id": "p", "variables": {"a": "b"}}, "prompt_cache_key": "k", "prompt_cache_retention": "24h"},
    {"client_metadata": {"x": "y"}, "top_k": 40, "frequency_penalty": 0.5, "seed": 2**63, "x": [1, {"y": 2**70}]},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_setting_comes_out_as_it_went_in(settings: dict[str, Any]) -> None:
    """Modelled or not."""
    assert meaning(write(read(**settings))) == meaning({"model": "m", "input": "Hello", **settings})


def test_settings_are_modelled() -> None:
    """What other formats have a word for is read, not merely kept."""
    request = read(
        tool_choice="required",
        text={"format": {"type": "json_schema", "name": "n", "schema": {"a": 1}, "strict": True}},
        reasoning={"effort": "low", "generate_summary": "auto"},
        include=["message.output_text.logprobs"],
        max_output_tokens=5,
        service_tier="flex",
    )
    assert request.tool_choice.mode == chat_pb2.ToolChoice.MODE_REQUIRED
    assert request.response_format.json_schema.schema_json == '{"a":1}'
    assert (request.reasoning.effort, request.reasoning.summary) == ("low", "auto")
    assert request.HasField("top_logprobs")
    assert (request.max_output_tokens, request.service_tier) == (5, "flex")
    assert request.extras == {}


def test_what_many_clients_send_empty_is_nothing() -> None:
    """`text: {}`, `tools: []` and the like are no settings."""
    request = read(text={}, tools=[], include=[], metadata={}, reasoning={}, instructions="")
    assert not request.HasField("response_format")
    assert not request.HasField("reasoning")
    assert len(request.messages) == 1


def test_a_result_of_a_stored_call_is_carried_verbatim() -> None:
    """Where the conversation goes on from what the provider keeps, the call is not here; else it must be."""
    assert through([RESULT], previous_response_id="resp_1") == [RESULT]
    with pytest.raises(GatewayError) as caught:
        write(read(input=[RESULT]))
    assert caught.value.name == "INVALID_REQUEST"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": 1}, "input"),
        ({"input": ["a"]}, "input[0]"),
        ({"input": [{}]}, "input[0].type"),
        ({"input": [{"role": "king", "content": "a"}]}, "input[0].role"),
        ({"input": [{"role": "user", "content": []}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": [{"type": "input_text"}]}]}, "input[0].content[0].text"),
        ({"input": [{"role": "user", "content": [{"type": "input_image"}]}]}, "input[0].content[0].image_url"),
        ({"input": [{"role": "user", "content": [{"text": "a"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call", "call_id": "c"}]}, "input[0].name"),
        ({"input": [{"type": "function_call_output", "output": "c"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "name": "f"}]}, "input[0].output"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"name": "f"}]}, "tools[0].type"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format.name"),
        ({"text": {"format": {}}}, "text.format.type"),
        ({"temperature": -1}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"reasoning": {"effort": 3}}, "reasoning.effort"),
    ],
)
def test_a_bad_request_is_told_by_its_field(fields: dict[str, Any], param: str) -> None:
    """The error names what is wrong as the caller wrote it."""
    with pytest.raises(GatewayError) as caught:
        read(**fields)
    assert (caught.value.name, caught.value.param) == ("INVALID_REQUEST", param)
