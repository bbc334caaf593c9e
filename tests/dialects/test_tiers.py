"""The usual class of service has the word of the language that tells of it."""

from __future__ import annotations

import json

import pytest

from trunkline.dialects import anthropic, gemini, openai, responses
from trunkline.v1.chat_pb2 import ChatRequest, ChatResponse


@pytest.mark.parametrize("word", ["standard", "default"])
def test_each_language_has_its_own_word(word: str) -> None:
    """Whoever answered; all other words stay."""
    for said, theirs, ours in ((word, "standard", "default"), ("priority", "priority", "priority")):
        answer = ChatResponse(id="a", model="m", service_tier=said)
        answer.choices.add().finish.reason = 1
        answer.usage.input_tokens = 1
        assert openai.encode_response(answer)["service_tier"] == ours
        assert responses.encode_response(answer, ChatRequest())["service_tier"] == ours
        assert f'"service_tier": "{theirs}"' in json.dumps(anthropic.encode_response(answer))
        assert f'"serviceTier": "{theirs}"' in json.dumps(gemini.encode_response(answer))
