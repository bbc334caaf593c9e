"""LiteLLM as a client of the gateway, by its provider `openai`."""

import os
from typing import Any

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"

import litellm
from report import arguments, report

WEATHER: dict[str, Any] = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
QUESTION = [{"role": "user", "content": "Hello there"}]
litellm.drop_params = True
base, models = arguments()


def ask(name: str, **options: Any) -> Any:
    options = {"messages": QUESTION, "num_retries": 0, "max_retries": 0, **options}
    return litellm.completion(model=f"openai/{models[name]}", api_base=f"{base}/v1", api_key="none", **options)


def use_tools() -> dict[str, Any]:
    called = ask("tool", tools=[WEATHER]).choices[0].message
    result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "sunny"}
    final = ask("tool", tools=[WEATHER], messages=[*QUESTION, called, result]).choices[0].message
    return {"called": called.tool_calls[0].function.name, "final": final.content}


def cut_stream() -> str:
    try:
        for _ in ask("cut", stream=True):
            pass
    except Exception as error:  # noqa: BLE001 - which one it is, is the question
        return type(error).__name__
    return "nothing"


answer = ask("text")
report(
    text=answer.choices[0].message.content,
    usage=answer.usage.total_tokens,
    stream="".join(chunk.choices[0].delta.content or "" for chunk in ask("text", stream=True)),
    reasoning=ask("reasoning", reasoning_effort="low").choices[0].message.reasoning_content,
    tools=use_tools(),
    structured=ask("json", response_format={"type": "json_object"}).choices[0].message.content,
    vectors=[
        len(one["embedding"])
        for one in litellm.embedding(
            model=f"openai/{models['embed']}", input=["a", "b"], api_base=f"{base}/v1", api_key="none"
        ).data
    ],
    cut=cut_stream(),
)
