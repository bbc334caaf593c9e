"""How the wire breaks: each fault takes the plan of an answer and spoils it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from trunkline.providers.sim.errors import ApiError
from trunkline.providers.sim.parameters import Parameter, Values
from trunkline.providers.sim.plan import Break, Frame, Plan, Step
from trunkline.providers.sim.scripts import Said, Script, Turn

_SSE_ERROR: Final = ApiError(500, "The model failed while it wrote.", type="server_error", code="model_failed").body()

_HTML: Final = (
    b"<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad Gateway</h1></center>\r\n"
    b"<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
)

_SCRIPTS_OF_THE_WORLD: Final = "Grüße, Ελλάδα, Привет, שלום, नमस्ते, 日本語, 한국어, 🚂🛤️ and 👩\u200d👩\u200d👧."

_LINE: Final = 1 << 16
"""How long a word of a huge answer is, in characters."""

_AFTER: Final = Parameter("how many events come first; the last ones never do", 3, 0, 1_000_000, whole=True)

_MEGABYTES: Final = Parameter("the size of the answer, in millions of bytes", 16, 1, 100, whole=True)


@dataclass(frozen=True, slots=True)
class Fault:
    """A way to break. It spoils what `script` says, where it has one; else what the script in the name says."""

    about: str
    spoil: Callable[[Plan, Values], Plan]
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    script: Script | None = None


def _refuse(plan: Plan, values: Values) -> Plan:
    return replace(plan, before=Break.CUT)


def _hang(plan: Plan, values: Values) -> Plan:
    return replace(plan, before=Break.SILENCE)


def _answers(error: ApiError) -> Callable[[Plan, Values], Plan]:
    def spoil(plan: Plan, values: Values) -> Plan:
        return error_plan(error, plan.headers)

    return spoil


def error_plan(error: ApiError, headers: Mapping[str, str]) -> Plan:
    """The plan of an answer that is an error; `headers` are those that it shares with any other answer."""
    body = error.body()
    told = {**headers, "content-type": "application/json", "content-length": str(len(body))}
    return Plan(error.status, told, [Frame(body, "done")])


def _rate_limit(plan: Plan, values: Values) -> Plan:
    error = ApiError(
        429,
        "Rate limit reached for requests. Please try again later.",
        type="requests",
        code="rate_limit_exceeded",
    )
    seconds = values["retry_after"]
    return error_plan(
        error,
        {
            **plan.headers,
            "retry-after": f"{seconds:g}",
            "x-ratelimit-limit-requests": "500",
            "x-ratelimit-remaining-requests": "0",
            "x-ratelimit-reset-requests": f"{seconds:g}s",
        },
    )


def _html(plan: Plan, values: Values) -> Plan:
    headers = {**plan.headers, "content-type": "text/html", "content-length": str(len(_HTML))}
    return Plan(502, headers, [Frame(_HTML, "done")])


def _empty(plan: Plan, values: Values) -> Plan:
    return replace(plan, headers={**plan.headers, "content-length": "0"}, steps=[])


def _wrong_content_type(plan: Plan, values: Values) -> Plan:
    return replace(plan, headers={**plan.headers, "content-type": "text/plain; charset=utf-8"})


def _body(spoil: Callable[[Iterator[Frame], Values, bool], Iterator[Step]]) -> Callable[[Plan, Values], Plan]:
    """A fault of the body: `spoil` takes the frames, a unary body as two halves, and whether it is a stream."""

    def spoiled(plan: Plan, values: Values) -> Plan:
        headers = {name: value for name, value in plan.headers.items() if name != "content-length"}
        return replace(plan, headers=headers, steps=spoil(_frames(plan), values, plan.stream))

    return spoiled


def _frames(plan: Plan) -> Iterator[Frame]:
    for frame in plan.steps:
        if not isinstance(frame, Frame):
            raise AssertionError("what is planned so far breaks nothing")
        if plan.stream:
            yield frame
        else:
            half = len(frame.data) // 2
            yield Frame(frame.data[:half], "delta")
            yield Frame(frame.data[half:], "done")


def _until(frames: Iterator[Frame], after: float) -> Generator[Frame, None, Frame]:
    """The first `after` frames, fewer where the answer would be whole by then; returns the one that would follow."""
    for count, frame in enumerate(frames):
        if count >= after or frame.kind != "delta":
            return frame
        yield frame
    raise AssertionError("every answer ends with a frame that is no delta")


def _stall(frames: Iterator[Frame], values: Values, stream: bool) -> Iterator[Step]:
    yield from _until(frames, values["after"])
    yield Break.SILENCE


def _cut(frames: Iterator[Frame], values: Values, stream: bool) -> Iterator[Step]:
    broken = yield from _until(frames, values["after"])
    yield _half(broken)
    yield Break.CUT


def _cut_clean(frames: Iterator[Frame], values: Values, stream: bool) -> Iterator[Step]:
    yield from _until(frames, values["after"])


def _truncated(frames: Iterator[Frame], values: Values, stream: bool) -> Iterator[Step]:
    broken = yield from _until(frames, values["after"])
    yield _half(broken)


def _half(frame: Frame) -> Frame:
    return Frame(frame.data[: len(frame.data) // 2], frame.kind)


def _malformed(frames: Iterator[Frame], values: Values, stream: bool) -> Iterator[Step]:
    if not stream:
        yield Frame(b'{"id":"chatcmpl-sim","choices":[{"index":0,}', "done")
        return
    broken = yield from _until(frames, values["after"])
    yield Frame(b'data: {"id":"chatcmpl-sim","choices":[{"index":0,}\n\n', "delta")
    yield broken
    yield from frames


def _error_inside(frames: Iterator[Frame], values: Values, stream: bool) -> Iterator[Step]:
    if not stream:
        yield Frame(_SSE_ERROR, "done")
        return
    yield from _until(frames, values["after"])
    yield Frame(b"data: " + _SSE_ERROR + b"\n\n", "done")


def _duplicate_usage(frames: Iterator[Frame], values: Values, stream: bool) -> Iterator[Step]:
    for frame in frames:
        yield frame
        if frame.kind == "usage":
            yield frame


def _slow_drip(frames: Iterator[Frame], values: Values, stream: bool) -> Iterator[Step]:
    for frame in frames:
        for byte in frame.data:
            yield Frame(bytes((byte,)), frame.kind)


def _split_utf8(frames: Iterator[Frame], values: Values, stream: bool) -> Iterator[Step]:
    for frame in frames:
        start = 0
        for end, byte in enumerate(frame.data):
            # A boundary on each side of every byte that is not ASCII.
            if byte >= 0x80:
                if start < end:
                    yield Frame(frame.data[start:end], frame.kind)
                yield Frame(frame.data[end : end + 1], frame.kind)
                start = end + 1
        if start < len(frame.data):
            yield Frame(frame.data[start:], frame.kind)


def _as_it_is(plan: Plan, values: Values) -> Plan:
    return plan


def _say_huge(turn: Turn, choice: int) -> Said:
    word = "x" * (_LINE - 1) + " "
    size = int(turn.values["megabytes"]) * 1_000_000
    return Said(text=(word * (size // _LINE + 1))[:size])


def _say_huge_line(turn: Turn, choice: int) -> Said:
    return Said(text="x" * (int(turn.values["megabytes"]) * 1_000_000))


def _say_world(turn: Turn, choice: int) -> Said:
    return Said(text=_SCRIPTS_OF_THE_WORLD)


_SPLIT = {"after": _AFTER}
_HUGE = {"megabytes": _MEGABYTES}

FAULTS: Final[Mapping[str, Fault]] = {
    "refuse": Fault("refuses the connection", _refuse),
    "hang": Fault("takes the request and never answers", _hang),
    "rate-limit": Fault(
        "429, rate limit reached, with `retry-after`",
        _rate_limit,
        {"retry_after": Parameter("seconds to wait before the next try", 1, 0, 3600)},
    ),
    "quota": Fault(
        "429, no credit left",
        _answers(
            ApiError(
                429,
                "You exceeded your current quota, please check your plan and billing details.",
                type="insufficient_quota",
                code="insufficient_quota",
            )
        ),
    ),
    "error-500": Fault(
        "500, the server had an error",
        _answers(ApiError(500, "The server had an error while processing your request.", type="server_error")),
    ),
    "overloaded-503": Fault(
        "503, the server is overloaded",
        _answers(
            ApiError(503, "The engine is currently overloaded, please try again later.", type="server_error"),
        ),
    ),
    "unauthorized": Fault(
        "401, the key is wrong",
        _answers(ApiError(401, "Incorrect API key provided.", code="invalid_api_key")),
    ),
    "forbidden": Fault(
        "403, the key may not use the model",
        _answers(
            ApiError(403, "You are not allowed to use this model.", type="permission_error", code="permission_denied"),
        ),
    ),
    "not-found": Fault(
        "404, no such model",
        _answers(ApiError(404, "The model does not exist or you do not have access to it.", code="model_not_found")),
    ),
    "invalid-request": Fault(
        "400, a parameter is wrong",
        _answers(ApiError(400, "Unsupported value: 'temperature'.", param="temperature", code="unsupported_value")),
    ),
    "context-length": Fault(
        "400, the conversation is too long",
        _answers(
            ApiError(
                400,
                "This model's maximum context length is 8192 tokens. Please reduce the length of the messages.",
                param="messages",
                code="context_length_exceeded",
            )
        ),
    ),
    "content-filter": Fault(
        "400, the content is not allowed",
        _answers(
            ApiError(400, "The prompt was filtered by the content policy.", param="prompt", code="content_filter"),
        ),
    ),
    "too-large": Fault(
        "413, the request is too large",
        _answers(ApiError(413, "The request is too large.", code="request_too_large")),
    ),
    "html-error": Fault("502, with the HTML page of a proxy", _html),
    "stall": Fault("begins, then falls silent", _body(_stall), _SPLIT),
    "cut": Fault("begins, then the connection breaks within an event", _body(_cut), _SPLIT),
    "cut-clean": Fault("begins, then ends properly, but too early", _body(_cut_clean), _SPLIT),
    "truncated-json": Fault("ends properly, but within the JSON", _body(_truncated), _SPLIT),
    "malformed-line": Fault("one event, or the whole unary body, is not JSON", _body(_malformed), _SPLIT),
    "error-in-stream": Fault("200, then an error object in place of the rest", _body(_error_inside), _SPLIT),
    "duplicate-usage": Fault("tells the usage of a stream twice", _body(_duplicate_usage)),
    "slow-drip": Fault(
        "one byte at a time",
        _body(_slow_drip),
        {"delay": Parameter("seconds between the bytes", 0.002, 0, 60)},
    ),
    "split-utf8": Fault(
        "splits its body at every byte that is not ASCII", _body(_split_utf8), script=Script("", _say_world)
    ),
    "huge": Fault("writes many megabytes", _as_it_is, _HUGE, Script("", _say_huge)),
    "huge-line": Fault("writes many megabytes in a single event", _as_it_is, _HUGE, Script("", _say_huge_line)),
    "empty": Fault("200, with an empty body", _empty),
    "wrong-content-type": Fault("a good answer, called plain text", _wrong_content_type),
}
"""Every fault, by the name after `fault/`."""
