"""OpenRouter's own: errors by number, the names of providers for people, and the route where it is asked for."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Final

from trunkline.call import Call
from trunkline.dialects import openai
from trunkline.dialects.openai.finish import encode_finish
from trunkline.dialects.openrouter import errors
from trunkline.dialects.openrouter.cost import encode_cost
from trunkline.dialects.openrouter.names import display_name, generation_id
from trunkline.dialects.openrouter.route import encode_route
from trunkline.dialects.wire import Json, dumps, loads, text_of
from trunkline.errors import GatewayError
from trunkline.v1.chat_pb2 import ChatEvent, ChatResponse, Finish
from trunkline.v1.embeddings_pb2 import EmbedResponse
from trunkline.web.skins.openai import OpenAISkin
from trunkline.web.skins.skin import Refusal

_ROUTE: Final = "openrouter_metadata"
_ASKED: Final = ("x-openrouter-metadata", "x-openrouter-experimental-metadata")
_TEXT: Final = "text_completion"


class OpenRouterSkin(OpenAISkin):
    """https://openrouter.ai/docs/api-reference/overview, .../streaming, .../errors-and-debugging."""

    name = "openrouter"
    always_usage = True
    dresses = True
    sign = b": OPENROUTER PROCESSING\n\n"

    def refusal(self, error: GatewayError, call: Call) -> Refusal | None:
        """See `Skin.refusal`."""
        status = errors.told(error, call).status
        match call.surface:
            case "openai":
                wire: dict[str, Json] = {"error": errors.encode_error(error, call)}
            case "responses":
                wire = {
                    # OpenRouter tells no type and no parameter; OpenAI's clients look for them here.
                    "error": {
                        "code": errors.responses_code(error, call),
                        "message": error.message,
                        "type": error.row.openai_type,
                        "param": error.param,
                    },
                    "error_type": errors.told(error, call).kind,
                    "metadata": None,
                }
            case "anthropic":
                wire = errors.encode_messages_error(error, call, generation_id(call))
            case _:
                return None
        if _wants_route(call) and errors.tells_route(error, call):
            wire[_ROUTE] = encode_route(call)
        return Refusal(status, dumps(wire))

    def broken(self, error: GatewayError, call: Call, head: Mapping[str, Json]) -> bytes | None:
        """See `Skin.broken`."""
        if call.surface == "anthropic":
            told = errors.encode_messages_error(error, call, generation_id(call))
            return b"event: error\ndata: %b\n\n" % dumps(told)
        said: dict[str, Json] = {"text": ""} if head["object"] == _TEXT else {"delta": {"content": ""}}
        chunk = {
            **head,
            "error": errors.encode_error(error, call),
            "choices": [{"index": 0, **said, "finish_reason": "error", "native_finish_reason": "error"}],
        }
        return b"data: %b\n\n" % dumps(chunk)

    def headers(self, call: Call) -> Mapping[str, str]:
        """See `Skin.headers`."""
        return {"x-generation-id": generation_id(call)}

    def fields(self, call: Call) -> Mapping[str, Json]:
        """See `Skin.fields`."""
        return {_ROUTE: encode_route(call)} if _wants_route(call) else {}

    def dress_message(self, body: dict[str, Json], call: Call) -> None:
        """See `Skin.dress_message`."""
        body.update({"provider": display_name(call.provider), **self.fields(call)})

    def last_message_fields(self, call: Call) -> Mapping[str, Json]:
        """See `Skin.last_message_fields`."""
        return self.fields(call)

    def dress(self, answer: ChatResponse | EmbedResponse, call: Call) -> None:
        """See `Skin.dress`."""
        answer.id = generation_id(call)
        answer.provider = display_name(answer.provider or call.provider)
        if isinstance(answer, ChatResponse):
            for choice in answer.choices:
                _tell_native(choice.finish, choice.extras)

    def dress_event(self, event: ChatEvent, call: Call) -> None:
        """See `Skin.dress_event`."""
        match event.WhichOneof("event"):
            case "start":
                self.dress(event.start, call)
            case "choice_end":
                _tell_native(event.choice_end.finish, event.choice_end.extras)

    def settle(self, body: dict[str, Json], call: Call, error: GatewayError | None) -> None:
        """See `Skin.settle`."""
        if error is not None:
            body["error"] = {"code": errors.responses_code(error, call), "message": error.message}
            body["error_type"] = errors.told(error, call).kind
            return
        if call.cost is not None and body.get("usage"):
            body["usage"].update(encode_cost(call.cost))
        if _wants_route(call):
            body[_ROUTE] = encode_route(call)


def _wants_route(call: Call) -> bool:
    return any(call.headers.get(name, "").lower() == "enabled" for name in _ASKED)


def _tell_native(finish: Finish, extras: MutableMapping[str, str]) -> None:
    """Tell the provider's own word for the end, also where it is OpenAI's: the dialect writes it where it differs."""
    word, native = encode_finish(finish)
    if native is None and finish.native_reason:
        kept = loads(extras.get(openai.DIALECT) or "{}")
        extras[openai.DIALECT] = text_of({**kept, "native_finish_reason": word})
