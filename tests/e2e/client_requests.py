"""What real clients send: their paths, headers and bodies, shortened to what is notable in them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]

_LONG = "You are a coding agent. Be careful with the files of your user. " * 600
"""A system prompt as long as those of coding agents: 38 KB."""

_CITY: Json = {"type": "object", "properties": {"city": {"type": "string", "title": "City"}}, "required": ["city"]}
_STRICT: Json = {**_CITY, "additionalProperties": False}
_NAMED: Json = {
    "$schema": "http://json-schema.org/draft-07/schema#",
    "title": "Person",
    "type": "object",
    "$defs": {"Name": {"type": "string"}},
    "properties": {"name": {"type": "string", "title": "Name"}},
    "required": ["name"],
    "additionalProperties": False,
}
_CACHED: Json = {"type": "ephemeral"}


@dataclass(frozen=True)
class Sent:
    """One request. `{model}` in the path and the body's `model` are filled in; `streams` tells whether its answer is
    one of events."""

    path: str
    body: Json
    headers: dict[str, str] = field(default_factory=dict)
    streams: bool = False


def _texts(text: str, kind: str = "text", **more: Any) -> list[Json]:
    return [{"type": kind, "text": text, **more}]


def _function(name: str = "weather", **more: Any) -> Json:
    return {"type": "function", "function": {"name": name, **more}}


def _called(content: Any, **more: Any) -> list[Json]:
    """A turn that called a tool, as chat clients send it back."""
    function = {"name": "weather", "arguments": '{"city": "Paris"}'}
    calls = [{"id": "call_1", "type": "function", "function": function}]
    return [{"role": "assistant", "content": content, "tool_calls": calls, **more}]


def _chat(
    *messages: Json, path: str = "/v1/chat/completions", headers: dict[str, str] | None = None, **more: Any
) -> Sent:
    body = {"messages": list(messages) or [{"role": "user", "content": "Hello"}], **more}
    return Sent(path, body, headers or {}, streams=bool(more.get("stream")))


def _responses(**body: Any) -> Sent:
    return Sent("/v1/responses", {"input": "Hello", **body}, streams=bool(body.get("stream")))


def _messages(*messages: Json, path: str = "/v1/messages", headers: dict[str, str] | None = None, **more: Any) -> Sent:
    body = {"max_tokens": 1024, "messages": list(messages) or [{"role": "user", "content": "Hello"}], **more}
    version = {"anthropic-version": "2023-06-01"}
    return Sent(path, body, {**version, **(headers or {})}, streams=bool(more.get("stream")))


def _gemini(path: str, **body: Any) -> Sent:
    contents = [{"role": "user", "parts": [{"text": "Hello"}]}]
    return Sent(path, {"contents": contents, **body}, {"x-goog-api-client": "gl-python/3.11"}, streams="stream" in path)


_TOOL_USE = {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {"city": "Paris"}}
_ANTHROPIC_TOOL = {"name": "weather", "description": "Tells the weather", "input_schema": _CITY}
_USAGE: Json = {"stream": True, "stream_options": {"include_usage": True}}
_SCHEMA_FORMAT = {"type": "json_schema", "json_schema": {"name": "person", "schema": _NAMED, "strict": True}}
_USER = {"role": "user", "content": "Hello"}
_RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}

SENT: dict[str, Sent] = {
    "openai, chat": _chat(
        _USER,
        {"role": "assistant", "content": "Hi", "annotations": [], "refusal": None, "audio": None},
        _USER,
        stream=False,
        store=True,
        metadata={"a": "b"},
        service_tier="auto",
        prompt_cache_key="k",
        safety_identifier="s",
        verbosity="low",
        reasoning_effort="low",
        user="u",
    ),
    "openai, responses.parse": _responses(text={"format": {"type": "json_schema", "name": "person", "schema": _NAMED}}),
    "anthropic": _messages(
        headers={"anthropic-version": "2026-10-21"},
        output_config={"format": {"type": "json_schema", "schema": _NAMED}},
    ),
    "google-genai": _gemini(
        "/v1/models/{model}:generateContent",
        generationConfig={
            "responseMimeType": "application/json",
            "responseSchema": {"type": "OBJECT", "properties": {"name": {"type": "STRING"}}, "required": ["name"]},
        },
    ),
    "langchain-openai": _chat(
        max_completion_tokens=100,
        tools=[_function(description="Tells the weather", parameters=_STRICT, strict=True)],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        parallel_tool_calls=False,
        **_USAGE,
    ),
    "langchain-anthropic": _messages(
        _USER,
        {"role": "assistant", "content": [_TOOL_USE]},
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "no", "is_error": True}],
        },
        headers={"anthropic-version": "2026-10-21"},
        tools=[_ANTHROPIC_TOOL],
    ),
    "llama-index": _chat(
        temperature=0.1,
        parallel_tool_calls=False,
        tool_choice="required",
        tools=[_function(description="Tells the weather", parameters=_STRICT, strict=True)],
    ),
    "pydantic-ai, chat": _chat(max_completion_tokens=100, response_format={"type": "json_object"}),
    "pydantic-ai, messages": _messages(
        headers={"anthropic-version": "2026-10-21"},
        max_tokens=16384,
        tools=[_ANTHROPIC_TOOL],
        tool_choice={"type": "any"},
    ),
    "instructor, chat": _chat(
        tools=[_function(parameters=_CITY)],
        tool_choice={"type": "function", "function": {"name": "weather"}},
        stream=True,
    ),
    "instructor, responses": _responses(
        text={"format": {"type": "json_schema", "name": "person", "schema": _NAMED}},
        tools=[{"type": "function", "name": "weather", "parameters": _STRICT, "strict": True}],
        tool_choice={"type": "function", "name": "weather"},
    ),
    "instructor, messages": _messages(
        tools=[_ANTHROPIC_TOOL],
        tool_choice={"type": "tool", "name": "weather", "disable_parallel_tool_use": True},
    ),
    "litellm, chat": _chat(
        _USER,
        *_called(None, provider_specific_fields={"refusal": None}, annotations=[], function_call=None),
        {**_RESULT, "name": "weather"},
        tools=[_function(parameters=_CITY)],
    ),
    "litellm, messages": _messages(
        tools=[{"type": "custom", "name": "json_tool_call", "input_schema": _CITY}],
        tool_choice={"type": "tool", "name": "json_tool_call"},
    ),
    "dspy": _chat(
        headers={"user-agent": "lm15/stdlib", "accept": "*/*", "accept-encoding": "identity"},
        **_USAGE,
    ),
    "smolagents": _chat(
        {"role": "system", "content": _texts("Solve the task.")},
        {"role": "user", "content": _texts("Hello")},
        {"role": "assistant", "content": _texts("Calling tools: weather")},
        {"role": "user", "content": _texts("Observation: sunny")},
        stop=["Observation:", "Calling tools:"],
        tools=[_function(description="Tells the weather", parameters=_CITY)],
        tool_choice="required",
    ),
    "openai-agents": _responses(
        include=[], tools=[], truncation="auto", metadata={"a": "b"}, store=False, instructions="Be brief.", text={}
    ),
    "ag2": _responses(store=True, parallel_tool_calls=True),
    "autogen": _chat({**_USER, "name": "user_1"}, **_USAGE),
    "llm": _responses(store=False, stream=True),
    "aider": _chat({"role": "system", "content": _LONG}, _USER, temperature=0, stream=True),
    "openai-node": _chat(response_format=_SCHEMA_FORMAT),
    "@ai-sdk/openai-compatible": _chat(response_format=_SCHEMA_FORMAT, **_USAGE),
    "@ai-sdk/anthropic": _messages(
        max_tokens=4096,
        stream=True,
        tools=[
            {**_ANTHROPIC_TOOL, "eager_input_streaming": True},
            {"name": "json", "description": "Respond with a JSON object.", "input_schema": _NAMED},
        ],
        tool_choice={"type": "any", "disable_parallel_tool_use": True},
    ),
    "@ai-sdk/google": _gemini(
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        generationConfig={"responseMimeType": "application/json", "responseJsonSchema": _NAMED},
    ),
    "@openrouter/ai-sdk-provider": _chat(path="/api/v1/chat/completions", stream=True),
    "@openrouter/sdk": _chat(
        path="/api/v1/chat/completions",
        headers={
            "http-referer": "https://example.org",
            "x-openrouter-title": "Example",
            "cookie": "",
            "accept": "text/event-stream",
        },
        stream=False,
        provider={"sort": "price"},
        models=["a/b", "c/d"],
        session_id="s",
        reasoning={"effort": "low"},
    ),
    "@langchain/openai": _responses(text={}),
    "@langchain/anthropic": _messages(headers={"anthropic-dangerous-direct-browser-access": "true"}, stream=False),
    "Claude Code": _messages(
        {"role": "user", "content": _texts("Hello", cache_control=_CACHED)},
        {"role": "system", "content": "The user opened a file."},
        {"role": "assistant", "content": [_TOOL_USE]},
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "content": _texts("sunny"),
                    "cache_control": _CACHED,
                }
            ],
        },
        {"role": "system", "content": _texts("The user is on a train.")},
        path="/v1/messages?beta=true",
        headers={
            "anthropic-beta": "claude-code-20250219,interleaved-thinking-2025-05-14,context-management-2025-06-27,"
            "mid-conversation-tool-changes-2026-07-01,thinking-token-count-2026-05-13,advanced-tool-use-2025-11-20,"
            "effort-2025-11-24",
            "x-app": "cli",
            "x-claude-code-session-id": "11111111-2222-3333-4444-555555555555",
            "anthropic-dangerous-direct-browser-access": "true",
        },
        stream=True,
        max_tokens=32000,
        system=[
            {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.329; cch=1;"},
            {"type": "text", "text": _LONG, "cache_control": _CACHED},
        ],
        thinking={"type": "adaptive", "display": "summarized"},
        context_management={"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        output_config={"effort": "medium"},
        metadata={"user_id": '{"device_id":"d","session_id":"s"}'},
        tools=[_ANTHROPIC_TOOL, {**_ANTHROPIC_TOOL, "name": "later", "defer_loading": True}],
    ),
    "Codex": Sent(
        "/v1/responses",
        {
            "input": [
                {"type": "message", "id": "msg_1", "role": "developer", "content": _texts(_LONG, "input_text")},
                {"type": "message", "id": "msg_2", "role": "user", "content": _texts("Hello", "input_text")},
                {
                    "type": "function_call",
                    "id": "fc_1",
                    "call_id": "call_1",
                    "namespace": "mcp__files",
                    "name": "read",
                    "arguments": '{"city": "Paris"}',
                    "status": "completed",
                },
                {
                    "type": "function_call_output",
                    "id": "fco_1",
                    "call_id": "call_1",
                    "output": _texts("sunny", "input_text"),
                },
            ],
            "tools": [
                {"type": "function", "name": "shell", "description": "Runs", "parameters": _CITY, "strict": False},
                {
                    "type": "namespace",
                    "name": "mcp__files",
                    "description": "Files",
                    "tools": [{"type": "function", "name": "read", "parameters": _CITY}],
                },
                {"type": "web_search", "external_web_access": True},
            ],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "reasoning": {"summary": "auto"},
            "store": False,
            "stream": True,
            "include": ["reasoning.encrypted_content"],
            "prompt_cache_key": "k",
            "client_metadata": {"a": "b"},
        },
        {
            "originator": "codex_exec",
            "session-id": "s",
            "thread-id": "t",
            "x-client-request-id": "r",
            "x-codex-window-id": "w:0",
            "x-codex-turn-metadata": '{"turn_id":"t","sandbox":"none"}',
            "x-codex-beta-features": "a,b",
            "accept": "text/event-stream",
        },
        streams=True,
    ),
    "Gemini CLI": Sent(
        "/v1beta/models/{model}:streamGenerateContent?alt=sse",
        {
            "contents": [
                {"role": "user", "parts": [{"text": "Hello"}]},
                {
                    "role": "model",
                    "parts": [
                        {
                            "functionCall": {"name": "weather", "args": {"city": "Paris"}},
                            "thoughtSignature": "c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=",
                        }
                    ],
                },
                {
                    "role": "user",
                    "parts": [{"functionResponse": {"name": "weather", "response": {"output": "sunny"}}}],
                },
            ],
            "systemInstruction": {"role": "user", "parts": [{"text": _LONG}]},
            "tools": [{"functionDeclarations": [{"name": "weather", "parametersJsonSchema": _CITY}]}],
            "generationConfig": {
                "temperature": 1,
                "topP": 0.95,
                "topK": 64,
                "thinkingConfig": {"includeThoughts": True},
            },
        },
        {"x-goog-api-client": "google-genai-sdk/1.30.0 gl-node/v20"},
        streams=True,
    ),
    "opencode": _chat(
        {"role": "system", "content": _LONG},
        _USER,
        *_called(""),
        _RESULT,
        headers={"x-session-affinity": "ses_1", "x-session-id": "ses_1"},
        max_tokens=32000,
        tools=[_function(description="Tells the weather", parameters=_CITY)],
        tool_choice="auto",
        **_USAGE,
    ),
    "Continue, chat": _chat(
        {"role": "system", "content": _LONG},
        _USER,
        *_called(""),
        _RESULT,
        tools=[_function(description="Tells the weather", parameters=_CITY)],
        **_USAGE,
    ),
    "Continue, messages": _messages(
        {"role": "user", "content": _texts("Hello", cache_control=_CACHED)},
        headers={"anthropic-beta": "prompt-caching-2024-07-31", "user-agent": "node-fetch"},
        system=_texts(_LONG, cache_control=_CACHED),
        tools=[_ANTHROPIC_TOOL],
        stream=True,
    ),
    "Cline, responses": _responses(
        input=[{"role": "system", "content": _LONG}, {"role": "user", "content": _texts("Hello", "input_text")}],
        include=["web_search_call.action.sources"],
        truncation="auto",
        tools=[
            {"type": "web_search"},
            {"type": "image_generation", "output_format": "png"},
            {"type": "function", "name": "read", "description": "Reads", "parameters": _STRICT},
        ],
        tool_choice="auto",
        stream=True,
    ),
    "Cline, messages": _messages(
        {"role": "user", "content": _texts("Hello", cache_control=_CACHED)},
        headers={"anthropic-beta": "structured-outputs-2025-11-13"},
        max_tokens=64000,
        system=_texts(_LONG),
        tools=[
            {"type": "web_search_20250305", "name": "web_search"},
            {**_ANTHROPIC_TOOL, "eager_input_streaming": True},
        ],
        tool_choice={"type": "auto"},
        stream=True,
    ),
    "Roo Code": _chat(
        {"role": "system", "content": _texts(_LONG, cache_control=_CACHED)},
        {"role": "user", "content": _texts("Hello", cache_control=_CACHED)},
        temperature=0,
        max_completion_tokens=8192,
        tools=[_function(description="Reads", parameters=_STRICT, strict=True)],
        tool_choice="auto",
        parallel_tool_calls=False,
        headers={"http-referer": "https://github.com/RooVetGit/Roo-Cline", "x-title": "Roo Code"},
        **_USAGE,
    ),
    "Cursor, ask": _chat(
        {"role": "system", "content": _LONG},
        _USER,
        temperature=1,
        user="u",
        tools=[
            _function(description="Reads", parameters=_CITY),
            {"type": "function", "name": "Flat", "description": "Reads", "parameters": _CITY, "strict": False},
            {"type": "custom", "name": "ApplyPatch", "description": "Patches", "format": {"type": "text"}},
        ],
        tool_choice="auto",
        **_USAGE,
    ),
    "Cursor, agent": Sent(
        "/v1/chat/completions",
        {
            "input": [
                {"role": "system", "content": _LONG},
                {"role": "user", "content": _texts("Hello", "input_text")},
                {"type": "function_call", "call_id": "call_1", "name": "Read", "arguments": '{"city": "Paris"}'},
                {"type": "function_call_output", "call_id": "call_1", "output": "sunny"},
            ],
            "tools": [
                {"type": "function", "name": "Read", "description": "Reads", "parameters": _CITY, "strict": False},
                {
                    "type": "custom",
                    "name": "ApplyPatch",
                    "description": "Patches",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "start: /.+/"},
                },
            ],
            "include": ["reasoning.encrypted_content"],
            "reasoning": {"effort": "medium", "summary": "auto"},
            "text": {"verbosity": "low"},
            "store": False,
            "user": "u",
            **_USAGE,
        },
        streams=True,
    ),
    "Qwen Code, chat": _chat(
        {"role": "system", "content": _LONG},
        _USER,
        *_called(None),
        {"role": "tool", "tool_call_id": "call_1", "content": _texts("sunny")},
        tools=[_function(description="Tells the weather"), _function("plain")],
        **_USAGE,
    ),
    "Qwen Code, messages": _messages(
        headers={"user-agent": "claude-cli/0.24.4 (external, cli)"},
        max_tokens=32000,
        thinking={"type": "enabled", "budget_tokens": 32000},
        temperature=1,
        stream=True,
    ),
}
