"""What the assistant drew, for models that are shown media by a user alone."""

from __future__ import annotations

from trunkline.call import Loss, LossKind
from trunkline.dialects.turn import Turn
from trunkline.v1 import content_pb2
from trunkline.v1.content_pb2 import Message, Part


def shown(turns: list[Turn], losses: list[Loss]) -> list[Turn]:
    """`turns`, with the assistant's media at the head of the user's next turn, or in one behind the last; that is added
    to `losses`. The same list where the assistant drew nothing.

    A turn that held nothing else is left out: none of the formats that this is for has an empty one.
    """
    if not any("media" in kinds and role == content_pb2.ROLE_ASSISTANT for _, role, _, kinds, _ in turns):
        return turns
    out: list[Turn] = []
    waiting: list[Part] = []
    for number, turn in enumerate(turns):
        if _is_drawn(turn):
            losses.append(Loss(f"messages[{number}].images", LossKind.APPROXIMATED))
            message, _, parts, kinds, _ = turn
            waiting += [part for part, kind in zip(parts, kinds, strict=True) if kind == "media"]
            kept = [part for part, kind in zip(parts, kinds, strict=True) if kind != "media"]
            if kept:
                out.append(_turn(message, kept))
        elif waiting and turn[1] == content_pb2.ROLE_USER:
            out.append(_turn(turn[0], [*waiting, *turn[2]]))
            waiting = []
        else:
            out.append(turn)
    if waiting:
        out.append(_turn(Message(role=content_pb2.ROLE_USER), waiting))
    return out


def _is_drawn(turn: Turn) -> bool:
    return turn[1] == content_pb2.ROLE_ASSISTANT and "media" in turn[3]


def _turn(like: Message, parts: list[Part]) -> Turn:
    """A turn as `like` with other parts."""
    message = Message(role=like.role, name=like.name, parts=parts, extras=like.extras)
    return message, message.role, parts, [part.WhichOneof("kind") for part in parts], ""
