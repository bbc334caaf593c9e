"""The kinds of provider that have a fake: how each fake is brought to do what a test wants, and what each can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from fakes import (
    anthropic_server,
    aws_door,
    azure_server,
    bedrock_rules,
    cohere_server,
    deepseek_server,
    gemini_server,
    mistral_server,
    responses_server,
)
from fakes.anthropic_server import AnthropicServer
from fakes.azure_server import AzureServer
from fakes.bedrock_server import BedrockServer
from fakes.cohere_server import CohereServer
from fakes.deepseek_server import DeepSeekServer
from fakes.gemini_server import TOO_LONG, GeminiServer
from fakes.mistral_server import MistralServer
from fakes.responses_server import ResponsesServer
from fakes.sim_server import SimServer

Json = dict[str, Any]


@dataclass(frozen=True)
class Refusal:
    """What the gateway tells of an error: the reason, the provider's status, the seconds to wait, and words of its
    message."""

    reason: str
    status: int
    wait: float | None = None
    words: str = ""


@dataclass(frozen=True)
class Kind:
    """One kind of provider, as `ProviderConformance` asks it.

    A way is what the user says, or a model and what he says to it; it is `Hello` where none is named. `refusals` are
    the ways that end in an error. `end` are bytes of the event by which a stream is whole. `withheld` tells whether
    what may not be said comes as a finish reason or as an error.

    `reasoning` is `sealed` where what the model thought goes back with a signature that is checked, `open` where
    nothing is checked, `hidden` where nothing of it is told, `none` where the model cannot be asked to. `structured`
    tells whose work answers in JSON are, `stop` what becomes of stop sequences, `native_choices` whether one call
    brings several answers, and `by_address` whether images are fetched by the provider. `lost` are the fields of a
    request with everything in it that the target cannot take.
    """

    serve: Callable[[], AbstractAsyncContextManager[Any]]
    settings: Json
    model: str
    end: bytes
    wrong_key: Json
    ways: Mapping[str, str | tuple[str, str]]
    refusals: Mapping[str, Refusal]
    failing: str
    lost: frozenset[str]
    unknown_model: Refusal
    usage: Mapping[str, int] = field(default_factory=dict)
    withheld: Literal["finish", "error"] = "finish"
    reasoning: Literal["sealed", "open", "hidden", "none"] = "sealed"
    structured: Literal["native", "emulated"] = "native"
    stop: Literal["told", "met", "lost"] = "told"
    native_choices: bool = False
    by_address: bool = True
    frames: Literal["lines", "amazon"] = "lines"

    def way(self, name: str) -> tuple[str, str]:
        """The model, and the words that bring about `name`."""
        way = self.ways.get(name, "Hello")
        return (self.model, way) if isinstance(way, str) else way


_LIMITED = Refusal("RATE_LIMITED", 429, 7)

OPENAI = Kind(
    serve=SimServer,
    settings={"kind": "openai-compatible", "api_key": "sk-fake"},
    model="echo",
    end=b'"finish_reason":"stop"',
    wrong_key={},
    ways={
        "tools": ("tools-parallel", "Hello"),
        "forced": ("tool", "Hello"),
        "schema": ("json", "Hello"),
        "reasoning": ("reasoning", "Hello"),
        "withheld": ("fault/content-filter", "Hello"),
        "failing": ("fault/error-in-stream", "Hello there, this fails"),
        "unauthorized": ("fault/unauthorized", "Hello"),
        "limited": ("fault/rate-limit", "Hello"),
        "overloaded": ("fault/overloaded-503", "Hello"),
        "poor": ("fault/quota", "Hello"),
        "broken": ("fault/error-500", "Hello"),
        "long": ("fault/context-length", "Hello"),
    },
    refusals={
        "limited": Refusal("RATE_LIMITED", 429, 1),
        "overloaded": Refusal("PROVIDER_UNAVAILABLE", 503),
        "poor": Refusal("QUOTA_EXCEEDED", 429),
        "broken": Refusal("PROVIDER_FAILED", 500),
        "long": Refusal("CONTEXT_LENGTH_EXCEEDED", 400, words="8192 tokens"),
    },
    failing="PROVIDER_FAILED",
    lost=frozenset(),
    unknown_model=Refusal("NOT_FOUND", 404),
    withheld="error",
    reasoning="open",
    stop="met",
    native_choices=True,
)

ANTHROPIC = Kind(
    serve=AnthropicServer,
    settings={"kind": "anthropic", "api_key": anthropic_server.KEY},
    model="claude-opus-4-6",
    end=b'"type": "message_stop"',
    wrong_key={"api_key": "sk-ant-wrong"},
    ways={"tools": "tools", "reasoning": "tools", "withheld": "unsafe", "failing": "fails"},
    refusals={
        "limited": _LIMITED,
        "overloaded": Refusal("PROVIDER_UNAVAILABLE", 529),
        "long": Refusal("CONTEXT_LENGTH_EXCEEDED", 400, words="200001 tokens > 200000"),
    },
    failing="PROVIDER_UNAVAILABLE",
    lost=frozenset({"frequency_penalty", "presence_penalty", "seed", "logit_bias", "logprobs"}),
    unknown_model=Refusal("NOT_FOUND", 404),
    usage={"input_tokens": 20, "cached_input_tokens": 6, "cache_write_input_tokens": 4, "output_tokens": 5},
)

RESPONSES = Kind(
    serve=ResponsesServer,
    settings={"kind": "openai-responses", "api_key": responses_server.KEY},
    model="gpt-5.1",
    end=b'"type": "response.completed"',
    wrong_key={"api_key": "sk-wrong"},
    ways={"tools": "tools", "reasoning": "tools", "withheld": "unsafe", "failing": "errs"},
    refusals={
        "limited": _LIMITED,
        "poor": Refusal("QUOTA_EXCEEDED", 429),
        "long": Refusal("CONTEXT_LENGTH_EXCEEDED", 400, words="context window"),
        "fails": Refusal("PROVIDER_FAILED", 200),
    },
    failing="PROVIDER_FAILED",
    lost=frozenset({"frequency_penalty", "presence_penalty", "seed", "stop", "top_k", "logit_bias"}),
    unknown_model=Refusal("NOT_FOUND", 400),
    usage={
        "input_tokens": 20,
        "cached_input_tokens": 6,
        "cache_write_input_tokens": 4,
        "output_tokens": 5,
        "reasoning_output_tokens": 2,
    },
    stop="lost",
)

GEMINI = Kind(
    serve=GeminiServer,
    settings={"kind": "gemini", "api_key": gemini_server.KEY},
    model="gemini-3-flash",
    end=b'"finishReason"',
    wrong_key={"api_key": "AIza-wrong"},
    ways={"tools": "all", "reasoning": "all", "withheld": "blocked", "failing": "late error"},
    refusals={
        "slow down": Refusal("RATE_LIMITED", 429, 3),
        "overload": Refusal("PROVIDER_UNAVAILABLE", 503),
        "break": Refusal("PROVIDER_FAILED", 500),
        "too long": Refusal("CONTEXT_LENGTH_EXCEEDED", 400, words=TOO_LONG),
    },
    failing="PROVIDER_UNAVAILABLE",
    lost=frozenset({"user", "logit_bias", "parallel_tool_calls"}),
    unknown_model=Refusal("NOT_FOUND", 404),
    usage={"input_tokens": 20, "cached_input_tokens": 6, "output_tokens": 12, "reasoning_output_tokens": 7},
    native_choices=True,
    stop="met",
)

VERTEX = replace(GEMINI, settings={"kind": "vertex", "api_key": gemini_server.KEY})

BEDROCK = Kind(
    serve=BedrockServer,
    settings={"kind": "bedrock", "api_key": aws_door.BEARER},
    model=bedrock_rules.CLAUDE,
    end=b"messageStop",
    wrong_key={"api_key": "bedrock-api-key-wrong"},
    ways={"tools": "tools", "reasoning": "tools", "withheld": "unsafe", "failing": "fails"},
    refusals={
        "limited": Refusal("RATE_LIMITED", 429),
        "overloaded": Refusal("PROVIDER_UNAVAILABLE", 503),
        "poor": Refusal("QUOTA_EXCEEDED", 400),
        "slow": Refusal("PROVIDER_TIMEOUT", 408),
        "broken": Refusal("PROVIDER_FAILED", 424),
        "long": Refusal("CONTEXT_LENGTH_EXCEEDED", 400, words="250000 tokens > 200000 maximum"),
    },
    failing="PROVIDER_UNAVAILABLE",
    lost=frozenset({"frequency_penalty", "presence_penalty", "seed", "user", "logit_bias", "logprobs"}),
    unknown_model=Refusal("NOT_FOUND", 400),
    usage={"input_tokens": 20, "cached_input_tokens": 6, "cache_write_input_tokens": 4, "output_tokens": 5},
    by_address=False,
    frames="amazon",
)

NOVA = replace(
    BEDROCK,
    model=bedrock_rules.NOVA,
    lost=BEDROCK.lost | {"parallel_tool_calls"},
    reasoning="none",
    structured="emulated",
    stop="met",
)
"""A model of Amazon's own, which has neither reasoning nor schemas."""

_COHERE_REASONS = "command-a-reasoning-08-2025"

COHERE = Kind(
    serve=CohereServer,
    settings={"kind": "cohere", "api_key": cohere_server.KEY},
    model="command-a-03-2025",
    end=b'"type": "message-end"',
    wrong_key={"api_key": "co-wrong"},
    ways={
        "tools": "tools",
        "reasoning": (_COHERE_REASONS, "tools"),
        "image": ("command-a-vision-07-2025", "Hello"),
        "withheld": "unsafe",
        "failing": "fails",
    },
    refusals={
        "limited": _LIMITED,
        "overloaded": Refusal("PROVIDER_UNAVAILABLE", 503),
        "poor": Refusal("QUOTA_EXCEEDED", 402),
        "broken": Refusal("PROVIDER_FAILED", 500),
        "long": Refusal("CONTEXT_LENGTH_EXCEEDED", 400, words="288000 tokens"),
    },
    failing="PROVIDER_FAILED",
    lost=frozenset({"user", "logit_bias", "parallel_tool_calls", "top_logprobs"}),
    unknown_model=Refusal("NOT_FOUND", 404),
    usage={"input_tokens": 20, "cached_input_tokens": 6, "output_tokens": 5},
    reasoning="open",
    stop="met",
)

MISTRAL = Kind(
    serve=MistralServer,
    settings={"kind": "mistral", "api_key": mistral_server.KEY},
    model="mistral-small-latest",
    end=b'"finish_reason": "stop"',
    wrong_key={"api_key": "mistral-wrong"},
    ways={
        "tools": "tools",
        "reasoning": ("magistral-medium-latest", "tools"),
        "withheld": "unsafe",
        "failing": "fails",
    },
    refusals={
        "limited": _LIMITED,
        "overloaded": Refusal("PROVIDER_UNAVAILABLE", 503),
        "poor": Refusal("QUOTA_EXCEEDED", 402),
        "broken": Refusal("PROVIDER_FAILED", 500),
        "long": Refusal("CONTEXT_LENGTH_EXCEEDED", 400, words=mistral_server.TOO_LONG),
    },
    failing="PROVIDER_UNAVAILABLE",
    lost=frozenset({"user", "logit_bias"}),
    unknown_model=Refusal("NOT_FOUND", 400),
    usage={"input_tokens": 20, "cached_input_tokens": 6, "output_tokens": 5},
    stop="met",
    native_choices=True,
)

DEEPSEEK = Kind(
    serve=DeepSeekServer,
    settings={"kind": "deepseek", "api_key": deepseek_server.KEY},
    model="deepseek-v4-flash",
    end=b'"finish_reason": "stop"',
    wrong_key={"api_key": "sk-wrong"},
    ways={
        "tools": "tools",
        "reasoning": "tools",
        "image": ("deepseek-v4-flash-vision-exp", "Hello"),
        "withheld": "unsafe",
        "failing": "fails",
    },
    refusals={
        "limited": Refusal("RATE_LIMITED", 429),
        "overloaded": Refusal("PROVIDER_UNAVAILABLE", 503),
        "poor": Refusal("QUOTA_EXCEEDED", 402),
        "broken": Refusal("PROVIDER_FAILED", 500),
        "long": Refusal("CONTEXT_LENGTH_EXCEEDED", 400, words="131072 tokens"),
    },
    failing="PROVIDER_UNAVAILABLE",
    lost=frozenset({"logit_bias", "seed", "top_k", "parallel_tool_calls"}),
    unknown_model=Refusal("NOT_FOUND", 400),
    usage={"input_tokens": 20, "cached_input_tokens": 6, "output_tokens": 5, "reasoning_output_tokens": 2},
    reasoning="open",
    structured="emulated",
    stop="met",
)

AZURE = Kind(
    serve=AzureServer,
    settings={"kind": "azure", "api_key": azure_server.KEY},
    model="house-gpt",
    end=b'"finish_reason": "stop"',
    wrong_key={"api_key": "azure-wrong"},
    ways={"tools": "tools", "withheld": "filtered", "failing": "fails"},
    refusals={
        "limited": _LIMITED,
        "overloaded": Refusal("PROVIDER_UNAVAILABLE", 503),
        "poor": Refusal("QUOTA_EXCEEDED", 429),
        "broken": Refusal("PROVIDER_FAILED", 500),
        "long": Refusal("CONTEXT_LENGTH_EXCEEDED", 400, words="128000 tokens"),
    },
    failing="PROVIDER_FAILED",
    lost=frozenset({"top_k"}),
    unknown_model=Refusal("NOT_FOUND", 404),
    usage={"input_tokens": 20, "cached_input_tokens": 6, "output_tokens": 5},
    withheld="error",
    reasoning="hidden",
    stop="met",
    native_choices=True,
)

AZURE_BY_DEPLOYMENT = replace(AZURE, settings={**AZURE.settings, "options": {"api_version": "2024-10-21"}})
"""The API whose paths name the deployment."""
