"""The contract's side: what the dialect can hold comes back the same."""

from __future__ import annotations

from dialects.gemini.cases import (
    framed,
    read_answer,
    read_request,
    read_stream,
    whole,
    write_answer,
    write_request,
    write_stream,
)
from dialects.gemini.values import requests, responses
from hypothesis import given

from trunkline.call import Loss
from trunkline.core.check import Limits, check
from trunkline.core.fold import unfold
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse


@given(request=requests())
def test_requests_come_back(request: ChatRequest) -> None:
    """Writing and reading a request gives it back, and nothing is lost on the way."""
    losses: list[Loss] = []
    written = write_request(request, losses=losses)
    again = read_request(written)
    again.model = request.model
    assert again == request
    assert losses == []
    check(again, Limits(messages=100, tools=100))


@given(response=responses())
def test_answers_come_back(response: ChatResponse) -> None:
    """Writing and reading an answer gives it back."""
    assert read_answer(write_answer(response)) == response


@given(response=responses())
def test_streamed_answers_come_back(response: ChatResponse) -> None:
    """Streaming an answer to a client, who reads it, gives it back."""
    assert whole(read_stream(framed(write_stream(unfold(response))))) == response
