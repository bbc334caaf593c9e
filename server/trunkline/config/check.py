"""The rules that tie one setting to another."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from pydantic import SecretStr

from trunkline.config.address import Address
from trunkline.config.known import DISCOVERABLE, EMBEDDED
from trunkline.config.problem import Path, Problem, dotted, near_miss

_HOURS = re.compile(r"([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-4]):[0-5]\d")
_TRUE = frozenset({"true", "yes", "on", "1", "t", "y"})


def cross_check(config: object) -> Iterator[Problem]:
    """What is inconsistent in `config`: the models, or the plain data from which they are to be made.

    Plain data may be wrong in any way: what has not the right shape is passed over here, since the models tell of it.
    """
    yield from _targets(config)
    yield from _names(config)
    yield from _weights(config)
    yield from _one_way_to_keys(config)
    yield from _same_keys(config)
    yield from _issuers(config)
    yield from _plans(config)
    access = _get(config, "access")
    required = str(_get(access, "require_key")).lower() in _TRUE or _get(access, "tokens")
    if _get(config, "keys") in (None, []) and not required:
        yield from _public(config)


def unknown_kinds(config: object, kinds: Collection[str]) -> Iterator[Problem]:
    """The providers of a kind that does not exist."""
    for name, provider in _items(_get(config, "providers")):
        kind = _get(provider, "kind")
        if isinstance(kind, str) and kind not in kinds:
            hint = near_miss(kind, kinds) or f"; there are {', '.join(f'`{known}`' for known in sorted(kinds))}"
            yield Problem(("providers", name, "kind"), "must be a kind of provider", kind, shown=True, hint=hint)


def _targets(config: object) -> Iterator[Problem]:
    providers = _get(config, "providers") or {}
    if not isinstance(providers, Mapping):
        return
    known = {EMBEDDED, *(name for name in providers if isinstance(name, str))}
    if str(_get(config, "discover")).lower() in _TRUE:
        known |= DISCOVERABLE
    for name, model in _items(_get(config, "models")):
        for index, target in _elements(_get(model, "targets")):
            provider, slash, rest = target.partition("/") if isinstance(target, str) else ("", "", "")
            if provider and slash and rest and provider not in known:
                path: Path = ("models", name, "targets", index)
                message = "must be `provider/model` with a provider that is configured"
                yield Problem(path, message, target, shown=True, hint=near_miss(provider, known))


def _names(config: object) -> Iterator[Problem]:
    """Two routes cannot have one name, and rules' hours must be such."""
    models = dict(_items(_get(config, "models")))
    seen: dict[str, str] = {}
    for name, model in models.items():
        for index, alias in _elements(_get(model, "aliases")):
            if isinstance(alias, str):
                other = name if alias in models else seen.setdefault(alias, name)
                if alias in models or other != name:
                    path: Path = ("models", name, "aliases", index)
                    yield Problem(path, f"is a name that `models.{alias if alias in models else other}` has already")
    for index, rule in _elements(_get(_get(config, "routing"), "rules")):
        hours = _get(_get(rule, "match"), "hours")
        if isinstance(hours, str) and not _HOURS.fullmatch(hours):
            path = ("routing", "rules", index, "match", "hours")
            yield Problem(path, "must be two times of day, such as `22:00-06:00`", hours, shown=True)


def _weights(config: object) -> Iterator[Problem]:
    for name, model in _items(_get(config, "models")):
        targets = [target for _, target in _elements(_get(model, "targets"))]
        for target, _ in _items(_get(model, "weights")):
            if target not in targets:
                yield Problem(("models", name, "weights", target), "must be one of `targets`", target, shown=True)


def _one_way_to_keys(config: object) -> Iterator[Problem]:
    for name, provider in _items(_get(config, "providers")):
        if _get(provider, "api_key") is not None and _get(provider, "api_keys"):
            yield Problem(("providers", name, "api_keys"), "must not be set beside `api_key`")


def _same_keys(config: object) -> Iterator[Problem]:
    first: dict[tuple[str, str], Path] = {}
    for index, key in _elements(_get(config, "keys")):
        for field in ("name", "key"):
            value = _get(key, field)
            text = value.get_secret_value() if isinstance(value, SecretStr) else value
            if isinstance(text, str):
                path: Path = ("keys", index, field)
                other = first.setdefault((field, text), path)
                if other != path:
                    yield Problem(path, f"must differ from `{dotted(other)}`")


def _issuers(config: object) -> Iterator[Problem]:
    first: dict[tuple[str, object], Path] = {}
    for index, issuer in _elements(_get(_get(config, "access"), "tokens")):
        path: Path = ("access", "tokens", index)
        for field in ("name", "issuer"):
            other = first.setdefault((field, _get(issuer, field)), (*path, field))
            if other != (*path, field):
                yield Problem((*path, field), f"must differ from `{dotted(other)}`")
        published = _get(issuer, "jwks_url") is not None
        if published == (_get(issuer, "secret") is not None):
            yield Problem(path, "must have one of `secret` and `jwks_url`")
        if published and not (_get(issuer, "issuer") and _get(issuer, "audience")):
            yield Problem(path, "must have `issuer` and `audience` beside `jwks_url`: it may sign for others, too")


def _plans(config: object) -> Iterator[Problem]:
    """Whoever is on a plan that there is not could do anything."""
    plans = dict(_items(_get(config, "plans")))
    tokens = _elements(_get(_get(config, "access"), "tokens"))
    paths = [(("keys", index, "plan"), key) for index, key in _elements(_get(config, "keys"))]
    for path, named in [*paths, *((("access", "tokens", index, "plan"), one) for index, one in tokens)]:
        plan = _get(named, "plan")
        if isinstance(plan, str) and plan not in plans:
            yield Problem(path, "must be one of `plans`", plan, shown=True, hint=near_miss(plan, plans))


def _public(config: object) -> Iterator[Problem]:
    for surface in ("http", "grpc"):
        value = _get(_get(config, surface), "address")
        try:
            address = value if isinstance(value, Address) else Address.parse(str(value))
        except ValueError:
            continue
        if not address.loopback:
            hint = f": add an entry to `keys`, set `access.require_key`, or listen on 127.0.0.1:{address.port}"
            message = "must be a loopback address while there are no `keys`"
            yield Problem((surface, "address"), message, address, shown=True, hint=hint)


def _get(node: object, name: str) -> object:
    return node.get(name) if isinstance(node, Mapping) else getattr(node, name, None)


def _items(node: object) -> list[tuple[str, object]]:
    return [(name, value) for name, value in node.items() if isinstance(name, str)] if isinstance(node, Mapping) else []


def _elements(node: object) -> list[tuple[int, object]]:
    return list(enumerate(node)) if isinstance(node, list) else []
