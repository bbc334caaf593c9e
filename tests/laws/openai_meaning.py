"""What means the same in two requests of OpenAI's Chat Completions: the list of what may differ on the way through.

Whatever is not told here must come out of the gateway as it went in.
"""

from __future__ import annotations

from typing import Any

import msgspec

Json = Any


def meaning(wire: dict[str, Json]) -> dict[str, Json]:
    """`wire` in the one form that all its equivalents share."""
    out = _present(wire)
    # How the answer is sent is between the caller and the gateway.
    out.pop("stream", None)
    out.pop("stream_options", None)
    # The token limit has two names.
    limit = out.pop("max_completion_tokens", None) or out.pop("max_tokens", None)
    if limit is not None:
        out["max_completion_tokens"] = limit
    # One stop sequence, or a list of one.
    if isinstance(out.get("stop"), str):
        out["stop"] = [out["stop"]]
    # No log probabilities; those of the chosen token alone.
    if out.get("logprobs") is False and "top_logprobs" not in out:
        del out["logprobs"]
    if out.get("logprobs") is True and out.get("top_logprobs") == 0:
        del out["top_logprobs"]
    # Mistral's word.
    if out.get("tool_choice") == "any":
        out["tool_choice"] = "required"
    out["messages"] = [_message(message) for message in wire["messages"]]
    if "tools" in out:
        out["tools"] = [_tool(tool) for tool in out["tools"]]
    form = out.get("response_format")
    if isinstance(form, dict) and isinstance(form.get("json_schema"), dict):
        # A schema without a name gets one.
        out["response_format"] = {**form, "json_schema": {"name": "answer", **_present(form["json_schema"])}}
    return out


def carried(wire: dict[str, Json]) -> dict[str, bytes]:
    """The values that are carried whole, as texts: their keys keep their order, and their numbers their digits."""
    modelled = {"messages", "tools", "tool_choice", "response_format", "stream_options", "stop", "temperature", "top_p"}
    modelled |= {"frequency_penalty", "presence_penalty"}
    values = {key: value for key, value in _present(wire).items() if key not in modelled}
    for index, tool in enumerate(wire.get("tools") or ()):
        function = tool.get("function")
        values[f"tools[{index}]"] = function.get("parameters") if isinstance(function, dict) else tool
    form = wire.get("response_format")
    if isinstance(form, dict) and isinstance(form.get("json_schema"), dict):
        values["schema"] = form["json_schema"].get("schema")
    limits = ("max_tokens", "max_completion_tokens", "stream", "logprobs", "top_logprobs")
    return {key: msgspec.json.encode(value) for key, value in values.items() if key not in limits}


def _present(wire: dict[str, Json]) -> dict[str, Json]:
    """Null, and an empty array where no more is meant, are as good as absent."""
    return {key: value for key, value in wire.items() if value is not None and value != []}


def _message(wire: dict[str, Json]) -> dict[str, Json]:
    out = _present(wire)
    # A server that does not rank developers apart takes them for the operator.
    if out["role"] == "developer":
        out["role"] = "system"
    # An empty refusal is none.
    if out.get("refusal") == "":
        del out["refusal"]
    content = out.pop("content", [])
    # A bare text is an array of one.
    blocks = [{"type": "text", "text": content}] if isinstance(content, str) else [_part(part) for part in content]
    # Reasoning goes by the name that the server knows; some clients write it under both.
    texts = [out.pop(key) for key in ("reasoning_content", "reasoning") if isinstance(out.get(key), str)]
    texts = list(dict.fromkeys(texts))
    if out["role"] == "assistant":
        texts += [_thinking(block) for block in blocks if block.get("type") == "thinking"]
        blocks = [block for block in blocks if block.get("type") != "thinking"]
    if texts:
        out["reasoning"] = "".join(texts)
    if blocks:
        out["content"] = blocks
    if "tool_calls" in out:
        out["tool_calls"] = [_call(call) for call in out["tool_calls"]]
    return out


def _part(wire: dict[str, Json]) -> dict[str, Json]:
    out = _present(wire)
    # The address of an image alone, or in an object.
    for key in ("image_url", "video_url"):
        if isinstance(out.get(key), str):
            out[key] = {"url": out[key]}
    return out


def _thinking(block: dict[str, Json]) -> str:
    inner = block["thinking"]
    return inner if isinstance(inner, str) else "".join(item["text"] for item in inner)


def _call(wire: dict[str, Json]) -> dict[str, Json]:
    out = {"type": "function", **_present(wire)}
    # The place of a call is its place.
    out.pop("index", None)
    if isinstance(out.get("function"), dict):
        function = {"arguments": "", **_present(out["function"])}
        # Arguments are a text, whatever a client writes.
        if isinstance(function["arguments"], dict):
            function["arguments"] = msgspec.json.encode(function["arguments"]).decode()
        out["function"] = function
    return out


def _tool(wire: dict[str, Json]) -> dict[str, Json]:
    out = {"type": "function", **_present(wire)}
    if isinstance(out.get("function"), dict):
        out["function"] = _present(out["function"])
        # An empty description describes nothing.
        if out["function"].get("description") == "":
            del out["function"]["description"]
    return out
