"""The laws of whole answers, held to every recorded one."""

from __future__ import annotations

from laws.streams import decode, encode, same
from wire.recordings import Recording, each_chat

from trunkline.core.fold import fold, unfold
from trunkline.dialects import openai
from trunkline.dialects.openai.finish import encode_finish
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.v1.chat_pb2 import ChatResponse

each_answer = each_chat(lambda recording: recording.is_answer)


def read(body: bytes) -> ChatResponse:
    """The answer in `body`."""
    return openai.decode_response(Object(loads(body), lenient=True))


def told(response: ChatResponse) -> ChatResponse:
    """`response` as a client is told of it: a time, a reason and both counts are always there."""
    out = same(response)
    out.create_time.SetInParent()
    for choice in out.choices:
        choice.finish.native_reason = choice.finish.native_reason or encode_finish(choice.finish)[0]
    if out.HasField("usage"):
        out.usage.input_tokens += 0
        out.usage.output_tokens += 0
    return out


@each_answer
def test_an_answer_survives_the_gateway(recording: Recording) -> None:
    """Written for a client and read by it, an answer is the same."""
    response = read(recording.body)
    assert same(read(dumps(openai.encode_response(response)))) == told(response)


@each_answer
def test_an_answer_folds_from_its_events(recording: Recording) -> None:
    """`fold(unfold(r)) == r`, here and through the chunks of a stream."""
    response = read(recording.body)
    assert fold(unfold(response)) == response
    assert same(fold(decode(encode(unfold(response))))) == told(response)
