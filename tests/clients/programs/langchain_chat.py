"""LangChain over Chat Completions: what it gets of each thing that its users do."""

from typing import Any

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from pydantic import BaseModel
from report import arguments, report


@tool
def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"sunny in {city}"


class Person(BaseModel):
    """A person."""

    name: str
    age: int


base, models = arguments()


def model(name: str, **options: Any) -> ChatOpenAI:
    return ChatOpenAI(base_url=f"{base}/v1", api_key="none", model=models[name], max_retries=0, **options)


def use_tools() -> dict[str, Any]:
    bound = model("tool").bind_tools([weather])
    question = HumanMessage("How is it in Paris?")
    called = bound.invoke([question])
    result = weather.invoke(called.tool_calls[0])
    final = bound.invoke([question, called, result])
    return {"called": called.tool_calls[0]["name"], "final": final.text}


def stream_tools() -> dict[str, Any]:
    whole = None
    for chunk in model("tool").bind_tools([weather], tool_choice="weather").stream("How is it in Paris?"):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return {"called": whole.tool_calls[0]["name"], "arguments": sorted(whole.tool_calls[0]["args"])}


def fail() -> str:
    try:
        model("cut").invoke("Hello")
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return type(error).__name__
    return "nothing"


def cut_stream() -> str:
    try:
        list(model("cut").stream("Hello there, and more of it"))
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return type(error).__name__
    return "nothing"


streamed = list(model("text", stream_usage=True).stream("Hello there"))
answer = model("text").invoke("Hello there")
report(
    text=answer.text,
    usage=answer.usage_metadata,
    stream="".join(chunk.text for chunk in streamed),
    stream_usage=[chunk.usage_metadata for chunk in streamed if chunk.usage_metadata],
    tools=use_tools(),
    streamed_tools=stream_tools(),
    structured=model("json").with_structured_output(Person).invoke("Who?").model_dump(),
    vectors=[
        len(one)
        for one in OpenAIEmbeddings(
            base_url=f"{base}/v1", api_key="none", model=models["embed"], check_embedding_ctx_length=False
        ).embed_documents(["a", "b"])
    ],
    failed=fail(),
    cut=cut_stream(),
)
