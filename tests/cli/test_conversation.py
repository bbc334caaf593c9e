"""The conversation that a person holds."""

from __future__ import annotations

from trunkline.cli.conversation import Conversation
from trunkline.v1.chat_pb2 import FINISH_REASON_STOP, ChatResponse, Choice, Finish
from trunkline.v1.content_pb2 import (
    ROLE_ASSISTANT,
    ROLE_SYSTEM,
    ROLE_USER,
    Message,
    Part,
    Reasoning,
    ToolCall,
)

_DONE = Finish(reason=FINISH_REASON_STOP)


def _response(*parts: Part, finish: Finish | None = _DONE) -> ChatResponse:
    message = Message(role=ROLE_ASSISTANT, parts=parts, extras={"openai": "{}"})
    return ChatResponse(choices=[Choice(message=message, finish=finish)])


def test_unset_options_are_left_to_the_provider() -> None:
    """A request holds what was asked for and nothing else."""
    request = Conversation("a/b").ask("Hi")
    assert {field.name for field, _ in request.ListFields()} == {"model", "messages"}
    assert request.messages == [Message(role=ROLE_USER, parts=[Part(text="Hi")])]


def test_options_are_asked_for() -> None:
    """Each option stands in its field; zero is a value."""
    request = Conversation("a/b", system="Be brief.", temperature=0.0, max_tokens=5, effort="low").ask("Hi")
    assert request.messages[0] == Message(role=ROLE_SYSTEM, parts=[Part(text="Be brief.")])
    assert request.sampling.HasField("temperature")
    assert (request.max_output_tokens, request.reasoning.effort) == (5, "low")


def test_what_was_said_is_said_again() -> None:
    """A later request holds the earlier turns, the extras of the answer with them, as its signatures are there."""
    conversation = Conversation("a/b")
    conversation.answered("Hi", _response(Part(reasoning=Reasoning(text="Hm")), Part(text="Hello")))
    messages = conversation.ask("And?").messages
    assert [message.role for message in messages] == [ROLE_USER, ROLE_ASSISTANT, ROLE_USER]
    assert [part.WhichOneof("kind") for part in messages[1].parts] == ["reasoning", "text"]
    assert messages[1].extras == {"openai": "{}"}


def test_asking_does_not_change_the_conversation() -> None:
    """A turn that fails leaves no trace."""
    conversation = Conversation("a/b")
    conversation.ask("Hi")
    assert conversation.ask("Ho").messages == [Message(role=ROLE_USER, parts=[Part(text="Ho")])]


def test_a_stopped_answer_keeps_its_text() -> None:
    """Of an answer without its end only the text is kept: half a reasoning may lack its signature."""
    conversation = Conversation("a/b")
    conversation.answered("Hi", _response(Part(reasoning=Reasoning(text="Hm")), Part(text="Hel"), finish=None))
    assert [part.WhichOneof("kind") for part in conversation.messages[1].parts] == ["text"]


def test_an_answer_that_says_nothing_is_forgotten_with_its_question() -> None:
    """No turn is left that a provider would refuse: no empty answer, and no tool call that nobody answers."""
    conversation = Conversation("a/b")
    conversation.answered("Hi", ChatResponse())
    conversation.answered("Hi", _response(Part(tool_call=ToolCall(id="1", name="f"))))
    assert conversation.messages == []


def test_reset_keeps_the_options() -> None:
    """What was said is forgotten; the system message is not."""
    conversation = Conversation("a/b", system="Be brief.")
    conversation.answered("Hi", _response(Part(text="Hello")))
    conversation.reset()
    assert [message.role for message in conversation.ask("Ho").messages] == [ROLE_SYSTEM, ROLE_USER]
