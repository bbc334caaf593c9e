"""Whatever a request holds, each kind of provider takes it, names it as lost, or refuses it."""

from __future__ import annotations

import pytest

from trunkline.providers.build import KINDS
from trunkline.providers.compatibility import MODELS, PROBES, answer, provider_of


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_nothing_is_lost_silently(kind: str) -> None:
    """No probe leaves the body as it was without a word."""
    provider = provider_of(kind)
    answers = {name: answer(provider, MODELS.get(kind, "model"), probe) for name, probe in PROBES.items()}

    assert [name for name, what in answers.items() if what == "ignored"] == []
