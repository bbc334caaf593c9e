"""Calls through the gateway, in its counters and in its ledger."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing
from typing import Any

import pytest
from accounting.conftest import Books, calling, plan, priced
from accounting.test_bill import embedding
from fakes.scripted_provider import Act, asking, events, failure

from trunkline.access.limits.model import HELD, TOTAL, Limit, Unit, rolling
from trunkline.accounting.accounts import Accounts
from trunkline.call import Attempt, Call
from trunkline.core.estimate import estimate_tokens
from trunkline.core.hedge import Hedge
from trunkline.core.plugin import Plugins, Prepared
from trunkline.errors import GatewayError
from trunkline.ledger.verify import verify
from trunkline.v1 import errors_pb2
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse, Usage
from trunkline.v1.embeddings_pb2 import EmbedResponse

LIMITS = [
    Limit("requests", Unit.REQUESTS, 10, rolling(60)),
    Limit("tokens", Unit.TOKENS, 100_000, rolling(60)),
    Limit("calls", Unit.CALLS, 10, HELD),
    Limit("streams", Unit.STREAMS, 10, HELD),
    Limit("money", Unit.MONEY, 10**10, TOTAL),
]
COST = 10 * 1_000 + 5 * 2_000
"""Of ten tokens read and five written."""


async def drain(books: Books, made: Any, **fields: Any) -> list[Any]:
    """All that is told of a streamed answer."""
    async with aclosing(books.gateway(made).stream_chat(asking(**fields), calling())) as batches:
        return [event async for batch in batches for event in batch]


async def test_a_call_is_counted_and_recorded(books: Books) -> None:
    """With its tokens, its price, its owner, its tags and its outcome."""
    books.limits += LIMITS
    call = calling()
    await books.gateway(plan(priced())).chat(asking(metadata={"job": "7"}), call)
    assert await books.used() == [1, 15, 0, 0, COST]
    entry = await books.entry()
    assert (entry.call_id, entry.surface, entry.operation, entry.model) == ("req_1", "grpc", "chat", "m")
    assert (entry.owner.key_id, entry.owner.team_id, entry.owner.caller) == ("key_1", "team_1", "alice's")
    assert (entry.usage.input_tokens, entry.usage.output_tokens) == (10, 5)
    assert (entry.cost.input_nanos, entry.cost.output_nanos, entry.cost.total_nanos) == (10_000, 10_000, COST)
    assert (entry.outcome, entry.price_version, entry.provider) == ("ok", "v1", "a")
    assert not entry.usage_estimated
    assert dict(entry.metadata) == {"job": "7"}
    assert list(entry.tags) == ["batch"]
    assert [one.outcome for one in entry.attempts] == ["ok"]
    assert call.limits["x-ratelimit-remaining-requests"] == "9"


async def test_a_stream_is_counted_and_recorded(books: Books) -> None:
    """As an answer in one piece."""
    books.limits += LIMITS
    await drain(books, plan(priced()))
    assert await books.used() == [1, 15, 0, 0, COST]
    entry = await books.entry()
    assert (entry.operation, entry.streamed, entry.cost.total_nanos) == ("stream_chat", True, COST)
    assert entry.HasField("first_event_ms")


async def test_while_it_runs_the_upper_bound_is_reserved(books: Books) -> None:
    """What it may cost is not there for others."""
    books.limits += LIMITS
    made = plan(priced(acts=[Act([events()[:2]], hangs=True)], request=asking(max_output_tokens=1000)))
    stream = books.gateway(made).stream_chat(asking(max_output_tokens=1000), calling())
    await anext(stream)
    requests, tokens, calls, streams, money = await books.used()
    assert (requests, calls, streams) == (1, 1, 1)
    assert tokens == estimate_tokens(asking())
    assert money >= 1000 * 2_000
    await stream.aclose()


async def test_every_attempt_is_recorded_with_what_it_cost(books: Books) -> None:
    """One that failed before it answered costs nothing, one that broke off what had come of it."""
    text = [events("x" * 400)[:3]]
    first = priced("a", [failure()])
    second = priced("b", [Act(text, error=failure(errors_pb2.ERROR_REASON_INVALID_REQUEST))])
    with pytest.raises(GatewayError):
        await drain(books, plan(first, second))
    entry = await books.entry()
    assert [one.provider for one in entry.attempts] == ["a", "b"]
    assert not entry.attempts[0].HasField("usage")
    broken = entry.attempts[1]
    assert (broken.usage_estimated, entry.usage_estimated) == (True, True)
    assert broken.usage.output_tokens == 100
    assert entry.cost.total_nanos == broken.cost.total_nanos == estimate_tokens(asking()) * 1_000 + 100 * 2_000
    assert (entry.outcome, broken.outcome) == ("invalid_request", "invalid_request")


async def test_the_loser_of_a_hedge_is_paid_for(books: Books) -> None:
    """Where it had begun to answer, which the caller did not see."""
    slow = priced("a", [Act([events("x" * 400)[:3]], wait=0.05, hangs=True)])
    slow.target.provider._acts[0].wait = 30  # type: ignore[attr-defined]  # it is asked, and answers nothing in time
    await drain(books, plan(slow, priced("b"), hedge=Hedge(delay=0.001)))
    entry = await books.entry()
    assert {one.provider: one.outcome for one in entry.attempts} == {"a": "abandoned", "b": "ok"}
    assert entry.cost.total_nanos == COST


async def test_a_caller_who_goes_away_pays_for_what_came(books: Books) -> None:
    """By an estimate, marked as such; he does not wait for that, and his slots come free."""
    books.limits += LIMITS
    made = plan(priced(acts=[Act([events("x" * 400)[:3]], hangs=True)]))
    stream = books.gateway(made).stream_chat(asking(), calling())
    await anext(stream)
    await stream.aclose()
    await books.accounts.left()
    entry = await books.entry()
    assert (entry.outcome, entry.usage_estimated, entry.attempts[0].outcome) == ("cancelled", True, "abandoned")
    assert entry.usage.output_tokens == 100
    assert await books.used() == [1, entry.usage.input_tokens + 100, 0, 0, entry.cost.total_nanos]
    assert entry.cost.total_nanos > 100 * 2_000


async def test_a_caller_who_goes_away_before_an_answer_pays_nothing(books: Books) -> None:
    """Nobody knows of anything that was made for him."""
    made = plan(priced())
    asked = asyncio.Event()

    async def silent(*_: object) -> ChatResponse:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    made.legs[0].candidates[0].target.provider.chat = silent  # type: ignore[method-assign]
    task = asyncio.create_task(books.gateway(made).chat(asking(), calling()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await books.accounts.left()
    entry = await books.entry()
    assert (entry.outcome, entry.cost.total_nanos) == ("cancelled", 0)


async def test_a_caller_who_goes_away_while_his_call_is_recorded(books: Books) -> None:
    """A record that was begun is ended: nothing stays open, and nobody is asked."""
    books.limits += LIMITS
    made = plan(priced())
    reached, gate = threading.Event(), threading.Event()
    write = books.disk.write

    def held(*args: Any) -> None:
        reached.set()
        gate.wait()
        write(*args)

    books.disk.write = held  # type: ignore[method-assign]
    task = asyncio.create_task(books.gateway(made).chat(asking(), calling()))
    await asyncio.to_thread(reached.wait)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    gate.set()
    await books.accounts.left()
    assert books.ledger.journal.open_calls == 0
    assert (await books.entry()).outcome == "cancelled"
    assert await books.used() == [1, 0, 0, 0, 0]


async def test_the_end_is_told_after_the_commit(books: Books) -> None:
    """A stream whose record is not on the disk yet does not end."""
    reached, gate = threading.Event(), threading.Event()
    sync = books.disk.sync

    def held(descriptor: int) -> None:
        reached.set()
        gate.wait()
        sync(descriptor)

    books.disk.sync = held  # type: ignore[method-assign]
    ended = asyncio.create_task(drain(books, plan(priced())))
    await asyncio.to_thread(reached.wait)
    assert not ended.done()
    gate.set()
    assert await ended


async def test_what_cannot_be_recorded_is_an_error(books: Books) -> None:
    """A caller is not told an end that may be lost."""
    books.disk.failing_syncs = 100
    with pytest.raises(GatewayError) as caught:
        await drain(books, plan(priced()))
    assert caught.value.reason == errors_pb2.ERROR_REASON_UNAVAILABLE
    books.disk.failing_syncs = 0


async def test_a_full_disk_takes_no_calls(books: Books) -> None:
    """Nothing is sent to a provider, and nothing stays reserved."""
    books.limits += LIMITS
    books.disk.failing_syncs = 100
    made = plan(priced())
    with pytest.raises(GatewayError):
        await drain(books, made)
    before = await books.used()
    with pytest.raises(GatewayError) as caught:
        await drain(books, made)
    assert caught.value.reason == errors_pb2.ERROR_REASON_UNAVAILABLE
    assert await books.used() == before
    assert len(made.legs[0].candidates[0].target.provider.requests) == 1  # type: ignore[attr-defined]
    books.disk.failing_syncs = 0


async def test_a_refused_call_reaches_nobody(books: Books) -> None:
    """Neither a provider nor the ledger; how the limits stand is told all the same."""
    books.limits.append(Limit("requests", Unit.REQUESTS, 1, rolling(60), owner="team"))
    made = plan(priced())
    await drain(books, made)
    call = calling()
    with pytest.raises(GatewayError) as caught:
        await books.gateway(made).chat(asking(), call)
    assert caught.value.reason == errors_pb2.ERROR_REASON_RATE_LIMITED
    assert "The team's limit of 1 request a minute is reached" in caught.value.message
    assert caught.value.retry_after is not None
    assert call.limits["x-ratelimit-remaining-requests"] == "0"
    assert len(made.legs[0].candidates[0].target.provider.requests) == 1  # type: ignore[attr-defined]
    assert len(await books.entries()) == 1


@pytest.mark.parametrize(
    ("unpriced", "limited", "taken"),
    [
        ("allow", True, True),
        ("refuse_limited", True, False),
        ("refuse_limited", False, True),
        ("refuse", False, False),
    ],
)
async def test_models_without_a_price(books: Books, unpriced: Any, limited: bool, taken: bool) -> None:
    """They are refused as the configuration says, and never recorded as free."""
    limits = LIMITS if limited else LIMITS[:2]
    accounts = Accounts(books.limiter, lambda caller: limits, books.ledger, unpriced)
    gateway = Books(accounts, books.limiter, books.ledger, books.database, books.disk, limits).gateway(
        plan(priced(price=None))
    )
    if not taken:
        with pytest.raises(GatewayError) as caught:
            await gateway.chat(asking(), calling())
        assert (caught.value.reason, caught.value.param) == (errors_pb2.ERROR_REASON_UNSUPPORTED, "model")
        return
    await gateway.chat(asking(), calling())
    entry = await books.entry()
    assert (entry.price_version, entry.cost.total_nanos) == ("", 0)
    assert not entry.attempts[0].HasField("cost")


async def test_counting_tokens_is_not_recorded(books: Books) -> None:
    """It is a request like any other, and costs nothing."""
    books.limits += LIMITS
    await books.gateway(plan(priced())).count_tokens(asking(), calling())
    assert await books.used() == [1, 0, 0, 0, 0]
    assert await books.entries() == []


async def test_embeddings_are_recorded(books: Books) -> None:
    """With what their provider told that it read."""
    asked = embedding("Hi")
    made = plan(priced(request=asked))

    async def embed(request: Any, attempt: Any) -> EmbedResponse:
        response = EmbedResponse(model="m", usage={"input_tokens": 3})
        response.embeddings.add(values=[1.0])
        return response

    made.legs[0].candidates[0].target.provider.embed = embed  # type: ignore[method-assign]
    await books.gateway(made).embed(asked, calling())
    entry = await books.entry()
    assert (entry.operation, entry.usage.input_tokens, entry.cost.total_nanos) == ("embed", 3, 3_000)
    assert not entry.usage_estimated


async def test_counts_beyond_what_a_record_holds(books: Books) -> None:
    """However much providers say that they wrote, the call is recorded, settled, and holds no slot any more."""
    books.limits += LIMITS
    most = 2**31 - 1
    call = calling()
    for _ in range(2):
        attempt = Attempt(call, "a", "m", usage=Usage(input_tokens=most, output_tokens=most), whole=True)
        attempt.first_event = attempt.ended = attempt.started
        call.attempts.append(attempt)
    tab = await books.accounts.begin(call, plan(priced()))
    await tab.end()
    entry = await books.entry()
    assert entry.usage.output_tokens == most
    assert entry.cost.total_nanos == 2 * most * 3_000
    assert (await books.used())[2:4] == [0, 0]


async def test_a_providers_stray_bytes_are_recorded(books: Books) -> None:
    """Headers may hold bytes that are no text: the call is recorded, and settled."""
    books.limits += LIMITS
    call = calling()
    attempt = Attempt(call, "a", "m", upstream_id="req\udc80", usage=Usage(input_tokens=1, output_tokens=1), whole=True)
    call.attempts.append(attempt)
    tab = await books.accounts.begin(call, plan(priced()))
    await tab.end()
    entry = await books.entry()
    assert (entry.upstream_id, entry.attempts[0].upstream_id) == ("req?", "req?")
    assert (await books.used())[2:4] == [0, 0]


async def test_what_cannot_be_told_holds_nothing(books: Books) -> None:
    """A call whose record cannot be made fails, and leaves no slot behind."""
    books.limits += LIMITS
    with pytest.raises(UnicodeEncodeError):
        await books.accounts.begin(calling(model="\ud800"), plan(priced()))
    assert await books.used() == [1, 0, 0, 0, 0]


async def test_the_ledger_stays_whole(books: Books) -> None:
    """Whatever became of calls, the entries add up, those of calls that nobody ended among them."""
    books.limits += LIMITS
    for acts in (["Hello"], [failure()], [Act([events("x" * 40)[:3]], error=failure())]):
        try:
            await drain(books, plan(priced(acts=acts)))
        except GatewayError:
            continue
    await books.ledger.shipped()
    report = await verify(books.database)
    assert report.problems == []
    assert report.entries == 3


async def test_plugins_do_not_work_for_those_who_have_nothing_left(books: Books) -> None:
    """What costs something before the call itself is not done for a caller whose limit is used up."""
    worked: list[str] = []

    class Searching(Plugins):
        def concern(self, request: ChatRequest) -> bool:
            return True

        async def prepare(self, request: ChatRequest, call: Call, before: Prepared | None = None) -> Prepared:
            worked.append(call.id)
            return Prepared(request, {})

    books.limits.append(Limit("requests", Unit.REQUESTS, 1, rolling(60)))
    gateway = books.gateway(plan(priced(acts=("one", "two"))), Searching())
    await gateway.chat(asking(), calling())
    refused = calling()
    with pytest.raises(GatewayError) as raised:
        await gateway.chat(asking(), refused)

    assert raised.value.reason == errors_pb2.ERROR_REASON_RATE_LIMITED
    assert worked == ["req_1"]
    assert refused.limits["x-ratelimit-remaining-requests"] == "0"
