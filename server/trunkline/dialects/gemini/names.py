"""Names: Gemini's own, in camel case and read in snake case as well, and those of other dialects' blocks."""

from __future__ import annotations

from trunkline.dialects.wire import Json, loads
from trunkline.errors import GatewayError
from trunkline.v1.content_pb2 import Opaque

DIALECT = "gemini"


def camel(fields: dict[str, Json]) -> None:
    """Rename the keys of one object from snake case, which Google's servers read as well, to camel case."""
    if "_" not in "".join(fields):
        return
    for key in [key for key in fields if "_" in key]:
        head, *rest = key.split("_")
        name = head + "".join(word[:1].upper() + word[1:] for word in rest)
        if name not in fields:
            fields[name] = fields.pop(key)


def block_name(block: Opaque) -> str:
    """What a block of another dialect is called in the loss report."""
    try:
        fields = loads(block.json)
    except GatewayError:
        return block.dialect
    if not isinstance(fields, dict):
        return block.dialect
    kind = fields.get("type")
    return kind if isinstance(kind, str) else next(iter(fields), block.dialect)
