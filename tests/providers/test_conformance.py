"""Every kind of provider that has a fake is held to the same."""

from __future__ import annotations

from providers.conformance import ProviderConformance
from providers.kinds import (
    ANTHROPIC,
    AZURE,
    AZURE_BY_DEPLOYMENT,
    BEDROCK,
    COHERE,
    DEEPSEEK,
    GEMINI,
    MISTRAL,
    NOVA,
    OPENAI,
    RESPONSES,
    VERTEX,
)


class TestOpenAI(ProviderConformance):
    kind = OPENAI


class TestResponses(ProviderConformance):
    kind = RESPONSES


class TestAnthropic(ProviderConformance):
    kind = ANTHROPIC


class TestGemini(ProviderConformance):
    kind = GEMINI


class TestVertex(ProviderConformance):
    kind = VERTEX


class TestBedrock(ProviderConformance):
    kind = BEDROCK


class TestNova(ProviderConformance):
    kind = NOVA


class TestCohere(ProviderConformance):
    kind = COHERE


class TestMistral(ProviderConformance):
    kind = MISTRAL


class TestDeepSeek(ProviderConformance):
    kind = DEEPSEEK


class TestAzure(ProviderConformance):
    kind = AZURE


class TestAzureByDeployment(ProviderConformance):
    kind = AZURE_BY_DEPLOYMENT
