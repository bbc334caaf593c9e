"""What a model behind the Messages API takes and what it does not: data, not code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Final

from trunkline.call import Loss, LossKind


@dataclass(frozen=True, slots=True)
class Profile:
    """How one model differs. The defaults are for a model that nothing is known of.

    `max_tokens` is asked for where the caller sets no limit, as the API needs one. `thinking` are the types of
    `thinking` that are taken, `thinks` whether it thinks where nothing is said, `efforts` the words that
    `output_config.effort` takes, least first. `sampling` tells whether it takes temperature, top_p and top_k,
    `sampling_both` whether temperature and top_p together; `forced_tools` whether a tool can be forced, `structured`
    whether it holds its answer to a JSON Schema, and `system_turns` whether system messages may stand between turns.
    """

    max_tokens: int = 8192
    thinking: frozenset[str] = frozenset({"enabled", "disabled"})
    thinks: bool = False
    efforts: tuple[str, ...] = ()
    sampling: bool = True
    sampling_both: bool = True
    forced_tools: bool = True
    structured: bool = True
    system_turns: bool = False

    @property
    def adaptive(self) -> bool:
        """Whether the model can be left to decide how much to think."""
        return "adaptive" in self.thinking


_LEGACY: Final = Profile(max_tokens=4096, thinking=frozenset(), structured=False)
_CLAUDE_3_5: Final = replace(_LEGACY, max_tokens=8192)
_CLAUDE_3_7: Final = Profile(max_tokens=32000, structured=False)
_CLAUDE_4_1: Final = replace(_CLAUDE_3_7, sampling_both=False, structured=True)
_OPUS_4_5: Final = replace(_CLAUDE_4_1, efforts=("low", "medium", "high"))
_CLAUDE_4_6: Final = replace(
    _CLAUDE_4_1,
    thinking=frozenset({"enabled", "adaptive", "disabled"}),
    efforts=("low", "medium", "high", "max"),
)
_CLAUDE_4_7: Final = replace(
    _CLAUDE_4_6,
    thinking=frozenset({"adaptive", "disabled"}),
    efforts=("low", "medium", "high", "xhigh", "max"),
    sampling=False,
)
_CLAUDE_5: Final = replace(_CLAUDE_4_7, thinks=True)
_ALWAYS: Final = replace(_CLAUDE_5, thinking=frozenset({"adaptive"}), system_turns=True)
"""Thinks whatever is said."""
_UNFORCED: Final = replace(_ALWAYS, forced_tools=False)

_FAMILIES: Final[dict[str, tuple[tuple[tuple[int, int], Profile], ...]]] = {
    "opus": (
        ((5, 5), _UNFORCED),
        ((5, 0), replace(_CLAUDE_5, system_turns=True)),
        ((4, 8), replace(_CLAUDE_4_7, system_turns=True)),
        ((4, 7), _CLAUDE_4_7),
        ((4, 6), _CLAUDE_4_6),
        ((4, 5), _OPUS_4_5),
        ((4, 1), _CLAUDE_4_1),
        ((4, 0), _CLAUDE_3_7),
    ),
    "sonnet": (
        ((5, 5), replace(_UNFORCED, thinking=frozenset({"adaptive", "between_tools"}), system_turns=False)),
        ((5, 0), _CLAUDE_5),
        ((4, 6), _CLAUDE_4_6),
        ((4, 5), _CLAUDE_4_1),
        ((3, 7), _CLAUDE_3_7),
        ((3, 5), _CLAUDE_3_5),
    ),
    "haiku": (
        ((5, 0), _CLAUDE_5),
        ((4, 5), _CLAUDE_4_1),
        ((3, 5), _CLAUDE_3_5),
    ),
    "fable": (((5, 1), _UNFORCED), ((5, 0), _ALWAYS)),
    "mythos": (((5, 1), _UNFORCED), ((5, 0), _ALWAYS), ((0, 0), _CLAUDE_4_6)),
}
"""Family -> the version from which on, and what is known of it; the newest first."""

_NAME: Final = re.compile(
    r"claude-(?:(?P<family>[a-z]{4,})-?)?(?:v?(?P<major>\d)(?:[-.](?P<minor>\d)(?!\d))?)?(?:-(?P<late>[a-z]{4,}))?"
)
"""Both orders of a name, `claude-3-5-sonnet-...` and `claude-sonnet-4-5-...`, with whatever stands around it."""

_UNKNOWN: Final = Profile()


@lru_cache(maxsize=1024)
def profile_of(model: str) -> Profile:
    """What is known of `model`, under its name at Anthropic, Bedrock or Vertex AI. A version that is newer than every
    row of its family is taken for the newest."""
    match = _NAME.search(model)
    if match is None:
        return _UNKNOWN
    family = match["family"] if match["family"] in _FAMILIES else match["late"]
    version = (int(match["major"] or 0), int(match["minor"] or 0))
    for least, profile in _FAMILIES.get(family or "", ()):
        if version >= least:
            return profile
    return _LEGACY if match["major"] is not None and version < (4, 0) else _UNKNOWN


@dataclass(slots=True)
class Writing:
    """One request on its way to a model: what the model takes, and what it could not."""

    profile: Profile
    losses: list[Loss] = field(default_factory=list)

    def lose(self, name: str, kind: LossKind = LossKind.DROPPED) -> None:
        """Note that the field `name` was not written as it was."""
        loss = Loss(name, kind)
        if loss not in self.losses:
            self.losses.append(loss)
