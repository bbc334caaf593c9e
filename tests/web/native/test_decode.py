"""Proto-JSON to messages: what is read, and what is said of what cannot be."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Sampling
from trunkline.v1.content_pb2 import Media, Message, Part, ToolCall, ToolResult
from trunkline.v1.errors_pb2 import ErrorReason
from trunkline.web.native.decode import Decoder, parse_json

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SAMPLINGS = st.builds(
    Sampling,
    temperature=st.none() | st.floats(allow_nan=False),
    top_k=st.none() | st.integers(-(2**31), 2**31 - 1),
    seed=st.none() | st.integers(-(2**63), 2**63 - 1),
)
LEAVES = st.one_of(
    st.builds(Part, text=TEXT),
    st.builds(Part, media=st.builds(Media, media_type=TEXT, data=st.binary(max_size=9))),
    st.builds(Part, tool_call=st.builds(ToolCall, id=TEXT, name=TEXT, arguments_json=TEXT)),
    st.builds(Part, extras=st.dictionaries(TEXT, TEXT, max_size=2)),
)
PARTS = st.recursive(
    LEAVES,
    lambda inner: st.builds(
        Part, tool_result=st.builds(ToolResult, failed=st.booleans(), parts=st.lists(inner, max_size=3))
    ),
    max_leaves=5,
)
MESSAGES = st.builds(Message, role=st.integers(0, 9), parts=st.lists(PARTS, max_size=3))
REQUESTS = st.builds(
    ChatRequest,
    model=TEXT,
    messages=st.lists(MESSAGES, max_size=3),
    sampling=st.none() | SAMPLINGS,
    stop_sequences=st.lists(TEXT, max_size=2),
    parallel_tool_calls=st.none() | st.booleans(),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def decode(value: object, message: Any = None) -> Any:
    message = ChatRequest() if message is None else message
    Decoder().fill(message, value)
    return message


def refused(value: object, message: Any = None) -> GatewayError:
    with pytest.raises(GatewayError) as caught:
        decode(value, message)
    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST
    return caught.value


def failure(read: Callable[[Any], object], value: object) -> ErrorReason.ValueType | None:
    """Why `read` refuses `value`, if it does."""
    try:
        read(value)
    except GatewayError as error:
        return error.reason
    return None


@given(REQUESTS, st.booleans(), st.booleans())
def test_reads_what_protobuf_writes(request: ChatRequest, proto_names: bool, zeros: bool) -> None:
    """What the protobuf library writes of a message is read back as that message, under both names of its fields."""
    text = json_format.MessageToJson(
        request, preserving_proto_field_name=proto_names, always_print_fields_with_no_presence=zeros
    )

    assert decode(parse_json(text.encode())) == request


@given(st.dictionaries(st.sampled_from(sorted(ChatRequest.DESCRIPTOR.fields_by_name)), JSON))
def test_never_fails_otherwise(value: dict[str, object]) -> None:
    """Whatever JSON is there, the message is filled or INVALID_REQUEST is raised."""
    assert failure(decode, value) in (None, errors_pb2.ERROR_REASON_INVALID_REQUEST)


@pytest.mark.parametrize(
    ("value", "param"),
    [
        ({"model": 5}, "model"),
        ({"model": "\ud800"}, "model"),
        ({"messages": {}}, "messages"),
        ({"messages": [5]}, "messages[0]"),
        ({"messages": [None]}, "messages[0]"),
        ({"messages": [{"role": "ROLE_GUEST"}]}, "messages[0].role"),
        ({"messages": [{"role": True}]}, "messages[0].role"),
        ({"messages": [{"role": []}]}, "messages[0].role"),
        ({"messages": [{}, {"parts": [{"text": "a"}, {"text": 1}]}]}, "messages[1].parts[1].text"),
        ({"messages": [{"parts": [{"text": "a", "refusal": "b"}]}]}, "messages[0].parts[0].refusal"),
        ({"messages": [{"parts": [{"media": {"data": "!!!!"}}]}]}, "messages[0].parts[0].media.data"),
        ({"messages": [{"parts": [{"media": {"data": "a"}}]}]}, "messages[0].parts[0].media.data"),
        ({"messages": [{"parts": [{"cache": {"ttl": 5}}]}]}, "messages[0].parts[0].cache.ttl"),
        ({"messages": [{"parts": [{"cache": {"ttl": "5"}}]}]}, "messages[0].parts[0].cache.ttl"),
        ({"sampling": []}, "sampling"),
        ({"sampling": {"temperature": "hot"}}, "sampling.temperature"),
        ({"sampling": {"temperature": 10**400}}, "sampling.temperature"),
        ({"sampling": {"seed": 2**63}}, "sampling.seed"),
        ({"sampling": {"top_k": 1.5}}, "sampling.top_k"),
        ({"sampling": {"topK": "1e2"}}, "sampling.topK"),
        ({"extras": {"openai": 5}}, "extras.openai"),
        ({"extras": {"openai": None}}, "extras.openai"),
        ({"extras": []}, "extras"),
        ({"choiceCount": 1, "choice_count": 1}, "choice_count"),
        ({"parallelToolCalls": "true"}, "parallelToolCalls"),
    ],
)
def test_names_the_field(value: object, param: str) -> None:
    """What is wrong is told by its path, spelt as the caller spelt it."""
    error = refused(value)

    assert param == error.param
    assert f"`{param}`" in error.message


def test_does_not_echo() -> None:
    """A value that is wrong is not repeated: it may be large, or secret."""
    secret = "sk-" + "x" * 10_000

    assert "sk-" not in refused({"messages": secret}).message


def test_numbers() -> None:
    """Integers are read from integral numbers and from text, infinities by their names."""
    read = decode({"seed": "9007199254740993", "topK": 5.0, "temperature": "-Infinity"}, Sampling())

    assert (9007199254740993, 5, float("-inf")) == (read.seed, read.top_k, read.temperature)


def test_null_is_absent() -> None:
    """Null leaves a field unset, and does not exclude its siblings in a oneof."""
    part = decode({"text": "a", "refusal": None, "media": None}, Part())

    assert Part(text="a") == part


def test_base64_forms() -> None:
    """Bytes are read from both alphabets, with padding or without."""
    for text in ("+/+/", "-_-_"):
        assert Media(data=b"\xfb\xff\xbf") == decode({"data": text}, Media())
    assert Media(data=b"a") == decode({"data": "YQ"}, Media()) == decode({"data": "YQ=="}, Media())


def test_every_kind_of_field(book: type[Any]) -> None:
    """Well-known types, maps of messages and each kind of number are read as the protobuf library reads them."""
    value = {
        "printed": "2026-01-02T03:04:05.5Z", "readingTime": "1.5s", "mask": "author.name,lent", "copies": "5",
        "rare": False, "ratings": {"a": 1}, "readers": {"true": {"name": "x"}}, "notes": {"a": [1, None]},
        "code": str(2**64 - 1), "height": 1.5, "genres": ["GENRE_PROSE", 1, 7], "anything": None, "cover": "YQ==",
        "library": {"teacher": {"born": -5}}, "breaks": ["1s"], "edition": 0,
    }  # fmt: skip

    assert json_format.ParseDict(value, book()) == decode(value, book())


@pytest.mark.parametrize(
    "value",
    [{"printed": "today"}, {"printed": {}}, {"mask": 5}, {"copies": "x"}, {"rare": 1}, {"readers": {"yes": {}}},
     {"notes": 5}, {"notes": []}, {"height": 1e39}, {"code": -1}, {"printed": "9999999-01-01T00:00:00Z"}],
)  # fmt: skip
def test_special_types_refuse(value: object, book: type[Any]) -> None:
    """A well-known type that cannot be read is the client's error, named."""
    assert refused(value, book()).param


def test_ignores_and_tells() -> None:
    """What has no field is left out and named."""
    decoder = Decoder()
    decoder.fill(ChatRequest(), {"x": 1, "messages": [{"parts": [{"y": {}}]}]})

    assert decoder.ignored == ["x", "messages[0].parts[0].y"]


def test_ignored_names_are_bounded() -> None:
    """However many and however long the unknown names are, few and short ones are kept."""
    decoder = Decoder()
    decoder.fill(ChatRequest(), {f"{number}{'x' * 1000}": 1 for number in range(1000)})

    assert len(decoder.ignored) <= 64
    assert max(map(len, decoder.ignored)) <= 256


def test_nesting_is_bounded() -> None:
    """Deep nesting is refused, as JSON and as messages."""
    value: dict[str, Any] = {}
    for _ in range(200):
        value = {"toolResult": {"parts": [value]}}

    assert "nested too deeply" in refused(value, Part()).message
    with pytest.raises(GatewayError, match="nested too deeply"):
        parse_json(b"[" * 100_000)


@pytest.mark.parametrize(
    "body",
    [b"{", b"nope", b'{"a":1}x', b"\xff", b'{"a":NaN}', b'{"a":1,"a":2}', b"1" * 5000, b"\xef\xbb\xbf{}", b"'a'"],
)
def test_not_json(body: bytes) -> None:
    """What is no JSON is the client's error."""
    with pytest.raises(GatewayError) as caught:
        parse_json(body)

    assert caught.value.reason == errors_pb2.ERROR_REASON_INVALID_REQUEST


def test_too_many_values() -> None:
    """A body of very many values is refused before they are made, and commas within texts do not count."""
    with pytest.raises(GatewayError) as caught:
        parse_json(b"[" + b"{}," * 200_000 + b"{}]")

    assert caught.value.reason == errors_pb2.ERROR_REASON_REQUEST_TOO_LARGE
    text = ',"[{' * 100_000
    assert {"a": text} == parse_json(json.dumps({"a": text}).encode())


@given(st.binary())
def test_any_bytes(body: bytes) -> None:
    """Any bytes are JSON, or refused."""
    assert failure(parse_json, body) in (None, errors_pb2.ERROR_REASON_INVALID_REQUEST)
