"""The servers that speak OpenAI's language, a row for each: a new one is a new row, nothing else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from trunkline.config.model import ProviderConfig
from trunkline.dialects import deepseek, mistral
from trunkline.dialects.openai.profile import ANY_MODEL, OPENAI, EmbeddingForm, Profile
from trunkline.providers.aiohttp_transport import AiohttpTransport
from trunkline.providers.media_type import SORTS
from trunkline.providers.transport import Transport

_DEFAULT: Final = Profile()


@dataclass(frozen=True, slots=True)
class Preset:
    """What is known of one kind of server.

    `base_url` is empty where each installation has its own. `key_header` carries the key, after `key_prefix`.
    `needs_key` tells whether the server answers nobody without one, `responses` whether it speaks OpenAI's Responses,
    too: calls that came that way are asked that way.
    """

    base_url: str
    profile: Profile = _DEFAULT
    needs_key: bool = True
    key_header: str = "authorization"
    key_prefix: str = "Bearer "
    responses: bool = False


_LOCAL: Final = Profile(reasoning="reasoning_content", completions=ANY_MODEL)
_SILENT: Final = Profile(reasoning=None, effort="reasoning_effort", cache_control=False)
"""Takes no reasoning back and refuses fields that it does not know."""
_HOSTED: Final = replace(_SILENT, completions=ANY_MODEL)
"""As `_SILENT`, with Completions for every model."""

PRESETS: Final[dict[str, Preset]] = {
    "openai": Preset("https://api.openai.com/v1", OPENAI),
    "openai-compatible": Preset("", needs_key=False),
    "azure": Preset("", OPENAI, key_header="api-key", key_prefix=""),
    "mistral": Preset("https://api.mistral.ai/v1", mistral.PROFILE),
    "deepseek": Preset("https://api.deepseek.com", deepseek.PROFILE),
    "groq": Preset("https://api.groq.com/openai/v1", _SILENT),
    "xai": Preset("https://api.x.ai/v1", _SILENT, responses=True),
    "together": Preset("https://api.together.xyz/v1", _HOSTED),
    "fireworks": Preset("https://api.fireworks.ai/inference/v1", Profile(cache_control=False, completions=ANY_MODEL)),
    "cerebras": Preset("https://api.cerebras.ai/v1", _SILENT),
    "openrouter": Preset(
        "https://openrouter.ai/api/v1",
        Profile(
            reasoning="reasoning",
            effort="reasoning",
            completions=ANY_MODEL,
            fetches=SORTS,
            images=True,
            chooses=True,
        ),
        responses=True,
    ),
    "perplexity": Preset("https://api.perplexity.ai", replace(_SILENT, structured_output="schema")),
    "moonshot": Preset("https://api.moonshot.ai/v1", Profile(effort="thinking", cache_control=False)),
    "zai": Preset(
        "https://api.z.ai/api/paas/v4",
        Profile(effort="thinking", cache_control=False, structured_output="json_object"),
    ),
    "alibaba": Preset(
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1", Profile(effort="enable_thinking", cache_control=False)
    ),
    "nebius": Preset("https://api.studio.nebius.com/v1", _HOSTED),
    "novita": Preset("https://api.novita.ai/v3/openai", _HOSTED),
    "sambanova": Preset("https://api.sambanova.ai/v1", _SILENT),
    "huggingface": Preset("https://router.huggingface.co/v1", _SILENT),
    "voyage": Preset(
        "https://api.voyageai.com/v1",
        Profile(
            embeddings=EmbeddingForm(
                dimensions="output_dimension", input_type=True, base64=True, tokens=False, user=False
            )
        ),
    ),
    "vercel": Preset("https://ai-gateway.vercel.sh/v1", Profile(reasoning="reasoning", effort="reasoning")),
    "ollama": Preset("http://127.0.0.1:11434/v1", _LOCAL, needs_key=False),
    "vllm": Preset("http://127.0.0.1:8000/v1", _LOCAL, needs_key=False),
    "lmstudio": Preset("http://127.0.0.1:1234/v1", _LOCAL, needs_key=False),
    "llama-cpp": Preset("", _LOCAL, needs_key=False),
}
"""Kind -> what is known of it. A row's address and headers can be overridden by the configuration."""


def reach(name: str, config: ProviderConfig, preset: Preset) -> tuple[Transport, dict[str, str]]:
    """What leads to the server that `config` describes, and the headers that each request bears.

    Raises `ValueError`, naming the setting, where the address or the key is missing.
    """
    base_url = str(config.base_url) if config.base_url is not None else preset.base_url
    if not base_url:
        raise ValueError(f"`providers.{name}.base_url` is required for the kind `{config.kind}`.")
    if config.api_key is None and preset.needs_key and config.base_url is None:
        raise ValueError(f"`providers.{name}.api_key` is required for the kind `{config.kind}`.")
    transport = AiohttpTransport(base_url, timeout=config.timeout, connect_timeout=config.connect_timeout)
    return transport, headers_of(config, preset)


def headers_of(config: ProviderConfig, preset: Preset) -> dict[str, str]:
    """The configured headers by lower-case name, and the key in its own unless they hold that."""
    headers = {key.lower(): value.get_secret_value() for key, value in config.headers.items()}
    if config.api_key is not None:
        headers.setdefault(preset.key_header, preset.key_prefix + config.api_key.get_secret_value())
    return headers
