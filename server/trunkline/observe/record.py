"""The structured record of one call, as the log holds it: no prompt, no answer, no key."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from msgspec import Struct

from trunkline.call import Attempt, Call, Loss
from trunkline.errors import GatewayError
from trunkline.observe.outcome import attempt_ended, attempt_outcome, ended, level, trace_id
from trunkline.observe.redaction import NAME_LIMIT, clip, told
from trunkline.v1.chat_pb2 import FinishReason

LIST_LIMIT: Final = 16
"""The most attempts, and the most losses, in one record: the last ones and the first ones."""

FINISH: Final = {number: name.removeprefix("FINISH_REASON_").lower() for name, number in FinishReason.items()}
"""The word for each finish reason, such as `stop`."""


class ErrorRecord(Struct, omit_defaults=True):
    """Why a call or an attempt failed."""

    reason: str
    message: str
    param: str = ""
    provider_status: int | None = None


class AttemptRecord(Struct, omit_defaults=True):
    """One request to one provider. `error` is told where it is not the call's own."""

    provider: str
    model: str
    outcome: str
    seconds: float
    status: int | None = None
    upstream_id: str = ""
    error: ErrorRecord | None = None


class LossRecord(Struct):
    """A field of the request that the target could not take as it was."""

    field: str
    kind: str


class CallRecord(Struct, omit_defaults=True, tag_field="event", tag="call"):
    """One call. `time` is when it ended; fields without a value are left out."""

    time: datetime
    level: str
    id: str
    surface: str
    outcome: str
    seconds: float
    operation: str = ""
    caller: str = ""
    model: str = ""
    served_model: str = ""
    provider: str = ""
    first_token_seconds: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_input_tokens: int | None = None
    cache_write_input_tokens: int | None = None
    reasoning_output_tokens: int | None = None
    finish: str = ""
    error: ErrorRecord | None = None
    attempts: list[AttemptRecord] = []
    attempts_omitted: int = 0
    losses: list[LossRecord] = []
    losses_omitted: int = 0
    plugins: dict[str, int] = {}
    trace_id: str = ""


def call_record(call: Call) -> CallRecord:
    """The record of a call that ended."""
    seconds = ended(call) - call.started
    attempts = call.attempts
    record = CallRecord(
        time=datetime.fromtimestamp(call.start_time + seconds, UTC),
        level=level(call),
        id=call.id,
        surface=call.surface,
        outcome=call.outcome,
        seconds=round(seconds, 6),
        operation=call.operation,
        caller=clip(call.caller, NAME_LIMIT),
        model=clip(call.model, NAME_LIMIT),
        served_model=clip(call.served_model, NAME_LIMIT),
        provider=call.provider,
        attempts=[_attempt_record(attempt) for attempt in attempts[-LIST_LIMIT:]],
        attempts_omitted=max(0, len(attempts) - LIST_LIMIT),
        plugins=call.plugins,
        trace_id=trace_id(call),
    )
    # A unary answer comes at once: the time to its first token would be its whole time.
    if call.first_event is not None and call.operation == "stream_chat":
        record.first_token_seconds = round(call.first_event - call.started, 6)
    if call.finish is not None:
        record.finish = FINISH.get(call.finish, "other")
    if call.usage is not None:
        _count(record, call)
    if call.error is not None:
        record.error = _error_record(call.error)
    losses = call.losses
    if losses:
        record.losses = [_loss_record(loss) for loss in losses[:LIST_LIMIT]]
        record.losses_omitted = max(0, len(losses) - LIST_LIMIT)
    return record


def _attempt_record(attempt: Attempt) -> AttemptRecord:
    record = AttemptRecord(
        provider=attempt.provider,
        model=clip(attempt.model, NAME_LIMIT),
        outcome=attempt_outcome(attempt),
        seconds=round(attempt_ended(attempt) - attempt.started, 6),
        status=attempt.status,
        upstream_id=clip(attempt.upstream_id, NAME_LIMIT),
    )
    if attempt.error is not None and attempt.error is not attempt.call.error:
        record.error = _error_record(attempt.error)
    return record


def _error_record(error: GatewayError) -> ErrorRecord:
    return ErrorRecord(
        reason=error.name,
        message=told(error),
        param=clip(error.param or "", NAME_LIMIT),
        provider_status=error.provider_status,
    )


def _loss_record(loss: Loss) -> LossRecord:
    return LossRecord(clip(loss.field, NAME_LIMIT), loss.kind.value)


def _count(record: CallRecord, call: Call) -> None:
    usage = call.usage
    if usage is None:
        return
    if usage.HasField("input_tokens"):
        record.input_tokens = usage.input_tokens
    if usage.HasField("output_tokens"):
        record.output_tokens = usage.output_tokens
    if usage.HasField("cached_input_tokens"):
        record.cached_input_tokens = usage.cached_input_tokens
    if usage.HasField("cache_write_input_tokens"):
        record.cache_write_input_tokens = usage.cache_write_input_tokens
    if usage.HasField("reasoning_output_tokens"):
        record.reasoning_output_tokens = usage.reasoning_output_tokens
