"""The simulator behind the seam that real providers are reached by."""

from __future__ import annotations

from collections.abc import Mapping

from trunkline.errors import GatewayError, provider_failed
from trunkline.providers.sim.occupancy import Occupancy
from trunkline.providers.sim.simulator import Answer, Simulator
from trunkline.v1 import errors_pb2


class SimTransport:
    """Sends requests to a `Simulator` in this process; a `trunkline.providers.transport.Transport`."""

    def __init__(self, simulator: Simulator | None = None) -> None:
        self._simulator = simulator if simulator is not None else Simulator()
        self._occupancy = Occupancy()

    @property
    def open_replies(self) -> int:
        """How many requests are not answered yet or have a reply that is neither read to its end nor closed."""
        return self._occupancy.count

    async def replies_reach(self, count: int) -> None:
        """Return once `open_replies` is `count`."""
        await self._occupancy.reach(count)

    async def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None) -> SimReply:
        """Send a request. Raises `GatewayError` (PROVIDER_UNAVAILABLE) where the script refuses the connection."""
        self._occupancy.enter()
        try:
            answer = await self._simulator.answer(method, path, body)
        except ConnectionRefusedError:
            self._occupancy.leave()
            raise GatewayError(
                errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
                "The provider cannot be reached: the connection was refused.",
            ) from None
        except BaseException:
            self._occupancy.leave()
            raise
        return SimReply(answer, self._occupancy)

    async def close(self) -> None:
        """Nothing is held between requests."""


class SimReply:
    """A reply of the simulator; a `trunkline.providers.transport.Reply`. One task reads it and closes it."""

    def __init__(self, answer: Answer, occupancy: Occupancy) -> None:
        self._answer = answer
        self._body = answer.body
        self._occupancy: Occupancy | None = occupancy

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._answer.status

    @property
    def headers(self) -> Mapping[str, str]:
        """The headers, by lower-case name."""
        return self._answer.headers

    def chunks(self) -> SimReply:
        """The body as the script sends it. Raises `GatewayError` (PROVIDER_FAILED) where it breaks."""
        return self

    def __aiter__(self) -> SimReply:
        return self

    async def __anext__(self) -> bytes:
        try:
            return await anext(self._body)
        except StopAsyncIteration:
            self._leave()
            raise
        except ConnectionResetError:
            self._leave()
            raise provider_failed("The connection to the provider broke before its answer was complete.") from None

    async def close(self) -> None:
        """End the script."""
        await self._body.aclose()
        self._leave()

    def _leave(self) -> None:
        if self._occupancy is not None:
            self._occupancy.leave()
            self._occupancy = None
