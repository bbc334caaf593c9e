"""What of a stranger's text operators may read: cut to size, without secrets, without words of a prompt."""

from __future__ import annotations

import re
from typing import Final

from trunkline.errors import GatewayError
from trunkline.v1 import errors_pb2

NAME_LIMIT: Final = 200
"""The most characters of a name that a caller or a provider made up."""

TEXT_LIMIT: Final = 1000
"""The most characters of an error's message."""

WITHHELD: Final = "The provider's words are withheld: they may quote the request."

ABOUT_REQUEST: Final = frozenset(
    {
        errors_pb2.ERROR_REASON_INVALID_REQUEST,
        errors_pb2.ERROR_REASON_CONTEXT_LENGTH_EXCEEDED,
        errors_pb2.ERROR_REASON_CONTENT_FILTERED,
        errors_pb2.ERROR_REASON_UNSUPPORTED,
    }
)
"""The reasons whose texts, where a provider wrote them, may quote what the caller sent."""

_UNSEEN = re.compile("[\x80-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

_SECRET = re.compile(
    r"""
      (?P<lead> \b(?:bearer|basic)\s+ (?!(?:auth|YOUR_KEY)[\s)])  # which is how callers are told to send theirs
        | \b(?:x-)?(?:goog-)?api[-_ ]?key (?:\s+provided)? ["']? \s*[:=]\s* ["']?
        | [?&]key= )
      [^\s"',;&]+
    | \b(?:sk|pk|rk|gsk|csk|xai|pplx|tgp|fw|hf|nvapi|tk)[-_][\w*.-]{8,}
    | \bAIza[\w*-]{16,}
    """,
    re.IGNORECASE | re.VERBOSE,
)


def clip(text: str, limit: int) -> str:
    """`text`, at most `limit` characters of it, fit to be encoded as UTF-8."""
    if len(text) > limit:
        text = text[: limit - 3] + "..."
    if text.isascii():
        return text  # JSON writes its control characters as escapes
    # Headers can hold lone surrogates, which no encoder takes; terminals obey some of the rest.
    return _UNSEEN.sub("\ufffd", text.encode("utf-8", "replace").decode())


def scrub(text: str, limit: int) -> str:
    """`text` cut to `limit` characters, with everything that looks like a key left out."""
    # The search sees a bounded text, and one a little longer than what is kept, so that no key is cut in two unseen.
    return clip(_SECRET.sub(lambda found: (found["lead"] or "") + "[key]", text[: 2 * limit]), limit)


def told(error: GatewayError) -> str:
    """The message of `error`, as operators may read it.

    A provider that refuses a request often quotes it, so those words go to the caller alone.
    """
    if error.provider is not None and error.reason in ABOUT_REQUEST:
        return WITHHELD
    return scrub(error.message, TEXT_LIMIT)
