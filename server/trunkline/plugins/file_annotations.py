"""What was read of files, as Chat Completions carry it to a client and back (openrouter.ai/docs, "PDF inputs")."""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Final

from trunkline.dialects.wire import Json, loads, text_of
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest

_DIALECT: Final = "openai"
_KEY: Final = "annotations"


def add_annotations(extras: MutableMapping[str, str], files: Sequence[tuple[str, str, str]]) -> None:
    """Write the annotations of files, each with its hash, its name and its text, into the extras of a message."""
    kept = loads(extras[_DIALECT]) if _DIALECT in extras else {}
    before = kept.get(_KEY)
    annotations = [_annotation(*one) for one in files]
    kept[_KEY] = [*(before if isinstance(before, list) else ()), *annotations]
    extras[_DIALECT] = text_of(kept)


def has_annotations(request: ChatRequest) -> bool:
    """Whether any message of the model may have some."""
    return any(_KEY in message.extras.get(_DIALECT, "") for message in request.messages if message.extras)


def take_annotations(request: ChatRequest) -> dict[str, str]:
    """The texts of files by their hashes, taken out of what the model said before: no server is to read them there."""
    known: dict[str, str] = {}
    for message in request.messages:
        text = message.extras.get(_DIALECT)
        if message.role != content_pb2.ROLE_ASSISTANT or text is None or _KEY not in text:
            continue
        kept = loads(text)
        annotations = kept.get(_KEY) if isinstance(kept, dict) else None
        if not isinstance(annotations, list):
            continue
        others = [one for one in annotations if not _is_taken(one, known)]
        if others:
            kept[_KEY] = others
        else:
            del kept[_KEY]
        if kept:
            message.extras[_DIALECT] = text_of(kept)
        else:
            del message.extras[_DIALECT]
    return known


def _annotation(digest: str, name: str, text: str) -> Json:
    file: dict[str, Json] = {"hash": digest, "content": [{"type": "text", "text": text}]}
    if name:
        file["name"] = name
    return {"type": "file", "file": file}


def _is_taken(annotation: Json, known: dict[str, str]) -> bool:
    """Whether it is of a file, whose text is then noted."""
    file = annotation.get("file") if isinstance(annotation, dict) and annotation.get("type") == "file" else None
    if not isinstance(file, dict):
        return False
    digest, content = file.get("hash"), file.get("content")
    if isinstance(digest, str) and isinstance(content, list):
        texts = [one.get("text") for one in content if isinstance(one, dict)]
        known[digest] = "\n\n".join(text for text in texts if isinstance(text, str))
    return True
