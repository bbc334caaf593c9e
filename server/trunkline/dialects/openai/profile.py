"""What a server that speaks OpenAI's language takes and what it does not: data, not code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Literal

from trunkline.call import Loss, LossKind
from trunkline.dialects.emulate import Structured


@dataclass(frozen=True, slots=True)
class EmbeddingForm:
    """How a server differs: what it calls the length of the vectors, whether it takes `input_type` (`query` or
    `document`), whether it gives base64, which is a third of the bytes, and whether it takes tokens and `user`."""

    dimensions: str = "dimensions"
    input_type: bool = False
    base64: bool = False
    tokens: bool = True
    user: bool = True


PLAIN: Final = EmbeddingForm()
"""As OpenAI describes it, with numbers as numbers."""


@dataclass(frozen=True, slots=True)
class Profile:
    """How one server differs.

    `max_tokens` is the name of the token limit; `developer_role` tells whether it knows that role beside `system`;
    `reasoning` is the field that takes the assistant's earlier reasoning back, `thinking` where it is a block of the
    content (Mistral), None where nothing does; `effort` is the form that asks for reasoning, `any` where the caller's
    own is passed on; `structured_output` is what it has of JSON mode and JSON Schema, `fetches` the sorts of media that
    it takes by address; `cache_control` whether it takes Anthropic's cache marks; `stream_options` whether it can be
    asked for the usage of a stream; `completions` matches the names of the models that it serves by its own
    Completions, too; `unsupported` are fields of the request that it refuses; `embeddings` is how it embeds;
    `images` whether the assistant's messages may hold what it drew, under that name, as the user shows it otherwise;
    `chooses` whether it chooses among providers itself, and takes OpenRouter's `provider`.
    """

    max_tokens: Literal["max_completion_tokens", "max_tokens"] = "max_tokens"
    developer_role: bool = False
    reasoning: Literal["reasoning_content", "reasoning", "thinking"] | None = "reasoning_content"
    effort: Literal["any", "reasoning_effort", "reasoning", "thinking", "thinking_effort", "enable_thinking"] = "any"
    cache_control: bool = True
    stream_options: bool = True
    structured_output: Structured = "native"
    fetches: frozenset[str] = frozenset({"image", "video"})
    completions: re.Pattern[str] | None = None
    unsupported: frozenset[str] = frozenset()
    embeddings: EmbeddingForm = PLAIN
    images: bool = False
    chooses: bool = False


FOREIGN: Final = frozenset(
    {
        "client_metadata",
        "include",
        "include_reasoning",
        "models",
        "plugins",
        "provider",
        "route",
        "session_id",
        "text",
        "transforms",
        "truncation",
    }
)
"""Fields that clients send to routers, or know from Responses; a strict server refuses a request that has them."""

ANY_MODEL: Final = re.compile("")
"""Every name of a model, for `Profile.completions`."""

OPENAI = Profile(
    max_tokens="max_completion_tokens",
    developer_role=True,
    reasoning=None,
    effort="reasoning_effort",
    cache_control=False,
    completions=re.compile(r"gpt-3\.5-turbo-instruct|davinci-002|babbage-002"),
    unsupported=FOREIGN | {"top_k"},
    embeddings=EmbeddingForm(base64=True),
)
"""OpenAI itself."""


@dataclass(frozen=True, slots=True)
class Writing:
    """One request on its way to a server: what the server takes, and what it could not."""

    profile: Profile
    losses: list[Loss] = field(default_factory=list)

    def lose(self, name: str, kind: LossKind = LossKind.DROPPED) -> None:
        """Note that the field `name` was not written as it was."""
        loss = Loss(name, kind)
        if loss not in self.losses:
            self.losses.append(loss)
