"""TokenRouter's form of a request for a response, put into OpenAI's.

It nests tools and the form of the answer as Chat Completions do, and takes parts of a message in place of items
(https://docs.tokenrouter.io/api-reference/create-response).
"""

from __future__ import annotations

from typing import Final

from trunkline.dialects.wire import Json, opened

_PARTS: Final = frozenset({"text", "image_url"})


def flatten(body: dict[str, Json]) -> None:
    """Put what is nested in `body` into OpenAI's form, in place; what is in it, or in neither, stays."""
    tools = opened(body.get("tools"))
    if isinstance(tools, list):
        body["tools"] = [_flat(tool) for tool in tools]
    choice = body.get("tool_choice")
    if isinstance(choice, dict):
        body["tool_choice"] = _flat(choice)
    text = body.get("text")
    if isinstance(text, dict) and "format" not in text and isinstance(text.get("type"), str):
        rest = {key: value for key, value in text.items() if key not in ("type", "json_schema")}
        schema = text.get("json_schema")
        form = {"type": text["type"], **(schema if isinstance(schema, dict) else {})}
        body["text"] = {**rest, "format": form}
    items = body.get("input")
    if isinstance(items, list) and items and all(_is_part(item) for item in items):
        body["input"] = [{"role": "user", "content": [_part(item) for item in items]}]


def _flat(tool: Json) -> Json:
    """A tool, or the choice of one, whose function is beside its type."""
    if not isinstance(tool, dict) or tool.get("type") != "function" or "name" in tool:
        return tool
    function = tool.get("function")
    if not isinstance(function, dict):
        return tool
    return {**{key: value for key, value in tool.items() if key != "function"}, **function}


def _is_part(item: Json) -> bool:
    return isinstance(item, dict) and str(item.get("type")) in _PARTS and "role" not in item


def _part(item: dict[str, Json]) -> dict[str, Json]:
    if item["type"] == "text":
        return {**item, "type": "input_text"}
    image = item.get("image_url")
    if not isinstance(image, dict):
        return {**item, "type": "input_image"}
    told = {"type": "input_image", "image_url": image.get("url")}
    return {**told, "detail": image["detail"]} if "detail" in image else told
