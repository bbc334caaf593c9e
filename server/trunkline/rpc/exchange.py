"""What every RPC has in common: its call is opened, let in, told how it ended, and closed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Final, NoReturn, cast

import grpc

from trunkline.call import Call, Loss, LossKind
from trunkline.core.entry import Entry
from trunkline.core.gateway import Gateway
from trunkline.core.report import add_attempts
from trunkline.errors import GatewayError, internal
from trunkline.rpc.status import to_trailers
from trunkline.v1.routes_pb2 import RouteReport

_LOG: Final = logging.getLogger("trunkline")

# The trailers of a call have room for about 8 KiB, most of which an error may need for itself.
_LOSSES: Final = 4096
_LOSSES_OF_FAILED: Final = 512


class Exchanges:
    """The RPCs that are running, each with a call of `entry`."""

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self._running = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def drained(self) -> None:
        """Wait until no RPC is running."""
        await self._idle.wait()

    def open(self, headers: Mapping[str, str]) -> Call:
        """The call of an RPC that begins."""
        call = self.entry.open("grpc", headers)
        self._running += 1
        self._idle.clear()
        return call

    def close(self, call: Call) -> None:
        """Close the call of an RPC that is over: its status is out, or there is no one left to tell it to."""
        self._running -= 1
        if not self._running:
            self._idle.set()
        self.entry.close(call)


class Exchange:
    """One RPC, as an async context: within it, `gateway` answers `call`.

    An exception that leaves it ends the RPC: a `GatewayError` with its status; a cancellation, which is how grpc tells
    that the client went away or that its deadline passed, in silence; any other with INTERNAL, and its traceback in the
    log.
    """

    __slots__ = ("_context", "_exchanges", "call", "gateway")

    call: Call
    gateway: Gateway

    def __init__(self, exchanges: Exchanges, context: grpc.aio.ServicerContext[Any, Any]) -> None:
        self._exchanges = exchanges
        self._context = context

    async def __aenter__(self) -> Exchange:
        context = self._context
        headers = cast("dict[str, str]", dict(context.invocation_metadata() or ()))
        self.call = self._exchanges.open(headers)
        context.add_done_callback(cast(Any, self._close))  # its stub takes no function at all
        try:
            self.gateway = await self._exchanges.entry.admit(self.call, headers, context.time_remaining())
        except Exception as error:  # noqa: BLE001 - any is told to the caller
            await self._fail(error)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._context.set_trailing_metadata(_trailers(self.call, _LOSSES))
        elif isinstance(error, asyncio.CancelledError):
            self.call.cancel()
        elif isinstance(error, grpc.aio.BaseError):
            # A write failed, as the client went away; grpc would take it for a fault and fill the log.
            self.call.cancel()
            raise asyncio.CancelledError from error
        elif isinstance(error, Exception):
            await self._fail(error)

    async def greet(self) -> None:
        """Tell the caller the id of the call ahead of the answer.

        Only streams do: it is a write of its own, which costs a unary call a fifth of its time and tells nothing
        sooner, as the id is in the trailers too.
        """
        await self._context.send_initial_metadata((("x-request-id", self.call.id),))

    async def _fail(self, error: Exception) -> NoReturn:
        if not isinstance(error, GatewayError):
            _LOG.error("call %s failed unexpectedly", self.call.id, exc_info=error)
            error = internal("The gateway failed. Its log tells why, under the id of this call.")
        self.call.fail(error)
        code, details, status = to_trailers(error, self.call)
        try:
            await self._context.abort(code, details, (*_trailers(self.call, _LOSSES_OF_FAILED), status))
        except grpc.aio.InternalError as gone:
            raise asyncio.CancelledError from gone  # as above: there is no one left to tell

    def _close(self, _context: object) -> None:
        self._exchanges.close(self.call)


def _trailers(call: Call, room: int) -> tuple[tuple[str, str | bytes], ...]:
    if not call.attempts:
        return (("x-request-id", call.id),)
    known: tuple[tuple[str, str | bytes], ...] = (
        ("x-request-id", call.id),
        ("x-trunkline-provider", _visible(call.provider)),
    )
    report = _report(call, room // 2)
    if report is not None:
        room -= 2 * len(report)
        known = (*known, ("trunkline-route-bin", report))
    losses = call.losses
    return (*known, *_losses(losses, room)) if losses else known


def _report(call: Call, room: int) -> bytes | None:
    """What was tried, and where more than one target was, also who might have been; None where there is no room."""
    if call.report is not None and len(call.attempts) > 1:
        whole = call.report().SerializeToString()
        if len(whole) <= room:
            return whole
    brief = RouteReport(mode=call.routing_mode, rule=call.rule)
    add_attempts(brief, call.attempts)
    told = brief.SerializeToString()
    return told if len(told) <= room else None


def _losses(losses: Sequence[Loss], room: int) -> Iterator[tuple[str, str]]:
    """The names of the lost fields by kind, as far as there is room for them; `...` tells that there was not."""
    for kind in LossKind:
        names = ""
        for loss in losses:
            if loss.kind is not kind:
                continue
            name = _visible(loss.field)
            room -= len(name) + 1
            if room < 0:
                names += ",..." if names else "..."
                break
            names += f",{name}" if names else name
        if names:
            yield f"x-trunkline-{kind.value}", names


def _visible(text: str) -> str:
    """`text` with what metadata cannot hold written as an escape."""
    return text if text.isascii() and text.isprintable() else text.encode("unicode_escape").decode("ascii")
