"""Which places of the web a search is held to."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from trunkline.dialects.wire import Json, Object
from trunkline.errors import invalid_request

_MOST: Final = 64
_PLACE: Final = re.compile(r"(?:\*\.)?[a-z0-9\-]+(?:\.[a-z0-9\-]+)*(?:/[\w\-.~%/]*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Domains:
    """The only places to look at, and those never to. A place is a domain, which has those below it, `*.domain`, which
    has those alone, or either with the beginning of a path, as OpenRouter takes them."""

    included: Sequence[str] = ()
    excluded: Sequence[str] = ()

    def allow(self, uri: str) -> bool:
        """Whether a page may be among the results."""
        url = urlsplit(uri)
        host = (url.hostname or "").lower()
        if any(_is_at(place, host, url.path) for place in self.excluded):
            return False
        return not self.included or any(_is_at(place, host, url.path) for place in self.included)

    def told(self, query: str) -> str:
        """`query` with the operators that most engines of the web know."""
        wanted = " OR ".join(f"site:{place.removeprefix('*.')}" for place in self.included)
        unwanted = " ".join(f"-site:{place.removeprefix('*.')}" for place in self.excluded)
        return " ".join(piece for piece in (query, wanted, unwanted) if piece)

    def listed(self, suffix: str) -> dict[str, Json]:
        """The parameters `include` and `exclude`, each with `suffix`, of domains without paths: results are looked at
        once more."""
        return {
            f"{name}{suffix}": [place.removeprefix("*.").partition("/")[0] for place in places]
            for name, places in (
                ("include", self.included),
                ("exclude", [place for place in self.excluded if "/" not in place and not place.startswith("*.")]),
            )
            if places
        }


def take_domains(options: Object) -> Domains:
    """Read `include_domains` and `exclude_domains`. Raises `GatewayError`, naming the one at fault."""
    return Domains(_take(options, "include_domains"), _take(options, "exclude_domains"))


def _take(options: Object, key: str) -> list[str]:
    places = options.take_list(key) or []
    if len(places) > _MOST:
        raise invalid_request(f"`{options.at(key)}` holds more than {_MOST} domains.", options.at(key))
    for index, place in enumerate(places):
        path = f"{options.at(key)}[{index}]"
        if not isinstance(place, str) or len(place) > 512 or not _PLACE.fullmatch(place.lower()):
            raise invalid_request(f"`{path}` must be a domain, such as `example.com` or `*.example.com/docs`.", path)
    return [place.lower() if "/" not in place else _lowered(place) for place in places]


def _lowered(place: str) -> str:
    domain, slash, path = place.partition("/")
    return domain.lower() + slash + path


def _is_at(place: str, host: str, path: str) -> bool:
    domain, _, within = place.partition("/")
    if within and not f"{path}/".startswith(f"/{within.rstrip('/')}/"):
        return False
    below = host.endswith("." + domain.removeprefix("*."))
    return below or (not domain.startswith("*.") and host == domain)
