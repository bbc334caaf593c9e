"""Models that reason are not told what they refuse."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.call import Loss
from trunkline.dialects.openai.refused import drop_refused

ASKED: dict[str, Any] = {"temperature": 0, "top_p": 1, "frequency_penalty": 0.5, "logprobs": True}


@pytest.mark.parametrize(
    ("model", "effort", "refused"),
    [
        ("o3", None, True),
        ("o4-mini-2025-04-16", None, True),
        ("gpt-5", None, True),
        ("gpt-5-mini", "minimal", True),
        ("gpt-5-chat-latest", None, False),
        ("gpt-5.1", None, False),
        ("gpt-5.1", "none", False),
        ("gpt-5.1", "low", True),
        ("gpt-5.2-chat-latest", "low", False),
        ("gpt-4.1", None, False),
        ("omni", None, False),
    ],
)
def test_models_that_reason(model: str, effort: str | None, refused: bool) -> None:
    """What they refuse is left out, and named where it would have changed something; the words of other models, and
    of those that do not reason now, stay."""
    chat = {"messages": [], **ASKED, **({"reasoning_effort": effort} if effort else {})}
    included = ["message.output_text.logprobs", "reasoning.encrypted_content"]
    responses = {"input": [], **ASKED, "include": included, **({"reasoning": {"effort": effort}} if effort else {})}
    for body in (chat, responses):
        losses: list[Loss] = []
        drop_refused(body, model, losses)

        assert ("temperature" in body) is not refused
        assert [loss.field for loss in losses] == (["temperature", "frequency_penalty", "logprobs"] if refused else [])
    assert responses["include"] == included[1 if refused else 0 :]
