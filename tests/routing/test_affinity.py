"""Where a conversation was answered last."""

from __future__ import annotations

import pytest
from fakes.scripted_provider import asking

from trunkline.routing.affinity import Affinity, conversation_of, is_warm
from trunkline.v1 import content_pb2
from trunkline.v1.chat_pb2 import ChatRequest, Usage


def _turns(first: str, *more: str, system: str = "", **fields: object) -> ChatRequest:
    request = ChatRequest(model="m", **fields)  # type: ignore[arg-type]
    if system:
        request.messages.add(role=content_pb2.ROLE_SYSTEM).parts.add(text=system)
    for index, text in enumerate((first, *more)):
        role = content_pb2.ROLE_ASSISTANT if index % 2 else content_pb2.ROLE_USER
        request.messages.add(role=role).parts.add(text=text)
    return request


def test_a_conversation_is_known_by_its_beginning() -> None:
    """Whatever follows; another caller's, another model's and other instructions are another one's."""
    own = conversation_of(_turns("Hi", system="Be brief."), "me")
    assert conversation_of(_turns("Hi", "Hello", "And?", system="Be brief."), "me") == own
    others = [
        conversation_of(_turns("Hi", system="Be brief."), "you"),
        conversation_of(_turns("Hi"), "me"),
        conversation_of(_turns("Ho", system="Be brief."), "me"),
    ]
    other_model = _turns("Hi", system="Be brief.")
    other_model.model = "n"
    others.append(conversation_of(other_model, "me"))
    assert own not in others
    assert len(set(others)) == 4


def test_a_session_is_a_conversation() -> None:
    """Whatever is said in it."""
    one = conversation_of(_turns("Hi", routing={"session_id": "s"}), "me")
    assert conversation_of(_turns("Ho", routing={"session_id": "s"}), "me") == one
    assert conversation_of(_turns("Hi", routing={"session_id": "t"}), "me") != one
    assert conversation_of(_turns("Hi", routing={"session_id": "s"}), "you") != one


def test_what_was_noted_is_forgotten_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """After ten minutes, and where there are too many, the oldest first."""
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    affinity = Affinity(most=2)
    affinity.note(b"1", "a")
    affinity.note(b"2", "b")
    affinity.note(b"1", "c")
    affinity.note(b"3", "d")
    assert [affinity.recall(one) for one in (b"1", b"2", b"3", b"")] == ["c", None, "d", None]
    now = 599.0
    assert affinity.recall(b"1") == "c"
    now = 601.0
    assert affinity.recall(b"1") is None


def test_a_cache_is_warm_where_it_was_told() -> None:
    """It was read or written, or the caller names a session."""
    assert not is_warm(asking(), None)
    assert not is_warm(asking(), Usage(input_tokens=5))
    assert is_warm(asking(), Usage(cached_input_tokens=5))
    assert is_warm(asking(), Usage(cache_write_input_tokens=5))
    assert is_warm(asking(routing={"session_id": "s"}), None)
