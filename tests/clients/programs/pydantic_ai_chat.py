"""Pydantic AI over Chat Completions: agents with tools and typed answers."""

import asyncio
from typing import Any

from pydantic import BaseModel
from pydantic_ai import Agent
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from report import arguments, report


class Person(BaseModel):
    """A person."""

    name: str
    age: int


base, models = arguments()


def model(name: str) -> Any:
    return OpenAIChatModel(models[name], provider=OpenAIProvider(base_url=f"{base}/v1", api_key="none"))


async def run() -> None:
    agent = Agent(model("tool"))

    @agent.tool_plain
    def weather(city: str) -> str:
        """Tells the weather of a city."""
        return f"sunny in {city}"

    async with Agent(model("text")).run_stream("Hello there") as streamed:
        stream = "".join([piece async for piece in streamed.stream_text(delta=True)])
    cut = "nothing"
    try:
        async with Agent(model("cut")).run_stream("Hello there, and more of it") as broken:
            async for _ in broken.stream_text():
                pass
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        cut = type(error).__name__
    answer = await Agent(model("text")).run("Hello there")
    tools = await agent.run("How is it in Paris?")
    structured = await Agent(model("tool"), output_type=Person).run("Who?")
    report(
        text=answer.output,
        stream=stream,
        usage=answer.usage.input_tokens + answer.usage.output_tokens,
        tools={"final": tools.output, "requests": tools.usage.requests},
        structured=structured.output.model_dump(),
        cut=cut,
    )


asyncio.run(run())
