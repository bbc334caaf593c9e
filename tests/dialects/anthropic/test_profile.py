"""What is known of each model, by any of its names."""

from __future__ import annotations

import pytest

from trunkline.dialects.anthropic.profile import Profile, profile_of

UNKNOWN = Profile()


@pytest.mark.parametrize(
    "names",
    [
        (
            "claude-sonnet-4-5",
            "claude-sonnet-4-5-20250929",
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "claude-sonnet-4-5@20250929",
            "anthropic/claude-sonnet-4.5",
            "arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-haiku-4-5-20251001-v1:0",
        ),
        ("claude-opus-4-20250514", "claude-opus-4@20250514", "claude-opus-4-0", "claude-4-opus-20250514"),
        ("claude-3-5-sonnet-20241022", "claude-3-5-sonnet-latest", "anthropic.claude-3-5-haiku-20241022-v1:0"),
        ("claude-3-haiku-20240307", "claude-3-opus-latest", "claude-2.1", "anthropic.claude-v2", "claude-instant-1.2"),
        ("claude-opus-5-5", "claude-opus-5-9", "claude-opus-7", "claude-fable-5-1", "claude-mythos-5-2"),
        ("claude-opus-4-6", "claude-sonnet-4-6", "claude-mythos-preview"),
    ],
)
def test_names_of_the_same_model(names: tuple[str, ...]) -> None:
    """Dates, regions, clouds and the order of the words make no difference; newer versions are like the newest."""
    assert len({profile_of(name) for name in names}) == 1
    assert profile_of(names[0]) != UNKNOWN


@pytest.mark.parametrize("name", ["", "gpt-5", "kimi-k2", "claude", "claude-unheard-of", "claude-novel-9"])
def test_names_that_tell_nothing(name: str) -> None:
    """Nothing is assumed of a model that is not known."""
    assert profile_of(name) == UNKNOWN


@pytest.mark.parametrize(
    ("name", "thinking", "thinks", "sampling", "forced", "structured", "turns"),
    [
        ("claude-3-haiku-20240307", "", False, True, True, False, False),
        ("claude-3-7-sonnet-latest", "enabled disabled", False, True, True, False, False),
        ("claude-opus-4-1", "enabled disabled", False, True, True, True, False),
        ("claude-haiku-4-5", "enabled disabled", False, True, True, True, False),
        ("claude-sonnet-4-6", "enabled adaptive disabled", False, True, True, True, False),
        ("claude-opus-4-7", "adaptive disabled", False, False, True, True, False),
        ("claude-opus-4-8", "adaptive disabled", False, False, True, True, True),
        ("claude-opus-5", "adaptive disabled", True, False, True, True, True),
        ("claude-sonnet-5", "adaptive disabled", True, False, True, True, False),
        ("claude-fable-5", "adaptive", True, False, True, True, True),
        ("claude-opus-5-5", "adaptive", True, False, False, True, True),
        ("claude-sonnet-5-5", "adaptive between_tools", True, False, False, True, False),
        ("claude-haiku-5-5", "adaptive disabled", True, False, True, True, False),
    ],
)
def test_what_is_known(
    name: str, thinking: str, thinks: bool, sampling: bool, forced: bool, structured: bool, turns: bool
) -> None:
    """The facts by model, as Anthropic publishes them."""
    known = profile_of(name)
    assert known.thinking == frozenset(thinking.split())
    facts = (known.thinks, known.sampling, known.forced_tools, known.structured, known.system_turns)
    assert facts == (thinks, sampling, forced, structured, turns)
