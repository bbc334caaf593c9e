"""LlamaIndex over Chat Completions and Embeddings."""

from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from report import arguments, report


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def weather(city: str) -> str:
    """Tells the weather of a city."""
    return f"sunny in {city}"


base, models = arguments()


def model(name: str) -> Any:
    return OpenAILike(
        model=models[name],
        api_base=f"{base}/v1",
        api_key="none",
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=0,
        context_window=8192,
    )


def use_tools() -> dict[str, Any]:
    llm, tools = model("tool"), [FunctionTool.from_defaults(weather)]
    answer = llm.chat_with_tools(tools, user_msg="How is it in Paris?")
    call = llm.get_tool_calls_from_response(answer)[0]
    history = [
        ChatMessage(role="user", content="How is it in Paris?"),
        answer.message,
        ChatMessage(role="tool", content=weather(**call.tool_kwargs), additional_kwargs={"tool_call_id": call.tool_id}),
    ]
    final = llm.chat_with_tools(tools, chat_history=history)
    return {"called": call.tool_name, "final": final.message.content}


def cut_stream() -> str:
    try:
        list(model("cut").stream_chat([ChatMessage(role="user", content="Hello there, and more of it")]))
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return type(error).__name__
    return "nothing"


question = [ChatMessage(role="user", content="Hello there")]
report(
    text=model("text").chat(question).message.content,
    stream="".join(chunk.delta or "" for chunk in model("text").stream_chat(question)),
    complete=model("text").complete("Hello there").text,
    tools=use_tools(),
    structured=model("tool").as_structured_llm(Person).chat(question).raw.model_dump(),
    vectors=[
        len(one)
        for one in OpenAILikeEmbedding(
            model_name=models["embed"], api_base=f"{base}/v1", api_key="none"
        ).get_text_embedding_batch(["a", "b"])
    ],
    cut=cut_stream(),
)
