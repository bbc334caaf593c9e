"""What two requests of OpenAI's Responses mean: equal where the API reads them alike.

The equivalences: null, `[]`, `{}` and `""` of a setting or an annotation = absent; `input` as a text = one message of
the user; a content that is one bare text = that text; `text.format` of type `text` = absent; `detail: auto` = absent;
the order of `include`; `stream` and `stream_options`, which are the surface's.
"""

from __future__ import annotations

from typing import Any

_TEXTS = ("input_text", "output_text")


def meaning(wire: dict[str, Any]) -> dict[str, Any]:
    """`wire` in the one form that its equivalents share."""
    out = {key: value for key, value in wire.items() if key not in ("stream", "stream_options")}
    if isinstance(out.get("input"), str):
        out["input"] = [{"role": "user", "content": out["input"]}]
    out["input"] = [_item(item) for item in out["input"]]
    if "include" in out:
        out["include"] = sorted(out["include"] or ())
    form = out.get("text")
    if isinstance(form, dict) and form.get("format") == {"type": "text"}:
        out["text"] = {key: value for key, value in form.items() if key != "format"}
    for key in ("instructions", "user"):
        out[key] = out.get(key) or None
    out["tools"] = [_tool(tool) for tool in out.get("tools") or ()]
    return {key: value for key, value in _compact(out).items() if value not in ({}, [])}


def _item(item: Any) -> Any:
    for key in ("content", "output"):
        content = item.get(key)
        if isinstance(content, list) and item.get("type") != "reasoning":
            item = {**item, key: _content(content)}
    if item.get("type") == "reasoning" and not item.get("content"):
        item = {key: value for key, value in item.items() if key != "content"}
    return item


def _content(content: list[Any]) -> Any:
    parts = [
        {
            key: value
            for key, value in part.items()
            if not (key in ("annotations", "logprobs") and value == []) and (key, value) != ("detail", "auto")
        }
        for part in content
    ]
    match parts:
        case [{"type": kind, "text": str(text), **rest}] if kind in _TEXTS and not rest:
            return text
    return parts


def _tool(tool: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in tool.items() if (key, value) != ("description", "")}


def _compact(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _compact(inner) for key, inner in value.items() if inner is not None}
    return [_compact(inner) for inner in value] if isinstance(value, list) else value
