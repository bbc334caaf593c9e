"""What OpenAI's models refuse while they reason: clients send it to every model alike."""

from __future__ import annotations

import re
from typing import Final

from trunkline.call import Loss
from trunkline.dialects.wire import Json

_ALWAYS: Final = re.compile(r"o\d|codex-mini|gpt-5(?!\.\d|-chat)")
"""The models that reason whatever they are asked."""

_AT_TIMES: Final = re.compile(r"gpt-(?:5\.\d|[6-9])(?!.*-chat)")
"""The models that reason where an effort is asked for, and take everything where it is not."""

_SAMPLING: Final[dict[str, Json]] = {"temperature": 1, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0}
"""Field -> the one value that changes nothing."""

_REFUSED: Final = (*_SAMPLING, "logprobs", "top_logprobs", "logit_bias")

_INCLUDED: Final = "message.output_text.logprobs"
"""What Responses are asked for log probabilities by."""


def drop_refused(wire: dict[str, Json], model: str, losses: list[Loss]) -> None:
    """Take out of a request, of Chat Completions or of Responses, what `model` would refuse it for.

    The rules are those of OpenAI's guide to its latest models, "parameter compatibility".
    """
    if not _reasons(wire, model):
        return
    for name in _REFUSED:
        value = wire.pop(name, None)
        if value is not None and value != _SAMPLING.get(name, False):
            losses.append(Loss(name))
    included = wire.get("include")
    if isinstance(included, list) and _INCLUDED in included:
        wire["include"] = [one for one in included if one != _INCLUDED]


def _reasons(wire: dict[str, Json], model: str) -> bool:
    if _ALWAYS.match(model) is not None:
        return True
    reasoning = wire.get("reasoning")
    effort = wire.get("reasoning_effort") or (reasoning.get("effort") if isinstance(reasoning, dict) else None)
    return effort not in (None, "none") and _AT_TIMES.match(model) is not None
