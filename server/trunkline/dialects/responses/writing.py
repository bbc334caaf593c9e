"""What writing one request has to remember: what was lost on the way, and which call each result answers."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from trunkline.call import Loss, LossKind


@dataclass(slots=True)
class Writing:
    """One request on its way to a server.

    `custom` holds the ids of the calls of custom tools, whose results are written as another type of item. `unnamed`
    holds, for each tool, the ids that were made up for its calls that had none and are still to be answered.
    """

    losses: list[Loss]
    custom: set[str] = field(default_factory=set)
    unnamed: defaultdict[str, deque[str]] = field(default_factory=lambda: defaultdict(deque))

    def lose(self, name: str, kind: LossKind = LossKind.DROPPED) -> None:
        """Note that the field `name` was not written as it was."""
        loss = Loss(name, kind)
        if loss not in self.losses:
            self.losses.append(loss)
