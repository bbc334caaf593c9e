"""The name of a model to the targets that serve it."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from trunkline.core.provider import Provider
from trunkline.core.target import Target
from trunkline.errors import not_found


class Routes:
    """Resolves names: a configured name first, then `provider/model`, then `provider:model`."""

    def __init__(self, providers: Mapping[str, Provider], models: Mapping[str, Sequence[str]]) -> None:
        self._providers = providers
        self._models = {
            name: [found for target in targets if (found := self._direct(target)) is not None]
            for name, targets in models.items()
        }

    def resolve(self, name: str) -> Sequence[Target]:
        """The targets of `name`, in the order to try them. Raises `GatewayError` (NOT_FOUND)."""
        targets = self._models.get(name)
        if targets:
            return targets
        target = self._direct(name)
        if target is not None:
            return [target]
        known = [*self._models, *(f"{provider}/" for provider in self._providers)]
        near = difflib.get_close_matches(name[:128], known, n=3)
        hint = f" Did you mean {' or '.join(f'`{match}`' for match in near)}?" if near else ""
        raise not_found(f"The model `{name[:128]}` does not exist.{hint} `GET /v1/models` lists the models.", "model")

    def _direct(self, name: str) -> Target | None:
        for separator in "/:":
            prefix, found, model = name.partition(separator)
            if found and model and prefix in self._providers:
                return Target(self._providers[prefix], model)
        return None
