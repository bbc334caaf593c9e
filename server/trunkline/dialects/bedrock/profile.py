"""What a model behind Converse takes and what it does not: data, not code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final, Literal

from trunkline.call import Loss, LossKind
from trunkline.dialects import anthropic

Reasoning = Literal["thinking", "reasoningConfig", "reasoning_effort", "reasoning_config"]

ALL: Final = frozenset({"auto", "any", "tool"})


@dataclass(frozen=True, slots=True)
class Profile:
    """How one family of models differs. The defaults are for one that nothing is known of.

    `claude` is what is known of a model of Anthropic's, None for all others. `reasoning` is the field of
    `additionalModelRequestFields` that asks for reasoning, `top_k` the path of that setting there; None where there is
    none. `system` tells whether it takes instructions, `choices` which kinds of `toolChoice`, `one_call` whether it can
    be held to one call at a time, `cache` whether it takes cache points, `tool_cache` among its tools too, and
    `cache_ttl` with a time. `structured` tells whether it holds its answer to a JSON Schema, `result_status` whether
    it can be told that a tool failed.
    """

    claude: anthropic.Profile | None = None
    reasoning: Reasoning | None = None
    top_k: tuple[str, ...] | None = None
    system: bool = True
    choices: frozenset[str] = ALL
    one_call: bool = False
    cache: bool = False
    tool_cache: bool = False
    cache_ttl: bool = False
    structured: bool = True
    result_status: bool = False


_CLAUDE: Final = Profile(
    claude=anthropic.Profile(),
    reasoning="thinking",
    top_k=("top_k",),
    cache=True,
    tool_cache=True,
    cache_ttl=True,
    result_status=True,
)
_NOVA: Final = Profile(top_k=("inferenceConfig", "topK"), cache=True, structured=False, result_status=True)
_OLD: Final = Profile(choices=frozenset(), structured=False)
_BARE: Final = replace(_OLD, system=False)
_MISTRAL: Final = Profile(choices=frozenset({"auto", "any"}), top_k=("top_k",))

_FAMILIES: Final[tuple[tuple[re.Pattern[str], Profile], ...]] = tuple(
    (re.compile(pattern), profile)
    for pattern, profile in (
        (r"amazon\.nova-2", replace(_NOVA, reasoning="reasoningConfig")),
        (r"amazon\.nova", _NOVA),
        (r"amazon\.titan|ai21\.j2|cohere\.command-(?:text|light)", _BARE),
        (r"cohere\.", replace(_OLD, top_k=("k",))),
        (r"ai21\.|meta\.|deepseek\.r1|writer\.", _OLD),
        (r"mistral\.(?:mistral-7b|mixtral)", replace(_MISTRAL, system=False, structured=False)),
        (r"mistral\.(?:mistral-(?:large|small)-24|pixtral)", replace(_MISTRAL, structured=False)),
        (r"mistral\.", _MISTRAL),
        (r"openai\.", Profile(reasoning="reasoning_effort")),
        (r"qwen\.", Profile(reasoning="reasoning_config")),
        (r"(?:deepseek|google|minimax|moonshot|moonshotai|nvidia|zai)\.", Profile()),
    )
)
"""A piece of the model's id -> what is known of it; the first that is found counts."""


@lru_cache(maxsize=1024)
def profile_of(model: str) -> Profile:
    """What is known of `model`: an id, with or without the region in front, or an ARN.

    An id that tells nothing, such as that of an inference profile of one's own, is taken for one of Claude's, as most
    are.
    """
    if "claude" not in model:
        for pattern, profile in _FAMILIES:
            if pattern.search(model):
                return profile
        return _CLAUDE
    claude = anthropic.profile_of(model)
    return replace(
        _CLAUDE,
        claude=claude,
        structured=claude.structured,
        one_call=claude.structured and "opus-4-1" not in model,
    )


@dataclass(slots=True)
class Writing:
    """One request on its way to a model: what the model takes, what it could not, and the names of the documents."""

    profile: Profile
    losses: list[Loss] = field(default_factory=list)
    documents: set[str] = field(default_factory=set)

    def lose(self, name: str, kind: LossKind = LossKind.DROPPED) -> None:
        """Note that the field `name` was not written as it was."""
        loss = Loss(name, kind)
        if loss not in self.losses:
            self.losses.append(loss)
