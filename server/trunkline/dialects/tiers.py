"""What the usual class of service is called, which OpenAI has another word for than Anthropic and Google."""

from __future__ import annotations

from typing import Final

_OPENAI: Final = {"standard": "default"}
_OTHERS: Final = {"default": "standard"}


def openai_tier(word: str) -> str:
    """The class that answered, in OpenAI's word: clients of typed languages bear no other."""
    return _OPENAI.get(word, word)


def standard_tier(word: str) -> str:
    """The class that answered, in Anthropic's and Google's word."""
    return _OTHERS.get(word, word)
