"""Every error that was recorded of a provider is read as what it is, by the provider that would have got it.

What the fakes refuse goes through `conformance`.
"""

from __future__ import annotations

from datetime import timedelta

import pytest
from fakes.sim_server import SimServer
from providers import house
from providers.house import asking
from wire.recordings import Recording, recording, recordings

from trunkline.config.model import ProviderConfig
from trunkline.errors import GatewayError
from trunkline.providers.build import KINDS, make_provider
from trunkline.providers.http import HttpProvider

REASONS = {
    "PROVIDER_UNAUTHENTICATED": [
        "anthropic/messages/dd-trace-anthropic-completion-invalid-api-key",
        "anthropic/messages/dd-trace-anthropic-v1-messages-post-a6302ed3",
        "azure/chat/ruby-llm-error-handling-with-azure-grok-4-1-fast-non-reasoning-raises-appropriate",
        "bedrock/converse/ruby-llm-error-handling-with-bedrock-amazon-nova-2-lite-v1-0-raises-appropriate-a",
        "deepseek/chat/ruby-llm-error-handling-with-deepseek-deepseek-chat-raises-appropriate-auth-error",
        "google/generateContent/firebase-unary-failure-generativelanguage-api-not-enabled",
        "google/generateContent/langchaingo-google-aierror-handling",
        "groq/chat/otel-python-completion-api-error",
        "mistral/chat/ruby-llm-error-handling-with-mistral-mistral-small-latest-raises-appropriate-auth",
        "ollama/chat/ruby-llm-error-handling-with-ollama-cloud-gpt-oss-120b-raises-appropriate-auth-er",
        "openai/chat/dd-trace-completion-error",
        "openai/chat/ruby-llm-error-handling-with-openai-gpt-5-nano-raises-appropriate-auth-error",
        "openrouter/chat/ruby-llm-error-handling-with-openrouter-claude-haiku-4-5-raises-appropriate-auth",
        "perplexity/chat/ruby-llm-error-handling-with-perplexity-sonar-raises-appropriate-auth-error",
        "vertex/embeddings/crewai-crew-memory-with-google-vertex-embedder-14",
        "xai/chat/ruby-llm-error-handling-with-xai-grok-4-1-fast-non-reasoning-raises-appropriate-a",
    ],
    "PROVIDER_FAILED": [
        "anthropic/messages/documented-500-api-error",
    ],
    "NOT_FOUND": [
        "anthropic/messages/otel-python-sync-messages-create-api-error-3",
        "anthropic/messages/otel-python-sync-messages-create-api-error",
        "azure/chat/openllmetry-reasoning-1",
        "azure/embeddings/elastic-otel-model-not-found-azure-provider-embeddings",
        "bedrock/converse/openinference-should-handle-api-error-scenarios",
        "bedrock/converse-stream/pydantic-ai-bedrock-streaming-error",
        "google/generateContent/braintrust-error-handling",
        "google/generateContent/firebase-unary-failure-unknown-model",
        "groq/chat/pydantic-ai-groq-tool-regular-error",
        "openai/chat/openllmetry-agents-and-tools-2",
        "openai/embeddings/ai-gateway-embeddings-unknown-model",
        "openai/embeddings/pydantic-ai-embeddings-test-open-ai-test-embed-error",
        "openai/responses/dd-trace-response-create-error",
        "vertex/generateContent/firebase-unary-failure-context-cache-not-found",
        "vertex/streamGenerateContent/firebase-streaming-failure-unknown-model",
    ],
    "RATE_LIMITED": [
        "azure/chat/ruby-llm-real-error-scenarios-azure-grok-4-1-fast-non-reasoning-handles-context-l",
        "bedrock/converse/reported-429-throttling",
        "google/generateContent/ruby-llm-real-error-scenarios-gemini-gemini-2-5-flash-handles-context-length-exce-v2",
        "mistral/chat/reported-429-message-only",
        "openai/chat/ruby-llm-real-error-scenarios-openai-gpt-5-nano-handles-context-length-exceeded-e",
        "openrouter/chat/langchaingo-open-router-streaming-1",
        "openrouter/chat/pydantic-ai-openrouter-errors-raised",
        "together/chat/reported-429-credit-limit",
        "vertex/generateContent/firebase-unary-failure-quota-exceeded",
    ],
    "INVALID_REQUEST": [
        "bedrock/converse/pydantic-ai-multimodal-tool-return-matrix-direct-uploaded-file-document-bedrock-nova-1",
        "bedrock/converse/pydantic-ai-multimodal-tool-return-matrix-direct-uploaded-file-video-bedrock-nova-1",
        "bedrock/converse/pydantic-ai-multimodal-tool-return-matrix-tool-return-content-uploaded-file-document-1",
        "cohere/v2-chat/langchain-cohere-streaming-tool-call-1",
        "google/streamGenerateContent/firebase-streaming-failure-image-rejected",
        "groq/chat/pydantic-ai-groq-tool-use-failed-error",
        "huggingface/chat/hf-js-tape-2e0134943b",
        "huggingface/chat/hf-js-tape-ea7f34cdc9",
        "hyperbolic/chat/hf-js-tape-63ed3f76e2",
        "openai/chat/hf-js-tape-a5c77198e4",
        "openai/chat/pydantic-ai-multimodal-tool-return-matrix-tool-return-content-url-audio-openai-chat-2",
        "openai/responses/pydantic-ai-multimodal-tool-return-matrix-direct-url-audio-openai-responses-1",
        "openai/responses/pydantic-ai-multimodal-tool-return-matrix-tool-return-content-url-force-download-aud-2",
        "openai/responses/pydantic-ai-openai-responses-model-http-error",
        "openai/responses/pydantic-ai-openai-responses-thinking-with-modified-history-1",
        "vertex/generateContent/otel-python-generate-content-invalid-role",
        "vertex/generateContent/pydantic-ai-multimodal-tool-return-matrix-direct-url-image-google-vertex-2",
        "vertex/generateContent/pydantic-ai-multimodal-tool-return-matrix-tool-return-content-url-image-google-verte-3",
        "vertex/generateContent/pydantic-ai-multimodal-tool-returns-model-sees-multiple-images-google-vertex-1",
        "vertex/streamGenerateContent/firebase-streaming-failure-image-rejected",
        "vllm/chat/ogx-rec-fec515fa65cf",
    ],
    "UNSUPPORTED": [
        "bedrock/converse/pydantic-ai-multimodal-tool-return-matrix-direct-uploaded-file-image-bedrock-claude-1",
        "bedrock/converse/pydantic-ai-multimodal-tool-return-matrix-tool-return-content-url-video-bedrock-clau-2",
        "openai/chat/ai-gateway-bad-request",
        "openai/chat/pydantic-ai-openai-o1-mini-system-role-system",
        "openai/chat/vercel-ai-reasoning-model-legacy-parameter-error",
    ],
    "CONTEXT_LENGTH_EXCEEDED": [
        "bedrock/converse/ruby-llm-real-error-scenarios-bedrock-amazon-nova-2-lite-v1-0-handles-context-len",
        "cohere/v2-chat/ruby-llm-real-error-scenarios-cohere-command-a-03-2025-handles-context-length-exc",
        "ollama/chat/ruby-llm-real-error-scenarios-ollama-cloud-gpt-oss-120b-handles-context-length-ex",
        "openai/responses/ruby-llm-real-error-scenarios-openai-gpt-5-nano-handles-context-length-exceeded-e",
    ],
    "PROVIDER_UNAVAILABLE": [
        "google/generateContent/reported-503-overloaded",
        "openai/chat/openinference-crewai-instrumentation-context-attributes-5",
    ],
    "QUOTA_EXCEEDED": [
        "openai/responses/vercel-ai-openai-error-1",
    ],
}
"""Reason -> the errors that are told in place of an answer."""

STREAMS = {
    "anthropic/messages/documented-overloaded-mid-stream": "PROVIDER_UNAVAILABLE",
    "anthropic/messages/vercel-ai-spliced-message-start-1": "PROVIDER_FAILED",
    "bedrock/converse-stream/documented-throttling-mid-stream": "RATE_LIMITED",
    "groq/chat/pydantic-ai-groq-tool-use-failed-error-streaming": "INVALID_REQUEST",
    "openai/responses/prism-stream-unknown-error-responses-1": "PROVIDER_FAILED",
    "openrouter/chat/pydantic-ai-openrouter-stream-error": "INVALID_REQUEST",
}
"""The streams that end in an error -> its reason. In one, an answer begins within another."""

WAITS = {
    "google/generateContent/ruby-llm-real-error-scenarios-gemini-gemini-2-5-flash-handles-context-length-exce-v2": 48,
}
"""The errors that tell when to try again -> the seconds."""

NUMBERS = {
    "cohere/v2-chat/ruby-llm-real-error-scenarios-cohere-command-a-03-2025-handles-context-length-exc": (
        "25836 tokens",
        "288000 tokens",
    ),
    "ollama/chat/ruby-llm-real-error-scenarios-ollama-cloud-gpt-oss-120b-handles-context-length-ex": (
        "1119046 tokens",
    ),
    "openai/chat/ruby-llm-real-error-scenarios-openai-gpt-5-nano-handles-context-length-exceeded-e": (
        "Limit 2000000",
        "Requested 2500013",
    ),
}
"""The errors that tell how long a conversation may be, or was -> what the caller reads of it."""

NAMES = {"google": "gemini"}
"""Folder of recordings -> kind, where they differ."""

ERRORS = [one for one in recordings() if one.is_error]
KNOWN = {name: reason for reason, names in REASONS.items() for name in names}


def provider_of(one: Recording) -> HttpProvider:
    """The provider that would have asked."""
    folder, api, _ = one.id.split("/", 2)
    kind = NAMES.get(folder, folder)
    if api == "openai-chat" or kind not in KINDS:
        kind = "openai-compatible"
    if api in ("responses", "openai-responses"):
        kind = "openai-responses"
    return make_provider(kind, ProviderConfig(kind=kind, base_url="http://127.0.0.1", api_key="sk-of-the-gateway"))


def error_of(one: Recording) -> GatewayError:
    """The error that a recording tells in place of an answer."""
    return provider_of(one).decode_error(one.status, one.headers, one.body)


@pytest.mark.parametrize("one", ERRORS, ids=lambda one: one.id)
def test_a_recorded_error(one: Recording) -> None:
    """It has its reason, its status, and words that tell nothing of keys and hold no markup."""
    error = error_of(one)
    assert error.name == KNOWN[one.id]
    assert error.provider_status == one.status
    assert 0 < len(error.message) <= 1024
    assert "</" not in error.message
    if error.name == "PROVIDER_UNAUTHENTICATED":
        assert error.message in ("The provider refused the gateway's own key.", _CREDENTIALS)


_CREDENTIALS = "The provider refused the gateway's own credentials."


def test_every_recorded_error_is_in_the_table() -> None:
    """And nothing else is."""
    assert sorted(KNOWN) == sorted(one.id for one in ERRORS)


@pytest.mark.parametrize("case", WAITS)
def test_how_long_to_wait(case: str) -> None:
    """Where a provider tells it, callers and other targets are told."""
    assert error_of(recording(case)).retry_after == timedelta(seconds=WAITS[case])


@pytest.mark.parametrize("case", NUMBERS)
def test_how_long_a_conversation_may_be(case: str) -> None:
    """The provider's own numbers reach the caller."""
    message = error_of(recording(case)).message
    assert all(number in message for number in NUMBERS[case])


@pytest.mark.parametrize("case", STREAMS)
def test_an_error_within_a_stream(case: str) -> None:
    """It is told as what it is, though the stream began well."""
    one = recording(case)
    provider = provider_of(one)
    reader, decoder = provider.reader(), provider.stream_decoder()
    with pytest.raises(GatewayError) as caught:
        for event in [*reader.feed(one.body), *reader.end()]:
            decoder.feed(event.data)
    assert caught.value.name == STREAMS[case]
    assert not decoder.done


async def test_a_model_that_is_not_found_is_named_with_its_provider() -> None:
    """The provider's own name of it may be the name of others, too."""
    async with SimServer() as server:
        provider = house.provider_of("openai-compatible", server.url)
        with pytest.raises(GatewayError, match=r"^`openai-compatible/ech`: The model `ech` does not exist"):
            await house.house_of(provider).ask(asking("Hi", model="ech"))
        await provider.close()
