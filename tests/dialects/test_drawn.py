"""What a model drew comes back to a model, by whichever surface the client got it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from trunkline.call import Loss, LossKind
from trunkline.dialects import anthropic, bedrock, cohere, gemini, openai, responses
from trunkline.dialects.openai.profile import Profile
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.providers.compatible import PRESETS
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, Choice
from trunkline.v1.content_pb2 import Media, Message, Part, ToolCall

URL = "data:image/png;base64,iVBORw0KGgo="
SIGNED = {"gemini": '{"thoughtSignature":"c2lnbmVk"}'}


def drew(*more: Message) -> ChatRequest:
    """A user asked for an image, and got it with a word."""
    asked = Message(role=content_pb2.ROLE_USER, parts=[Part(text="Draw")])
    parts = [Part(text="Here"), Part(media=Media(media_type="image/png", uri=URL))]
    return ChatRequest(model="m", messages=[asked, Message(role=content_pb2.ROLE_ASSISTANT, parts=parts), *more])


def said(text: str) -> Message:
    """A user's message."""
    return Message(role=content_pb2.ROLE_USER, parts=[Part(text=text)])


def written(dialect: str, request: ChatRequest, losses: list[Loss]) -> list[dict[str, Any]]:
    """The messages that a dialect writes of `request`."""
    match dialect:
        case "anthropic":
            wire = anthropic.encode_request(request, losses=losses)
        case "bedrock":
            wire = bedrock.encode_request(request, losses=losses)
        case "cohere":
            wire = cohere.encode_request(request, losses)
        case "responses":
            wire = responses.encode_request(request, losses)
        case _:
            wire = openai.encode_request(request, Profile(), losses)
    told: list[dict[str, Any]] = loads(dumps(wire.get("messages") or wire["input"]))
    return told


DIALECTS = ("anthropic", "bedrock", "cohere", "openai", "responses")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("more", [[said("Bluer")], []], ids=["asked", "unasked"])
def test_the_user_shows_it(dialect: str, more: list[Message]) -> None:
    """Where an assistant can hold none, the user's next turn does, or one of his own; and that is told."""
    losses: list[Loss] = []
    told = written(dialect, drew(*more), losses)
    assert [message["role"] for message in told] == ["user", "assistant", "user"]
    assert "iVBORw0KGgo=" in json.dumps(told[2])
    assert "iVBORw0KGgo=" not in json.dumps(told[:2])
    assert all(message.parts[0].text in json.dumps(told[2]) for message in more)
    assert losses == [Loss("messages[1].images", LossKind.APPROXIMATED)]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_the_results_of_tools_stand_before_it(dialect: str) -> None:
    """A call and its result stay side by side, and a turn that held an image alone is none."""
    request = drew(said("Bluer"))
    del request.messages[1].parts[0]
    request.messages[1].parts.append(Part(tool_call=ToolCall(id="call_1", name="f", arguments_json="{}")))
    result = request.messages.add(role=content_pb2.ROLE_TOOL).parts.add().tool_result
    result.tool_call_id = "call_1"
    result.parts.add().text = "done"
    request.messages.insert(2, request.messages.pop())
    alone = drew(said("Bluer"))
    del alone.messages[1].parts[0]
    text = json.dumps(written(dialect, request, []))
    assert text.index("done") < text.index("iVBORw0KGgo=") < text.index("Bluer")
    assert "assistant" not in json.dumps(written(dialect, alone, []))


def test_what_takes_it_is_given_it() -> None:
    """Gemini in the model's own turn, OpenRouter as `images`: nothing is lost."""
    losses: list[Loss] = []
    contents = gemini.encode_request(drew(said("Bluer")), gemini.profile_of("gemini-3-pro"), losses)["contents"]
    assert contents[1]["parts"][1]["inlineData"]["data"] == "iVBORw0KGgo="
    wire = openai.encode_request(drew(said("Bluer")), PRESETS["openrouter"].profile, losses)
    image = {"index": 0, "type": "image_url", "image_url": {"url": URL}}
    assert wire["messages"][1] == {"role": "assistant", "content": "Here", "images": [image]}
    assert losses == []


def test_a_client_sends_it_back() -> None:
    """Of Chat Completions, with what its origin needs; by the place that its streams are put together by."""
    part = Part(media=Media(media_type="image/png", uri=URL), extras=SIGNED)
    answer = ChatResponse(choices=[Choice(message=Message(role=content_pb2.ROLE_ASSISTANT, parts=[part, part]))])
    message = openai.encode_response(answer)["choices"][0]["message"]
    assert [image["index"] for image in message["images"]] == [0, 1]
    back = openai.decode_request(Object({"model": "m", "messages": [message, {"role": "user", "content": "Bluer"}]}))
    drawn = [one for one in back.messages[0].parts if one.HasField("media")]
    assert drawn == [part, part]
    sent = gemini.encode_request(back, gemini.profile_of("gemini-3-pro"), [])["contents"][0]["parts"]
    assert [one["thoughtSignature"] for one in sent if "inlineData" in one] == ["c2lnbmVk", "c2lnbmVk"]


@pytest.mark.parametrize("images", [None, [], ["iVBOR"], [{"type": "image_url"}], "x", [5]])
def test_what_is_no_image_refuses_nothing(images: Any) -> None:
    """A client may call anything so."""
    message = {"role": "assistant", "content": "Here", "images": images}
    back = openai.decode_request(Object({"model": "m", "messages": [message]}))
    assert [part.text for part in back.messages[0].parts] == ["Here"]
    assert loads(back.messages[0].extras["openai"])["images"] == images if images is not None else True


def test_a_client_of_responses_sends_it_back() -> None:
    """As the generated image that it was told as; an image of OpenAI's own stays as it is."""
    part = Part(media=Media(media_type="image/webp", uri="data:image/webp;base64,UklGRg=="), extras=SIGNED)
    answer = ChatResponse(id="r", choices=[Choice(message=Message(role=content_pb2.ROLE_ASSISTANT, parts=[part]))])
    item, carrier = responses.encode_response(answer)["output"]
    assert item["type"] == "image_generation_call"
    foreign = {**item, "id": "ig_" + "0" * 50}
    back = responses.decode_request(Object({"model": "m", "input": [item, carrier, foreign]}))
    assert back.messages[0].parts[0] == part
    assert back.messages[0].parts[1].opaque.dialect == "responses"
