"""The settings of a request, for each family of models."""

from __future__ import annotations

from typing import Any

import pytest
from dialects.bedrock.cases import (
    CLAUDE,
    GPT,
    LLAMA,
    MISTRAL,
    NEW_CLAUDE,
    NOVA,
    NOVA_2,
    OLD_CLAUDE,
    QWEN,
    TOOL,
    USER,
    call,
    load,
    read_request,
    result,
    said,
    written,
)

from trunkline.call import Loss, LossKind
from trunkline.dialects import bedrock
from trunkline.dialects.wire import dumps
from trunkline.v1.chat_pb2 import (
    ChatRequest,
    Function,
    JsonObject,
    JsonSchema,
    ReasoningConfig,
    ResponseFormat,
    Sampling,
    Tool,
    ToolChoice,
)
from trunkline.v1.content_pb2 import ROLE_ASSISTANT, Opaque, Part, Reasoning

DROPPED, APPROXIMATED, EMULATED = LossKind.DROPPED, LossKind.APPROXIMATED, LossKind.EMULATED
TOOLS = [Tool(function=Function(name="f")), Tool(function=Function(name="g"))]


@pytest.mark.parametrize(
    ("model", "config", "fields", "losses"),
    [
        (CLAUDE, {"budget_tokens": 2000}, {"thinking": {"type": "enabled", "budget_tokens": 2000}}, {}),
        (CLAUDE, {"effort": "low"}, {"thinking": {"type": "enabled", "budget_tokens": 2048}}, {}),
        (CLAUDE, {"enabled": False}, {"thinking": {"type": "disabled"}}, {}),
        (CLAUDE, {"effort": "none"}, {"thinking": {"type": "disabled"}}, {}),
        (OLD_CLAUDE, {"effort": "low"}, None, {"reasoning_effort": DROPPED}),
        (NEW_CLAUDE, {"enabled": True}, {"thinking": {"type": "adaptive"}}, {}),
        (
            NEW_CLAUDE,
            {"enabled": True, "summary": "auto"},
            {"thinking": {"type": "adaptive", "display": "summarized"}},
            {},
        ),
        (NOVA, {"effort": "low"}, None, {"reasoning_effort": DROPPED}),
        (NOVA, {"enabled": False}, None, {}),
        (NOVA_2, {"effort": "low"}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "low"}}, {}),
        (NOVA_2, {"enabled": True}, {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "medium"}}, {}),
        (NOVA_2, {"effort": "none"}, {"reasoningConfig": {"type": "disabled"}}, {}),
        (
            NOVA_2,
            {"budget_tokens": 30000},
            {"reasoningConfig": {"type": "enabled", "maxReasoningEffort": "high"}},
            {"reasoning.budget_tokens": APPROXIMATED},
        ),
        (GPT, {"effort": "high"}, {"reasoning_effort": "high"}, {}),
        (GPT, {"effort": "xhigh"}, {"reasoning_effort": "high"}, {"reasoning_effort": APPROXIMATED}),
        (GPT, {"enabled": False}, {"reasoning_effort": "low"}, {"reasoning": APPROXIMATED}),
        (GPT, {"effort": "low", "summary": "auto"}, {"reasoning_effort": "low"}, {"reasoning.summary": DROPPED}),
        (QWEN, {"effort": "medium"}, {"reasoning_config": "medium"}, {}),
        (QWEN, {"effort": "none"}, {}, {"reasoning_effort": DROPPED}),
    ],
)
def test_reasoning(model: str, config: Any, fields: Any, losses: Any) -> None:
    """How much to reason, in each family's own words, and what it cannot say."""
    wire, lost = written(model=model, reasoning=ReasoningConfig(**config))
    assert wire.get("additionalModelRequestFields") == fields
    assert lost == losses
    if fields and losses == {} and config.get("effort") != "none" and "budget_tokens" not in str(fields):
        assert read_request(wire).HasField("reasoning")


def test_effort_is_a_setting_of_the_api() -> None:
    """Claude's effort has a field of Converse's own, and is read from it."""
    wire, losses = written(model=NEW_CLAUDE, reasoning=ReasoningConfig(effort="low"))
    assert wire["outputConfig"] == {"effort": "low"}
    assert wire["additionalModelRequestFields"] == {"thinking": {"type": "adaptive"}}
    assert losses == {}
    assert read_request(wire).reasoning.effort == "low"


def test_novas_highest_effort_goes_alone() -> None:
    """Amazon's models refuse their highest effort beside a limit or a temperature: a lesser one is asked for."""
    wire, losses = written(model=NOVA_2, reasoning=ReasoningConfig(effort="high"), max_output_tokens=100)
    assert wire["additionalModelRequestFields"]["reasoningConfig"]["maxReasoningEffort"] == "medium"
    assert losses == {"reasoning_effort": APPROXIMATED}


def test_thinking_waits_for_the_next_question() -> None:
    """Between a call that was made without thinking and its result no model with a budget may begin to think; one that
    thought may go on."""
    asked = [said(USER, "go"), said(ROLE_ASSISTANT, call()), said(TOOL, result("5"))]
    wire, losses = written(*asked, tools=TOOLS, reasoning=ReasoningConfig(budget_tokens=2000))
    assert "additionalModelRequestFields" not in wire
    assert losses == {"reasoning": DROPPED}
    thought = Part(reasoning=Reasoning(text="a"))
    thought.extras["bedrock"] = '{"reasoningContent":{"reasoningText":{"signature":"s"}}}'
    asked[1].parts.insert(0, thought)
    wire, losses = written(*asked, tools=TOOLS, reasoning=ReasoningConfig(budget_tokens=2000))
    assert wire["additionalModelRequestFields"]["thinking"]["budget_tokens"] == 2000
    assert losses == {}


@pytest.mark.parametrize(
    ("model", "sampling", "config", "fields", "losses"),
    [
        (CLAUDE, {"temperature": 0.5}, {"temperature": 0.5}, None, {}),
        (CLAUDE, {"temperature": 1.5}, {"temperature": 1}, None, {"temperature": APPROXIMATED}),
        (CLAUDE, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5}, None, {"top_p": DROPPED}),
        (OLD_CLAUDE, {"temperature": 0.5, "top_p": 0.5}, {"temperature": 0.5, "topP": 0.5}, None, {}),
        (
            NEW_CLAUDE,
            {"temperature": 0.5, "top_p": 1, "top_k": 4},
            None,
            None,
            {"temperature": DROPPED, "top_k": DROPPED},
        ),
        (CLAUDE, {"top_k": 4}, None, {"top_k": 4}, {}),
        (NOVA, {"top_k": 4}, None, {"inferenceConfig": {"topK": 4}}, {}),
        (MISTRAL, {"top_k": 4}, None, {"top_k": 4}, {}),
        (LLAMA, {"top_k": 4}, None, None, {"top_k": DROPPED}),
        (CLAUDE, {"top_k": -1}, None, None, {}),
        (
            LLAMA,
            {"frequency_penalty": 0.5, "presence_penalty": 0.5, "seed": 1},
            None,
            None,
            {"frequency_penalty": DROPPED, "presence_penalty": DROPPED, "seed": DROPPED},
        ),
    ],
)  # fmt: skip
def test_sampling(model: str, sampling: Any, config: Any, fields: Any, losses: Any) -> None:
    """How words are picked: what the API has a field for, what a family has one for, and what neither has."""
    wire, lost = written(model=model, sampling=Sampling(**sampling))
    assert wire.get("inferenceConfig") == config
    assert wire.get("additionalModelRequestFields") == fields
    assert lost == losses


def test_thinking_and_sampling() -> None:
    """A model of Claude's that thinks takes no temperature, no low `top_p` and no `top_k`."""
    sampling = Sampling(temperature=0.5, top_p=0.5, top_k=3)
    wire, losses = written(reasoning=ReasoningConfig(budget_tokens=2000), sampling=sampling)
    assert "inferenceConfig" not in wire
    assert losses == dict.fromkeys(("temperature", "top_p", "top_k"), DROPPED)


def test_other_settings() -> None:
    """Limits, stop sequences and tiers have their places; what has none is named."""
    wire, losses = written(
        max_output_tokens=7,
        stop_sequences=["END", "", "\n"],
        service_tier="priority",
        user="u",
        choice_count=2,
        top_logprobs=3,
        extras={"openai": '{"logit_bias":{"1":1}}', "bedrock": '{"requestMetadata":{"a":"b"}}'},
    )
    assert wire["inferenceConfig"] == {"maxTokens": 7, "stopSequences": ["END"]}
    assert wire["serviceTier"] == {"type": "priority"}
    assert wire["requestMetadata"] == {"a": "b"}
    assert losses == dict.fromkeys(("logit_bias", "stop", "user", "n", "logprobs"), DROPPED)
    assert "logit_bias" not in str(wire)
    assert written(service_tier="auto") == written()
    assert written(service_tier="scale")[1] == {"service_tier": DROPPED}


@pytest.mark.parametrize(
    ("model", "stop", "stream", "paths"),
    [
        (CLAUDE, ["END"], False, ["/stop_sequence"]),
        (CLAUDE, ["END"], True, ["/delta/stop_sequence"]),
        (CLAUDE, [], True, None),
        (LLAMA, ["END"], False, None),
    ],
)
def test_the_stop_sequence_is_asked_for(model: str, stop: list[str], stream: bool, paths: Any) -> None:
    """Anthropic's models are asked which stop sequence they met, where there are any to meet."""
    wire, _ = written(model=model, stop_sequences=stop)
    bedrock.ask_for_stop_sequence(wire, bedrock.profile_of(model), stream=stream)
    assert wire.get("additionalModelResponseFieldPaths") == paths
    own = {**wire, "additionalModelResponseFieldPaths": ["/own"]}
    bedrock.ask_for_stop_sequence(own, bedrock.profile_of(model), stream=stream)
    assert own["additionalModelResponseFieldPaths"] == ["/own"]


SCHEMA = '{"type":"object","properties":{"a":{"type":"string"}}}'


@pytest.mark.parametrize(
    ("model", "schema", "sent", "losses"),
    [
        (CLAUDE, SCHEMA, {**load(SCHEMA.encode()), "additionalProperties": False}, {}),
        (QWEN, '{"type": "string"}', {"type": "string"}, {}),
        (
            CLAUDE,
            '{"type":"string","minLength":2}',
            {"type": "string", "description": '{"minLength":2}'},
            {"response_format.json_schema.schema": APPROXIMATED},
        ),
        (OLD_CLAUDE, SCHEMA, None, {"response_format": DROPPED}),
        (NOVA, SCHEMA, None, {"response_format": DROPPED}),
        (CLAUDE, "", None, {"response_format": DROPPED}),
    ],
)
def test_structured_output(model: str, schema: str, sent: Any, losses: Any) -> None:
    """A schema goes in the API's own field where the model holds to it, within what the API compiles."""
    form = ResponseFormat(json_schema=JsonSchema(name="n", description="d", schema_json=schema))
    wire, lost = written(model=model, response_format=form)
    assert lost == losses
    if sent is None:
        assert "outputConfig" not in wire
        return
    written_schema = wire["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
    assert (load(written_schema["schema"].encode()), written_schema["name"]) == (sent, "n")
    assert read_request(wire).response_format.json_schema.description == "d"


def test_a_schema_that_fits_is_sent_as_it_is() -> None:
    """Not a byte of a schema changes that the API takes."""
    schema = '{ "type": "object", "properties": {}, "additionalProperties": false }'
    wire, _ = written(response_format=ResponseFormat(json_schema=JsonSchema(schema_json=schema)))
    assert wire["outputConfig"]["textFormat"]["structure"]["jsonSchema"] == {"schema": schema}


def test_any_json_has_no_field() -> None:
    """JSON without a schema cannot be asked for."""
    assert written(response_format=ResponseFormat(json_object=JsonObject()))[1] == {"response_format": DROPPED}


@pytest.mark.parametrize(
    ("model", "choice", "sent", "losses"),
    [
        (CLAUDE, {"mode": ToolChoice.MODE_AUTO}, {"auto": {}}, {}),
        (CLAUDE, {"mode": ToolChoice.MODE_REQUIRED}, {"any": {}}, {}),
        (CLAUDE, {"name": "f"}, {"tool": {"name": "f"}}, {}),
        (LLAMA, {"mode": ToolChoice.MODE_AUTO}, None, {}),
        (LLAMA, {"mode": ToolChoice.MODE_REQUIRED}, None, {"tool_choice": APPROXIMATED}),
        (MISTRAL, {"mode": ToolChoice.MODE_REQUIRED}, {"any": {}}, {}),
        (MISTRAL, {"name": "f"}, None, {"tool_choice": APPROXIMATED}),
        ("anthropic.claude-opus-5-5", {"name": "f"}, None, {"tool_choice": APPROXIMATED}),
    ],
)
def test_tool_choice(model: str, choice: Any, sent: Any, losses: Any) -> None:
    """The choice among tools, as far as the model can be told."""
    wire, lost = written(model=model, tools=TOOLS, tool_choice=ToolChoice(**choice))
    assert wire["toolConfig"].get("toolChoice") == sent
    assert lost == losses


def test_the_only_tool_can_be_forced_by_any() -> None:
    """A model that cannot be told which tool to call can be told to call one, which is the same where there is one."""
    wire, losses = written(model=MISTRAL, tools=TOOLS[:1], tool_choice=ToolChoice(name="f"))
    assert (wire["toolConfig"]["toolChoice"], losses) == ({"any": {}}, {})


def test_no_tool_is_to_be_called() -> None:
    """There is no word for it: the model is not told of the tools, unless they were called already."""
    none = ToolChoice(mode=ToolChoice.MODE_NONE)
    wire, losses = written(tools=TOOLS, tool_choice=none)
    assert "toolConfig" not in wire
    assert losses == {"tool_choice": EMULATED}
    asked = [said(USER, "go"), said(ROLE_ASSISTANT, call()), said(TOOL, result("5"))]
    wire, losses = written(*asked, tools=TOOLS, tool_choice=none)
    assert len(wire["toolConfig"]["tools"]) == 2
    assert losses == {"tool_choice": DROPPED}
    assert written(tool_choice=ToolChoice(name="f"))[1] == {"tool_choice": DROPPED}


def test_calls_need_tools() -> None:
    """A conversation that holds calls needs tools: those that were called stand for those that are not there."""
    asked = [said(USER, "go"), said(ROLE_ASSISTANT, call()), said(TOOL, result("5")), said(USER, "thanks")]
    wire, losses = written(*asked)
    assert wire["toolConfig"] == {"tools": [{"toolSpec": {"name": "f", "inputSchema": {"json": {"type": "object"}}}}]}
    assert losses == {"tools": APPROXIMATED}


@pytest.mark.parametrize(
    ("model", "choice", "config", "fields", "losses"),
    [
        (CLAUDE, None, None, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}, {}),
        (
            CLAUDE,
            ToolChoice(name="f"),
            {"tool": {"name": "f"}},
            {"tool_choice": {"disable_parallel_tool_use": True}},
            {},
        ),
        (
            CLAUDE,
            ToolChoice(mode=ToolChoice.MODE_AUTO),
            None,
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            {},
        ),
        (OLD_CLAUDE, None, None, None, {"parallel_tool_calls": DROPPED}),
        (NOVA, None, None, None, {"parallel_tool_calls": DROPPED}),
    ],
)
def test_one_call_at_a_time(model: str, choice: Any, config: Any, fields: Any, losses: Any) -> None:
    """Where the model can be held to one call, by its own setting, the choice is never told twice."""
    wire, lost = written(model=model, tools=TOOLS, tool_choice=choice, parallel_tool_calls=False)
    assert wire["toolConfig"].get("toolChoice") == config
    assert wire.get("additionalModelRequestFields") == fields
    assert lost == losses
    assert written(model=model, tools=TOOLS, parallel_tool_calls=True)[1] == {}


@pytest.mark.parametrize(
    ("parameters", "strict", "model", "spec", "losses"),
    [
        ("", None, CLAUDE, {"inputSchema": {"json": {"type": "object", "properties": {}}}}, {}),
        ('{"properties":{}}', None, CLAUDE, {"inputSchema": {"json": {"type": "object", "properties": {}}}}, {}),
        ('{"type":"object"}', False, CLAUDE, {"strict": False, "inputSchema": {"json": {"type": "object"}}}, {}),
        ('{"type":"object"}', False, NOVA, {"inputSchema": {"json": {"type": "object"}}}, {}),
        (
            '{"type":"object"}',
            True,
            CLAUDE,
            {"strict": True, "inputSchema": {"json": {"type": "object", "additionalProperties": False}}},
            {},
        ),
        (
            '{"type":"object","minProperties":1}',
            True,
            CLAUDE,
            {"inputSchema": {"json": {"type": "object", "minProperties": 1}}},
            {"tools[0].function.strict": DROPPED},
        ),
        (
            '{"type":"object"}',
            True,
            NOVA,
            {"inputSchema": {"json": {"type": "object"}}},
            {"tools[0].function.strict": DROPPED},
        ),
    ],
)
def test_tools_have_a_schema_of_an_object(parameters: str, strict: Any, model: str, spec: Any, losses: Any) -> None:
    """The API demands a schema that says `object`; strictness is asked for where model and schema allow it."""
    tool = Tool(function=Function(name="f", parameters_json=parameters, strict=strict))
    wire, lost = written(model=model, tools=[tool])
    assert wire["toolConfig"]["tools"] == [{"toolSpec": {"name": "f", **spec}}]
    assert lost == losses


def test_what_other_providers_run_is_left_out() -> None:
    """Tools and blocks of another dialect are left out and named; ours go verbatim."""
    own = Opaque(dialect="bedrock", json='{"toolUse":{"type":"server_tool_use","input":{ "a": 1.0 }}}')
    foreign = Part(opaque=Opaque(dialect="anthropic", json='{"type":"web_search_tool_result"}'))
    tools = [
        Tool(native=Opaque(dialect="bedrock", json='{"systemTool":{"name":"nova_grounding"}}')),
        Tool(native=Opaque(dialect="anthropic", json='{"type":"web_search_20250305"}')),
    ]
    losses: list[Loss] = []
    request = ChatRequest(messages=[said(USER, "a"), said(ROLE_ASSISTANT, Part(opaque=own), foreign, "b")], tools=tools)
    body = dumps(bedrock.encode_request(request, losses=losses))
    assert own.json.encode() in body
    assert b"web_search" not in body
    assert load(body)["toolConfig"] == {"tools": [{"systemTool": {"name": "nova_grounding"}}]}
    assert [loss.field for loss in losses] == ["messages[1].web_search_tool_result", "tools[1].web_search_20250305"]


@pytest.mark.parametrize(
    ("model", "marks", "tool_marks", "losses"),
    [
        (CLAUDE, [{"type": "default", "ttl": "1h"}], [{"type": "default", "ttl": "1h"}], {}),
        (NOVA, [{"type": "default"}], [], {"cache_control": DROPPED}),
        (LLAMA, [], [], {"cache_control": DROPPED}),
    ],
)
def test_cache_marks(model: str, marks: Any, tool_marks: Any, losses: Any) -> None:
    """Marks are blocks of their own behind what they mark, in the form that the model takes."""
    text, tool = Part(text="long"), Tool(function=Function(name="f"))
    for owner in (text, tool):
        owner.cache.ttl.seconds = 1800
    wire, lost = written(said(USER, text), model=model, tools=[tool])
    assert wire["messages"][0]["content"] == [{"text": "long"}, *({"cachePoint": mark} for mark in marks)]
    assert wire["toolConfig"]["tools"][1:] == [{"cachePoint": mark} for mark in tool_marks]
    assert lost == losses


@pytest.mark.parametrize(
    ("model", "reasoning", "structured", "system"),
    [
        ("anthropic.claude-3-haiku-20240307-v1:0", "thinking", False, True),
        (
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-sonnet-4-5-20250929-v1:0",
            "thinking",
            True,
            True,
        ),
        ("apac.amazon.nova-lite-v1:0", None, False, True),
        ("global.amazon.nova-2-lite-v1:0", "reasoningConfig", False, True),
        ("amazon.titan-text-express-v1", None, False, False),
        ("mistral.mistral-7b-instruct-v0:2", None, False, False),
        ("mistral.magistral-small-2509", None, True, True),
        ("us.deepseek.r1-v1:0", None, False, True),
        ("deepseek.v3-v1:0", None, True, True),
        ("openai.gpt-oss-20b-1:0", "reasoning_effort", True, True),
        ("zai.glm-4.7-flash", None, True, True),
        ("cohere.command-r-plus-v1:0", None, False, True),
        ("arn:aws:bedrock:us-east-1:000000000000:application-inference-profile/abc", "thinking", True, True),
    ],
)  # fmt: skip
def test_families(model: str, reasoning: str | None, structured: bool, system: bool) -> None:
    """What is known of a model by its id, wherever in it the family stands."""
    profile = bedrock.profile_of(model)
    assert (profile.reasoning, profile.structured, profile.system) == (reasoning, structured, system)


def test_a_large_budget_comes_with_a_limit() -> None:
    """Without one, the API's own would be below the budget, which it refuses."""
    wire, _ = written(reasoning=ReasoningConfig(budget_tokens=8000))

    assert wire["inferenceConfig"]["maxTokens"] > 8000
