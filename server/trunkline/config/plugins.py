"""What the gateway itself does to requests and to answers."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from trunkline.config.section import Section
from trunkline.config.values import Count, Seconds, Size, Text, Token, Url

_MIB = 1024 * 1024

PluginName = Literal["file-parser", "web", "context-compression", "response-healing"]


class SearchConfig(Section):
    """The search engine of the plugin `web`. Without `kind` there is none."""

    kind: Literal["searxng", "tavily", "brave", "exa"] | None = Field(default=None, description="Which engine it is.")
    base_url: Url | None = Field(
        default=None, description="Where it is. Of `searxng` it must be told; the others know their own."
    )
    api_key: Token | None = Field(default=None, description="The key to present to it; `searxng` needs none.")
    timeout: Seconds = Field(default=10.0, description="Seconds within which it must have answered.")
    max_results: Count = Field(default=10, description="The most results that a request may ask for.")
    max_result_characters: Count = Field(
        default=2000, description="The most characters of one result that a model is told."
    )


class FilesConfig(Section):
    """The files that the plugin `file-parser` reads. Each PDF is read by a process of its own."""

    max_bytes: Size = Field(default=32 * _MIB, description="The largest file, in bytes.")
    max_files: Count = Field(default=16, description="The most files of one request.")
    max_pages: Count = Field(default=1000, description="The most pages of a PDF; what follows is left out.")
    max_characters: Count = Field(
        default=2_000_000, description="The most characters of one file's text; what follows is left out."
    )
    timeout: Seconds = Field(default=30.0, description="Seconds within which a PDF must have been read.")
    max_memory_bytes: Size = Field(default=1024 * _MIB, description="The most memory for reading a PDF, in bytes.")
    at_once: Count = Field(default=2, description="How many PDFs are read at the same time, for all callers.")


class PluginsConfig(Section):
    """What the gateway itself does to requests and to answers."""

    allow: list[PluginName] = Field(
        default=["file-parser", "web", "context-compression", "response-healing"],
        description="The plugins that requests may ask for.",
    )
    default: list[PluginName] = Field(
        default_factory=list, description="The plugins that are at work without being asked for."
    )
    options: dict[PluginName, dict[Text, Any]] = Field(
        default_factory=dict,
        description="The options of plugins by the plugin's name, as a request would give them; those of a request "
        "go before.",
    )
    search: SearchConfig = Field(default=SearchConfig(), description="The search engine of the plugin `web`.")
    files: FilesConfig = Field(
        default=FilesConfig(),
        description="The files that the plugin `file-parser` reads. Each PDF is read by a process of its own.",
    )
