"""What Google takes for the same: the one list of differences between what was read and what is written."""

from __future__ import annotations

from typing import Any

_TYPES = ("", "STRING", "NUMBER", "INTEGER", "BOOLEAN", "ARRAY", "OBJECT", "NULL")


def canonical(wire: Any) -> Any:
    """A request in one form.

    - keys in snake case are those in camel case, wherever Google and not the caller names them
    - a single object stands for an array of it; null is absent; an empty object or array of settings is absent
    - the model's name is in the path; the role of the system instruction is not read; `function` is `user`
    - a content without parts, and an empty text without a signature, say nothing
    - a result without an id is that of the first call of its name
    - arguments that are absent are `{}`; a description that is absent is empty
    - one tool holds all functions, in the place of the first; a schema is JSON Schema, in whichever field and case
    - `text/plain` is what there is without a media type; thoughts are not shown unless asked for
    - levels of thinking and modes are written in upper case; numbers have one form
    """
    out = {_camel(key): value for key, value in wire.items() if value is not None}
    out.pop("model", None)
    if "systemInstruction" in out:
        said = [part for part in _listed(out["systemInstruction"]["parts"]) if part != {"text": ""}]
        out["systemInstruction"] = {"parts": said} if said else {}
    contents = [_content(content) for content in _listed(out["contents"])]
    out["contents"] = [content for content in contents if content["parts"]]
    _name_results([part for content in contents for part in content["parts"]])
    if "tools" in out:
        out["tools"] = _tools(out["tools"])
    if "toolConfig" in out:
        out["toolConfig"] = _tool_config(_named(out["toolConfig"]))
    if "generationConfig" in out:
        out["generationConfig"] = _config(_named(out["generationConfig"]))
    return {key: value for key, value in out.items() if value not in ({}, [])}


def _camel(key: str) -> str:
    head, *rest = key.split("_")
    return head + "".join(word.capitalize() for word in rest)


def _named(fields: dict[str, Any]) -> dict[str, Any]:
    return {_camel(key): value for key, value in fields.items() if value is not None}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _content(content: dict[str, Any]) -> dict[str, Any]:
    role = content.get("role", "user")
    parts = [_part(part) for part in _listed(content.get("parts", []))]
    said = [part for part in parts if part != {"text": ""}]
    return {**content, "role": "user" if role == "function" else role, "parts": said}


def _name_results(parts: list[dict[str, Any]]) -> None:
    calls: list[dict[str, Any]] = []
    for part in parts:
        if "functionCall" in part:
            calls.append(part["functionCall"])
        result = part.get("functionResponse", {})
        call = next((call for call in calls if call["name"] == result.get("name") and "id" in call), None)
        if result and "id" not in result and call is not None:
            calls.remove(call)
            result["id"] = call["id"]


def _part(part: dict[str, Any]) -> dict[str, Any]:
    out = _named(part)
    for key in ("inlineData", "fileData"):
        if key in out:
            out[key] = _named(out[key])
    if "functionCall" in out:
        out["functionCall"] = {"args": {}, **_named(out["functionCall"])}
    if "functionResponse" in out:
        out["functionResponse"] = _named(out["functionResponse"])
        if "parts" in out["functionResponse"]:
            out["functionResponse"]["parts"] = [_part(inner) for inner in out["functionResponse"]["parts"]]
    return out


def _tools(tools: list[Any]) -> list[Any]:
    out: list[Any] = []
    functions: list[Any] = []
    for tool in tools:
        for key, value in _named(tool).items():
            if key != "functionDeclarations":
                out.append({key: value})
                continue
            if not functions:
                out.append({"functionDeclarations": functions})
            functions.extend(_function(function) for function in value)
    return out


def _function(function: dict[str, Any]) -> dict[str, Any]:
    out = {"description": "", **_named(function)}
    for key in ("parameters", "parametersJsonSchema"):
        if key in out:
            out["schema"] = _schema(out.pop(key))
    return out


def _schema(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    out = {_camel(key): value for key, value in schema.items()}
    kind = out.get("type")
    if isinstance(kind, int):
        out["type"] = _TYPES[kind]
    elif isinstance(kind, str):
        out["type"] = kind.upper()
    elif isinstance(kind, list):
        out["type"] = next(word for word in kind if word != "null").upper()
        out["nullable"] = True
    for key in ("items", "anyOf"):
        if key in out:
            out[key] = _schema(out[key])
    if "properties" in out:
        out["properties"] = {name: _schema(inner) for name, inner in out["properties"].items()}
    return out


def _tool_config(config: dict[str, Any]) -> dict[str, Any]:
    calling = config.get("functionCallingConfig")
    if calling is not None:
        calling = _named(calling)
        config["functionCallingConfig"] = {**calling, "mode": calling["mode"].upper()}
    return config


def _config(config: dict[str, Any]) -> dict[str, Any]:
    out = dict(config)
    if out.get("responseMimeType") == "text/plain":
        del out["responseMimeType"]
    for key in ("responseSchema", "responseJsonSchema"):
        if key in out:
            out["schema"] = _schema(out.pop(key))
    if "thinkingConfig" in out:
        thinking = _named(out["thinkingConfig"])
        if "thinkingLevel" in thinking:
            thinking["thinkingLevel"] = thinking["thinkingLevel"].upper()
        if not thinking.get("includeThoughts"):
            thinking.pop("includeThoughts", None)
        out["thinkingConfig"] = thinking
    return {key: value for key, value in out.items() if value not in ({}, [])}


_NUMBERS = {1: "STOP"}


def canonical_answer(wire: Any) -> Any:
    """An answer in one form.

    - keys that are null or an empty array are absent; an index that is absent is zero
    - a content without a role is the model's; an empty text without a signature says nothing
    - a finish reason by number is its word; the ids of tokens are not kept
    - the count of all tokens is the sum of the others, and one that is missing beside it is zero
    """
    out = {key: value for key, value in wire.items() if value not in (None, [])}
    if "candidates" in out:
        out["candidates"] = [_candidate(candidate) for candidate in out["candidates"]]
    if "usageMetadata" in out:
        usage = {key: value for key, value in out["usageMetadata"].items() if value}
        usage.pop("totalTokenCount", None)
        out["usageMetadata"] = usage
    return out


def _candidate(candidate: dict[str, Any]) -> dict[str, Any]:
    out = {"index": 0, **candidate}
    content = {"role": "model", "parts": [], **out.get("content", {})}
    content["parts"] = [part for part in content["parts"] if part not in ({}, {"text": ""})]
    out["content"] = content
    out["finishReason"] = _NUMBERS.get(out["finishReason"], out["finishReason"]) if "finishReason" in out else None
    if "logprobsResult" in out:
        out["logprobsResult"] = _without_ids(out["logprobsResult"])
    return out


def _without_ids(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_ids(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_ids(item) for key, item in value.items() if key != "tokenId"}
    return value
