"""What the servers of OpenAI's language do differently, each difference held."""

from __future__ import annotations

from typing import Any, cast

import pytest
from dialects.openai.reading import chunk, kinds, request, response, streamed
from openai.lib.streaming._deltas import accumulate_delta
from wire.recordings import chats

from trunkline.call import Loss
from trunkline.core.fold import unfold
from trunkline.dialects import anthropic, openai
from trunkline.dialects.wire import Object, dumps, loads
from trunkline.errors import GatewayError
from trunkline.v1 import chat_pb2, content_pb2
from trunkline.v1.chat_pb2 import ChatResponse
from trunkline.v1.content_pb2 import Part

STOP = {"finish_reason": "stop"}
STREAMED_CALL = {"index": 0, "id": "c", "type": "function", "function": {"name": "f", "arguments": ""}}


def calls(answer: ChatResponse) -> list[tuple[str, str, str]]:
    """The tool calls of the first choice: id, name, arguments."""
    parts = [part.tool_call for part in answer.choices[0].message.parts if part.WhichOneof("kind") == "tool_call"]
    return [(call.id, call.name, call.arguments_json) for call in parts]


def test_reasoning_beside_the_completion_is_counted_in() -> None:
    """xAI: total = prompt + completion + reasoning."""
    details = {"reasoning_tokens": 7}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 22, "completion_tokens_details": details}
    answer = response(usage=usage)
    assert (answer.usage.output_tokens, answer.usage.reasoning_output_tokens) == (12, 7)
    assert openai.encode_response(answer)["usage"]["total_tokens"] == 22


def test_reasoning_within_the_completion_is_not_counted_twice() -> None:
    """OpenAI, DeepSeek, Groq, Mistral."""
    details = {"reasoning_tokens": 5}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15, "completion_tokens_details": details}
    assert response(usage=usage).usage.output_tokens == 5


def test_reasoning_that_a_server_only_estimates_is_within_the_completion() -> None:
    """Doubleword: the total knows nothing of it, nor does a cost."""
    details = {"reasoning_tokens": 19}
    usage = {"prompt_tokens": 10, "completion_tokens": 16, "total_tokens": 26, "completion_tokens_details": details}
    counts = response(usage=usage).usage
    assert (counts.output_tokens, counts.reasoning_output_tokens) == (16, 16)


def test_reasoning_that_is_paid_beside_the_completion_is_counted_in() -> None:
    """Gemini behind Vercel's gateway: the total knows nothing of it, the cost does."""
    details = {"reasoning_tokens": 19}
    usage = {"prompt_tokens": 10, "completion_tokens": 16, "total_tokens": 26, "completion_tokens_details": details}
    assert response(usage={**usage, "cost": 0.1}).usage.output_tokens == 35


def test_the_probabilities_of_reasoning_come_back() -> None:
    """DeepSeek tells them beside those of the text, or alone."""
    told = {"reasoning_content": [{"token": "We", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    answer = response(choice={"logprobs": told})
    assert openai.encode_response(answer)["choices"][0]["logprobs"] == told
    said = {"content": [{"token": "Hi", "logprob": -0.5, "bytes": None, "top_logprobs": []}]}
    both = openai.encode_response(response(choice={"logprobs": {**told, **said}}))["choices"][0]["logprobs"]
    assert (both["reasoning_content"], both["content"]) == (told["reasoning_content"], said["content"])


@pytest.mark.parametrize(
    ("sound", "media_type", "uri"),
    [
        ("UklGRg==", "audio/wav", "data:audio/wav;base64,UklGRg=="),
        ("SUQzAw==", "audio/mpeg", "data:audio/mpeg;base64,SUQzAw=="),
        ("https://example.com/a.mp3", "audio/mpeg", "https://example.com/a.mp3"),
        ("data:audio/ogg;base64,AA==", "audio/ogg", "data:audio/ogg;base64,AA=="),
    ],
)
def test_a_sound_may_be_a_bare_text(sound: str, media_type: str, uri: str) -> None:
    """As Mistral's clients write it."""
    content = [{"type": "input_audio", "input_audio": sound}]
    media = request(messages=[{"role": "user", "content": content}]).messages[0].parts[0].media
    assert (media.media_type, media.uri) == (media_type, uri)


def test_no_recording_counts_more_reasoning_than_output() -> None:
    """Whichever server it is of."""
    for one in chats():
        if one.is_answer:
            usage = openai.decode_response(Object(loads(one.body), lenient=True)).usage
            assert usage.output_tokens >= usage.reasoning_output_tokens, one.id


def test_a_total_that_counts_more_is_kept() -> None:
    """Gemini's thoughts and Mistral's sound are in the total alone."""
    answer = response(usage={"prompt_tokens": 68, "completion_tokens": 4, "total_tokens": 100})
    assert openai.encode_response(answer)["usage"]["total_tokens"] == 100


@pytest.mark.parametrize(
    "name", ["prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens", "cache_read_input_tokens"]
)
def test_cached_tokens_go_by_many_names(name: str) -> None:
    """DeepSeek, Moonshot, Mistral, proxies in front of Claude; and on to the client, who may look for any of two."""
    usage = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10, name: 8}
    answer = response(usage=usage)
    assert answer.usage.cached_input_tokens == 8
    written = openai.encode_response(answer)["usage"]
    assert written["prompt_tokens_details"] == {"cached_tokens": 8}
    assert (written["prompt_cache_hit_tokens"], written["prompt_cache_miss_tokens"]) == (8, 1)
    assert response(usage=written).usage == answer.usage  # and nothing is told twice


def test_tokens_that_were_written_to_a_cache_go_by_two_names() -> None:
    """OpenRouter's, and that of proxies in front of Claude."""
    counts = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}
    for more in ({"prompt_tokens_details": {"cache_write_tokens": 7}}, {"cache_creation_input_tokens": 7}):
        answer = response(usage={**counts, **more})
        assert answer.usage.cache_write_input_tokens == 7
        assert openai.encode_response(answer)["usage"]["prompt_tokens_details"]["cache_write_tokens"] == 7


@pytest.mark.parametrize("name", ["stop_reason", "matched_stop"])
def test_the_stop_sequence_that_was_met(name: str) -> None:
    """vLLM and SGLang tell it, or the number of a token, or nothing; and so is the client told, whoever told it."""
    for told, met in (("END", "END"), (128009, ""), ("stop", ""), (None, "")):
        for answer in (
            response(choice={name: told}),
            streamed({"id": "r", "choices": [{"index": 0, "delta": {"content": "Hi"}, **STOP, name: told}]}),
        ):
            assert answer.choices[0].finish.stop_sequence == met
            written = openai.encode_response(answer)["choices"][0]
            assert written.get("stop_reason" if met else name) == told


def test_usage_comes_anywhere_and_counts_once() -> None:
    """In a chunk of its own (OpenAI), with the finish (Mistral), in every chunk (Perplexity), under `x_groq` (Groq)."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    text, end = chunk({"content": "Hi"}), chunk(finish="stop")
    ways = [
        [text, end, {"id": "r", "choices": [], "usage": usage}],
        [text, {**end, "usage": usage}],
        [{**text, "usage": {**usage, "completion_tokens": 1, "total_tokens": 2}}, {**end, "usage": usage}],
        [text, {**end, "x_groq": {"id": "q", "usage": usage}}],
        [text, {**end, "usage": usage, "x_groq": {"id": "q", "usage": usage}}],
        [text, end, {**chunk({"content": ""}, finish="stop"), "usage": usage}],
    ]
    for way in ways:
        answer = streamed(*way)
        assert (answer.usage.input_tokens, answer.usage.output_tokens) == (1, 2)
        assert kinds(answer) == ["text"]
        assert "usage" not in answer.extras.get("openai", "")


def test_a_stream_need_not_say_that_it_is_done() -> None:
    """GPUStack, TGI and most of Perplexity's end with their last choice; what follows that is read all the same."""
    usage = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    for end in (
        [chunk(finish="stop", usage=usage)],
        [chunk(finish="stop"), {"id": "r", "choices": [], "usage": usage}],
    ):
        answer = streamed(chunk({"content": "Hi"}), *end, done=False)
        assert (answer.choices[0].finish.native_reason, answer.usage.output_tokens) == ("stop", 2)
    with pytest.raises(GatewayError):
        streamed(chunk({"content": "Hi"}), done=False)


def test_thinking_in_a_list_is_reasoning() -> None:
    """Mistral: `content` turns into a list, in deltas too."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}, {"type": "text", "text": "m"}]}
    whole = response(message={"content": [{**thinking, "closed": True}, {"type": "text", "text": "Yes"}]})
    pieces = streamed(
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": [thinking]}),
        chunk({"content": [{"type": "thinking", "thinking": [], "closed": True}, {"type": "text", "text": "Y"}]}),
        chunk({"content": "es"}, finish="stop"),
    )
    for answer in (whole, pieces):
        reasoning, text = answer.choices[0].message.parts
        assert (reasoning.reasoning.text, text.text) == ("Hmm", "Yes")
        assert loads(reasoning.extras["openai"]) == {"closed": True}


def test_references_are_citations() -> None:
    """Mistral's `reference`: of the text before it, and at its place for clients that know it."""
    blocks = [
        {"type": "text", "text": "See "},
        {"type": "reference", "reference_ids": [1, 2**60]},
        {"type": "reference", "reference_ids": ["a"]},
        {"type": "text", "text": "there"},
    ]
    pieces = [chunk({"content": [block]}) for block in blocks]
    for answer in (response(message={"content": blocks}), streamed(*pieces, chunk({}, finish="stop"))):
        assert kinds(answer) == ["text", "text"]
        cited = answer.choices[0].message.parts[0].citations
        assert [citation.title for citation in cited] == [f"1, {2**60}", "a"]
        assert openai.encode_response(answer)["choices"][0]["message"]["content"] == blocks


def test_a_block_of_a_list_that_nobody_knows_is_carried() -> None:
    """For clients that know it, at its place; so is a `reference` without a text."""
    for block in ({"type": "chart", "points": [1]}, {"type": "reference", "reference_ids": [1]}):
        blocks = [block, {"type": "text", "text": "Hi"}]
        for answer in (response(message={"content": blocks}), streamed(chunk({"content": blocks}, finish="stop"))):
            assert kinds(answer) == ["opaque", "text"]
            assert openai.encode_response(answer)["choices"][0]["message"]["content"] == blocks


def test_reasoning_goes_by_two_names() -> None:
    """`reasoning` (Groq, Cerebras, Ollama, OpenRouter), `reasoning_content` (DeepSeek, xAI, Z.ai), or both."""
    for message in (
        {"reasoning": "why"},
        {"reasoning_content": "why"},
        {"reasoning": "why", "reasoning_content": "why"},
    ):
        answers = (
            response(message={"content": "Hi", **message}),
            streamed(chunk(message), chunk({"content": "Hi"}, "stop")),
        )
        for answer in answers:
            assert kinds(answer) == ["reasoning", "text"]
            assert answer.choices[0].message.parts[0].reasoning.text == "why"


def test_reasoning_details_are_put_together() -> None:
    """OpenRouter: the text of an item comes in pieces, its signature with the last."""
    item = {"type": "reasoning.text", "index": 0, "format": "anthropic-claude-v1"}
    answer = streamed(
        chunk({"reasoning": "a", "reasoning_details": [{**item, "text": "a"}]}),
        chunk({"reasoning": "b", "reasoning_details": [{**item, "text": "b"}]}),
        chunk({"reasoning_details": [{**item, "signature": "s"}]}),
        chunk({"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "x"}]}),
        chunk({"content": "Hi"}, "stop"),
    )
    part = answer.choices[0].message.parts[0]
    assert part.reasoning.text == "ab"
    assert loads(part.extras["openai"])["reasoning_details"] == [
        {**item, "text": "ab", "signature": "s"},
        {"type": "reasoning.encrypted", "index": 1, "data": "x"},
    ]


@pytest.mark.parametrize(
    ("word", "reason"),
    [
        ("stop", chat_pb2.FINISH_REASON_STOP),
        ("eos", chat_pb2.FINISH_REASON_STOP),
        ("eos_token", chat_pb2.FINISH_REASON_STOP),
        ("", chat_pb2.FINISH_REASON_STOP),
        ("model_length", chat_pb2.FINISH_REASON_LENGTH),
        ("content_filter", chat_pb2.FINISH_REASON_CONTENT_FILTER),
        ("of its own", chat_pb2.FINISH_REASON_OTHER),
    ],
)
def test_unusual_finish_reasons(word: str, reason: chat_pb2.FinishReason.ValueType) -> None:
    """Together, TGI, Snowflake, Mistral; the server's own word stays."""
    for answer in (response(choice={"finish_reason": word}), streamed(chunk({"content": "Hi"}, word))):
        assert answer.choices[0].finish.reason == reason
        assert answer.choices[0].finish.native_reason == word


def test_an_answer_that_calls_does_not_just_stop() -> None:
    """Some servers say `stop`, or nothing, beside tool calls: an agent waits for `tool_calls`."""
    for word in ("stop", ""):
        whole = response(message={"tool_calls": [STREAMED_CALL]}, choice={"finish_reason": word})
        for answer in (whole, streamed(chunk({"tool_calls": [STREAMED_CALL]}, word))):
            assert answer.choices[0].finish.reason == chat_pb2.FINISH_REASON_TOOL_CALLS
            assert openai.encode_response(answer)["choices"][0]["finish_reason"] == "tool_calls"


def test_snowflake_fills_every_field() -> None:
    """Empty texts, an empty `function_call` and empty log probabilities are nothing."""
    empty = {"content": "4", "refusal": "", "function_call": {"name": "", "arguments": ""}, "tool_calls": None}
    logprobs = {"logprobs": {"content": None, "refusal": None}}
    for answer in (
        response(message=empty, choice={"finish_reason": "", **logprobs}),
        streamed({"id": "", "choices": [{"index": 0, "delta": empty, **logprobs}]}),
    ):
        assert kinds(answer) == ["text"]
        assert answer.choices[0].extras == {}
        assert answer.choices[0].message.extras == {}


def test_a_whole_call_in_one_delta() -> None:
    """Mistral, xAI, Groq, Ollama; Mistral without a type."""
    call = {"id": "c", "function": {"name": "f", "arguments": '{"a":1}'}}
    assert calls(streamed(chunk({"tool_calls": [call]}, "tool_calls"))) == [("c", "f", '{"a":1}')]


@pytest.mark.parametrize("arguments", [{}, {"arguments": None}, {"arguments": ""}])
def test_arguments_may_be_missing(arguments: dict[str, object]) -> None:
    """Some of OpenRouter's upstreams omit them, or send null."""
    call = {"index": 0, "id": "c", "function": {"name": "f", **arguments}}
    for answer in (response(message={"tool_calls": [call]}), streamed(chunk({"tool_calls": [call]}, "stop"))):
        assert calls(answer) == [("c", "f", "")]


def test_arguments_may_be_an_object() -> None:
    """Then they are its text."""
    call = {"index": 0, "id": "c", "function": {"name": "f", "arguments": {"a": 2**60}}}
    for answer in (response(message={"tool_calls": [call]}), streamed(chunk({"tool_calls": [call]}, "stop"))):
        assert calls(answer) == [("c", "f", '{"a":1152921504606846976}')]


def test_calls_are_told_apart_by_number_or_by_id() -> None:
    """By number as OpenAI does; by id where all have number 0, or none; where there is neither, by what is whole."""
    one, two = {"name": "f", "arguments": "{}"}, {"name": "g", "arguments": "[]"}
    numbered = streamed(
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": {"name": "f", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 1, "id": "b", "function": {"name": "g", "arguments": "["}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}),
        chunk({"tool_calls": [{"index": 1, "function": {"arguments": "]"}}]}, "tool_calls"),
    )
    zeroes = streamed(
        chunk({"tool_calls": [{"index": 0, "id": "a", "function": one}]}),
        chunk({"tool_calls": [{"index": 0, "id": "b", "function": {"name": "g", "arguments": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"arguments": "[]"}}]}, "tool_calls"),
    )
    named = streamed(chunk({"tool_calls": [{"id": "a", "function": one}, {"id": "b", "function": two}]}, "tool_calls"))
    bare = streamed(
        chunk({"tool_calls": [{"index": 0, "function": one}]}),
        chunk({"tool_calls": [{"index": 0, "function": two}]}, "tool_calls"),
    )
    for answer in (numbered, zeroes, named):
        assert calls(answer) == [("a", "f", "{}"), ("b", "g", "[]")]
    assert [call[1:] for call in calls(bare)] == [("f", "{}"), ("g", "[]")]
    assert len({call[0] for call in calls(bare)} - {""}) == 2


def test_the_name_may_come_after_the_id() -> None:
    """The part begins once both are known; what was written before is not lost."""
    answer = streamed(
        chunk({"tool_calls": [{"index": 0, "id": "c", "function": {"arguments": "{"}}]}),
        chunk({"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": "}"}}]}, "tool_calls"),
    )
    assert calls(answer) == [("c", "f", "{}")]


def test_a_call_without_an_id_gets_one() -> None:
    """The same in both forms of an answer."""
    call = {"index": 0, "function": {"name": "f", "arguments": "{}"}}
    whole = response(message={"tool_calls": [call, call]})
    assert calls(whole)[0][0] != calls(whole)[1][0]
    assert calls(streamed(chunk({"tool_calls": [call]}, "stop"))) == calls(whole)[:1]


def test_the_older_form_of_a_call_stays_as_it_is() -> None:
    """`function_call` has no id, and goes back to clients that ask by `functions`."""
    function = {"name": "f", "arguments": "{}"}
    pieces = [chunk({"function_call": {"name": "f", "arguments": ""}}), chunk({"function_call": {"arguments": "{}"}})]
    for answer in (
        response(message={"function_call": function}, choice={"finish_reason": "function_call"}),
        streamed(*pieces, chunk(finish="function_call")),
    ):
        assert calls(answer) == [("", "f", "{}")]
        choice = openai.encode_response(answer)["choices"][0]
        assert choice["message"]["function_call"] == function
        assert choice["finish_reason"] == "function_call"


def test_a_custom_call_is_a_call_with_a_text() -> None:
    """In one piece or in many; it comes and goes back as what it is, with what else it holds."""
    block = {"id": "c", "type": "custom", "custom": {"name": "m", "input": "4 + 4"}, "x": 1}
    begun = {"index": 0, "id": "c", "type": "custom", "custom": {"name": "m", "input": ""}, "x": 1}
    answer = streamed(
        chunk({"tool_calls": [begun]}),
        chunk({"tool_calls": [{"index": 0, "custom": {"input": "4 +"}}]}),
        chunk({"tool_calls": [{"index": 0, "custom": {"input": " 4"}}]}, "tool_calls"),
    )
    for one in (answer, response(message={"tool_calls": [block]})):
        assert calls(one) == [("c", "m", "4 + 4")]
        assert openai.encode_response(one)["choices"][0]["message"]["tool_calls"] == [block]
        echoed = {"role": "assistant", "tool_calls": [loads(dumps(block))]}
        wire = {"model": "m", "messages": [echoed, {"role": "tool", "tool_call_id": "c", "content": "8"}]}
        assert openai.encode_request(openai.decode_request(Object(wire)))["messages"][0]["tool_calls"] == [block]


def test_a_call_of_a_type_that_nobody_knows_is_carried_whole() -> None:
    """In one piece or in many."""
    block = {"id": "c", "type": "dance", "dance": {"name": "m", "steps": "4 + 4"}}
    answer = streamed(
        chunk({"tool_calls": [{"index": 0, "id": "c", "type": "dance", "dance": {"name": "m", "steps": ""}}]}),
        chunk({"tool_calls": [{"index": 0, "dance": {"steps": "4 +"}}]}),
        chunk({"tool_calls": [{"index": 0, "dance": {"steps": " 4"}}]}, "tool_calls"),
    )
    for one in (answer, response(message={"tool_calls": [block]})):
        assert openai.encode_response(one)["choices"][0]["message"]["tool_calls"] == [block]


def test_openais_sdk_puts_together_what_a_call_holds() -> None:
    """It appends texts to texts: what other dialects need back of a call is told once, when all of it is known."""
    answer = response(message={"tool_calls": [{**STREAMED_CALL, "x": "y"}]})
    part = answer.choices[0].message.parts[0]
    part.extras["gemini"] = '{"thoughtSignature":"s"}'
    events = list(unfold(answer))
    for event in events:
        if event.HasField("part_start"):
            event.part_start.part.extras["responses"] = '{"item":{"id":"fc","status":"in_progress"}}'
        if event.HasField("part_end"):
            event.part_end.part.extras.update(part.extras)
            event.part_end.part.extras["responses"] = '{"item":{"id":"fc","status":"completed"}}'
    encoder = openai.StreamEncoder(include_usage=False)
    message: dict[object, object] = {}
    for event in events:
        for data in encoder.feed(event):
            message = accumulate_delta(message, loads(data)["choices"][0]["delta"])
    (call,) = message["tool_calls"]  # type: ignore[misc]
    foreign = {
        "gemini": {"thoughtSignature": "s"},
        "responses": {"item": {"id": "fc", "status": "completed"}},
    }
    assert call == {**STREAMED_CALL, "x": "y", "extra_content": foreign}


def test_azures_first_chunk_tells_of_its_filters_alone() -> None:
    """With an empty id and model; what it tells is kept."""
    filters = {"id": "", "model": "", "object": "", "created": 0, "choices": [], "prompt_filter_results": [{"a": 1}]}
    answer = streamed(filters, chunk({"content": "Hi"}, "stop", model="m"))
    assert (answer.id, answer.model) == ("r", "m")
    assert loads(answer.extras["openai"]) == {"prompt_filter_results": [{"a": 1}]}


def test_a_filtered_choice_has_no_message() -> None:
    """Azure: it is an answer all the same."""
    wire = {"id": "r", "choices": [{"index": 0, "finish_reason": "content_filter", "content_filter_results": {"a": 1}}]}
    answer = openai.decode_response(Object(wire, lenient=True))
    assert answer.choices[0].finish.reason == chat_pb2.FINISH_REASON_CONTENT_FILTER
    assert answer.choices[0].message.role == content_pb2.ROLE_ASSISTANT
    assert openai.encode_response(answer)["choices"][0]["content_filter_results"] == {"a": 1}


def test_padding_is_dropped() -> None:
    """`p` and `obfuscation` hide the length of a chunk."""
    answer = streamed(chunk({"content": "Hi"}, p="abc", obfuscation="xyz"), chunk(finish="stop", p="a"))
    assert answer.extras == {}


def test_an_error_beside_choices_ends_the_stream() -> None:
    """OpenRouter; its code is a status."""
    with pytest.raises(GatewayError, match="Overloaded") as raised:
        streamed(chunk({"content": "Hi"}), chunk(finish="error", error={"code": 502, "message": "Overloaded"}))
    assert raised.value.provider_status == 502


def test_a_choice_that_ends_as_an_error_is_no_answer() -> None:
    """Mistral's and OpenRouter's finish reason `error`."""
    with pytest.raises(GatewayError):
        streamed(chunk({"content": "Hi"}), chunk(finish="error"))
    with pytest.raises(GatewayError):
        response(choice={"finish_reason": "error"})


def test_a_stream_may_answer_at_once() -> None:
    """A server that cannot stream sends one chunk with a `message`; Perplexity repeats one beside each delta."""
    whole = {"role": "assistant", "content": "Hi"}
    once = streamed({"id": "r", "choices": [{"index": 0, "message": whole, "finish_reason": "stop"}]})
    twice = {"index": 0, "delta": {"content": "Hi"}, "message": whole, "finish_reason": "stop"}
    for answer in (once, streamed({"id": "r", "choices": [twice]})):
        assert [part.text for part in answer.choices[0].message.parts] == ["Hi"]
        assert answer.choices[0].extras == {}


def test_lists_that_grow_are_told_once() -> None:
    """Perplexity tells the citations so far in every chunk; others tell what is new."""
    so_far = streamed(chunk({"content": "H"}, citations=["a"]), chunk({"content": "i"}, "stop", citations=["a", "b"]))
    anew = streamed(
        chunk({"content": "H", "notes": [{"url": "a"}]}),
        chunk({"content": "i", "notes": [{"url": "b"}]}, "stop"),
    )
    assert loads(so_far.extras["openai"]) == {"citations": ["a", "b"]}
    assert loads(anew.choices[0].message.extras["openai"]) == {"notes": [{"url": "a"}, {"url": "b"}]}


def test_speech_comes_in_pieces() -> None:
    """OpenAI's `audio`: its data and its transcript go on, the rest is replaced."""
    answer = streamed(
        chunk({"audio": {"id": "a", "transcript": "He"}}),
        chunk({"audio": {"data": "AAA"}}),
        chunk({"audio": {"data": "BBB", "transcript": "llo"}}),
        chunk({"audio": {"expires_at": 9}}, "stop"),
    )
    spoken = loads(answer.choices[0].message.extras["openai"])["audio"]
    assert spoken == {"id": "a", "transcript": "Hello", "data": "AAABBB", "expires_at": 9}


def test_an_image_is_a_part() -> None:
    """OpenRouter's `images`, in both forms of an answer, and on to the client."""
    image = {"index": 0, "type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    for answer in (response(message={"images": [image]}), streamed(chunk({"images": [image]}, "stop"))):
        assert answer.choices[0].message.parts[0].media.media_type == "image/png"
        assert openai.encode_response(answer)["choices"][0]["message"]["images"] == [image]


def test_what_other_dialects_need_comes_back() -> None:
    """A client that sends an answer back loses nothing: signatures, and blocks that one dialect alone can read."""
    answer = response()
    message = answer.choices[0].message
    del message.parts[:]
    signed = Part(reasoning={"text": "why"}, extras={"anthropic": '{"signature":"s"}'})
    secret = Part(reasoning={"redacted": True}, extras={"anthropic": '{"data":"d"}'})
    text = Part(text="Hi", extras={"gemini": '{"thoughtSignature":"t"}'})
    block = Part(opaque={"dialect": "anthropic", "json": '{"type":"server_tool_use","id":"u"}'})
    call = Part(
        tool_call={"id": "c", "name": "f", "arguments_json": "{}"}, extras={"gemini": '{"thoughtSignature":"u"}'}
    )
    message.parts.extend([signed, secret, text, block, call])

    echoed = loads(dumps(openai.encode_response(answer)))["choices"][0]["message"]
    wire = {"model": "m", "messages": [{"role": "user", "content": "?"}, echoed]}
    back = openai.decode_request(Object(wire)).messages[1]
    assert list(back.parts) == [signed, secret, text, block, call]
    assert back.extras == {}


PLACE = {"start_index": 0, "end_index": 2, "url": "https://a", "title": "A"}
CITED = {"type": "url_citation", "url_citation": PLACE}


def test_annotations_are_citations() -> None:
    """OpenAI's and OpenRouter's, which come with a delta or at once; and to the client in one piece, with what else
    they hold."""
    more = {"type": "url_citation", "url_citation": {**PLACE, "content": "Words", "x": 1}}
    ways = [
        response(message={"content": "Hi", "annotations": [CITED, more]}),
        streamed(chunk({"content": "Hi"}), chunk({"annotations": [CITED]}), chunk({"annotations": [more]}, "stop")),
        streamed(
            chunk({"content": "Hi"}), chunk({"annotations": [CITED]}), chunk({"annotations": [CITED, more]}, "stop")
        ),
        streamed(chunk({"annotations": [CITED, more]}), chunk({"content": "Hi"}, "stop")),
    ]
    for answer in ways:
        (part,) = answer.choices[0].message.parts
        assert [(one.uri, one.title, one.start_index, one.end_index) for one in part.citations] == [
            ("https://a", "A", 0, 2),
            ("https://a", "A", 0, 2),
        ]
        assert part.citations[1].cited_text == "Words"
        assert answer.choices[0].message.extras == {}
        assert openai.encode_response(answer)["choices"][0]["message"]["annotations"] == [CITED, more]
        assert put_together(answer)["annotations"] == [CITED, more]


def test_annotations_of_other_kinds_stay_as_they_are() -> None:
    """OpenRouter's reading of a file, and what has no place in a text: for clients that know them."""
    file = {"type": "file", "file": {"hash": "h", "content": []}}
    nowhere = {"type": "url_citation", "url_citation": {"url": "https://a", "title": "A"}}
    for wires in ([file], [CITED, file], [nowhere], [{"type": "url_citation"}], [3]):
        for answer in (
            response(message={"content": "Hi", "annotations": wires}),
            streamed(chunk({"content": "Hi"}), chunk({"annotations": wires}, "stop")),
        ):
            assert not answer.choices[0].message.parts[0].citations
            assert openai.encode_response(answer)["choices"][0]["message"]["annotations"] == wires
            assert put_together(answer)["annotations"] == wires


def test_annotations_without_one_text_stay_as_they_are() -> None:
    """Nobody tells what rests on them."""
    call = {"tool_calls": [STREAMED_CALL], "annotations": [CITED]}
    for answer in (response(message=call), streamed(chunk(call, "tool_calls"))):
        assert openai.encode_response(answer)["choices"][0]["message"]["annotations"] == [CITED]
        assert put_together(answer)["annotations"] == [CITED]


def test_what_others_cite_is_told() -> None:
    """At its place in all that is said, beside what the server keeps; a source without a place is that of its text."""
    answer = response()
    message = answer.choices[0].message
    message.extras["openai"] = dumps({"annotations": [{"type": "file"}]}).decode()
    message.parts[0].citations.add(uri="https://a", title="A", start_index=0, end_index=2)
    message.parts.add(text=" there").citations.add(title="Book", cited_text="Words")
    other = {"start_index": 2, "end_index": 8, "url": "", "title": "Book", "content": "Words"}
    annotations = [CITED, {"type": "url_citation", "url_citation": other}, {"type": "file"}]
    assert openai.encode_response(answer)["choices"][0]["message"]["annotations"] == annotations
    told = put_together(answer)
    assert (told["content"], told["annotations"]) == ("Hi there", annotations)


def test_what_earlier_answers_rest_on_is_no_loss() -> None:
    """Clients send an answer back as they got it: a server of the same language gets its annotations, and a strict
    caller is not refused for them elsewhere."""
    losses: list[Loss] = []
    said = {"role": "assistant", "content": "Hi", "annotations": [CITED]}
    asked = request(messages=[{"role": "user", "content": "?"}, said])
    assert openai.encode_request(asked, losses=losses)["messages"][1] == said
    anthropic.encode_request(asked, losses=losses)
    assert losses == []


def test_blocks_come_back_to_their_places() -> None:
    """Whole or as a stream: what Anthropic searched stands before what it says of it, between what it thought."""
    answer = response()
    message = answer.choices[0].message
    del message.parts[:]
    blocks = [Part(opaque={"dialect": "anthropic", "json": f'{{"type":"x","index":{number}}}'}) for number in range(3)]
    thoughts = [Part(reasoning={"text": text}, extras={"anthropic": '{"signature":"s"}'}) for text in ("a", "b")]
    parts = [thoughts[0], blocks[0], blocks[1], thoughts[1], Part(text="Hi"), blocks[2]]
    message.parts.extend(parts)
    for told in (loads(dumps(openai.encode_response(answer)))["choices"][0]["message"], put_together(answer)):
        back = openai.decode_request(Object({"model": "m", "messages": [told]})).messages[0]
        assert list(back.parts) == parts


@pytest.mark.parametrize("place", [None, -1, 99, "x", 1.5])
def test_a_place_that_is_none_is_passed_over(place: Any) -> None:
    """Nothing is lost for it."""
    blocks = [{"place": place, "block": {"type": "x"}}, {"nothing": 1}, 3]
    told = {"role": "assistant", "content": "Hi", "extra_content": {"anthropic": {"blocks": blocks}}}
    back = openai.decode_request(Object({"model": "m", "messages": [told]})).messages[0]
    assert sorted(str(part.WhichOneof("kind")) for part in back.parts) == ["opaque", "text"]


def put_together(answer: ChatResponse) -> dict[str, Any]:
    """The message that OpenAI's SDK makes of the chunks of an answer."""
    encoder = openai.StreamEncoder(include_usage=False)
    message: dict[object, object] = {}
    for event in unfold(answer):
        for data in encoder.feed(event):
            message = accumulate_delta(message, loads(data)["choices"][0]["delta"])
    return cast(dict[str, Any], message)
