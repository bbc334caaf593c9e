"""The search engines that the plugin `web` asks, each in its own language."""

from __future__ import annotations

import asyncio
import html
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp

from trunkline.config.plugins import SearchConfig
from trunkline.dialects.wire import Json, Object, dumps, loads
from trunkline.errors import GatewayError, provider_failed
from trunkline.plugins.domains import Domains
from trunkline.v1 import errors_pb2

_MOST_BYTES: Final = 4 * 1024 * 1024
"""The most bytes of an answer that are read."""
_MOST_QUERY: Final = 400
"""The most characters of a query: what Brave and Tavily take."""
_MOST_WORDS: Final = 50
_MOST_ADDRESS: Final = 2048
_MOST_TITLE: Final = 200

_TAG: Final = re.compile(r"</?(?:strong|em|b|i)>")
_UNPRINTED: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Query:
    """What is searched for, and how many results are wanted."""

    text: str
    results: int
    domains: Domains


@dataclass(frozen=True, slots=True)
class Result:
    """A page that was found, in the words of the engine: a stranger's text."""

    uri: str
    title: str
    text: str


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    parameters: Mapping[str, str] | None = None
    body: Json = None


@dataclass(frozen=True, slots=True)
class _Language:
    """How an engine is asked, and where in its answer the results are. `texts` are the keys of a result's text, the
    first that is there counts."""

    base_url: str
    key_header: str
    key_form: str
    ask: Callable[[Query, int], _Request]
    results: Sequence[str]
    texts: Sequence[str]
    remedies: Mapping[int, str]


def _ask_searxng(query: Query, characters: int) -> _Request:
    # docs.searxng.org, "Search API": the number of results cannot be asked for.
    return _Request("GET", "/search", {"q": query.domains.told(query.text), "format": "json"})


def _ask_brave(query: Query, characters: int) -> _Request:
    # api-dashboard.search.brave.com, "Web search".
    text = query.domains.told(" ".join(query.text.split()[:_MOST_WORDS]))
    count = str(min(query.results, 20))
    return _Request("GET", "/web/search", {"q": text, "count": count, "text_decorations": "false"})


def _ask_tavily(query: Query, characters: int) -> _Request:
    # docs.tavily.com, "Tavily Search".
    body: Json = {"query": query.text, "max_results": min(query.results, 20), **query.domains.listed("_domains")}
    return _Request("POST", "/search", body=body)


def _ask_exa(query: Query, characters: int) -> _Request:
    # docs.exa.ai, "Search".
    contents = {"text": {"maxCharacters": characters}}
    domains = query.domains.listed("Domains")
    return _Request(
        "POST", "/search", body={"query": query.text, "numResults": query.results, "contents": contents, **domains}
    )


_LANGUAGES: Final[dict[str, _Language]] = {
    "searxng": _Language(
        "",
        "authorization",
        "Bearer {}",
        _ask_searxng,
        ("results",),
        ("content",),
        {403: "it gives no JSON: add `json` to `search.formats` in its `settings.yml`"},
    ),
    "brave": _Language(
        "https://api.search.brave.com/res/v1",
        "x-subscription-token",
        "{}",
        _ask_brave,
        ("web", "results"),
        ("description",),
        {},
    ),
    "tavily": _Language(
        "https://api.tavily.com", "authorization", "Bearer {}", _ask_tavily, ("results",), ("content",), {}
    ),
    "exa": _Language("https://api.exa.ai", "x-api-key", "{}", _ask_exa, ("results",), ("text", "summary"), {}),
}


class SearchEngine:
    """Asks one engine. Nothing but the engine itself is connected to, and redirects are not followed."""

    def __init__(self, kind: str, config: SearchConfig) -> None:
        self.kind = kind
        self._config = config
        self._language = _LANGUAGES[kind]
        self._base = (config.base_url or self._language.base_url).rstrip("/")
        if not self._base:
            raise ValueError(f"`plugins.search.base_url` is required for `{kind}`")
        if config.api_key is None and kind != "searxng":
            raise ValueError(f"`plugins.search.api_key` is required for `{kind}`")
        self._session: aiohttp.ClientSession | None = None

    async def search(self, query: Query, within: float | None) -> list[Result]:
        """What is found. `within` is how many seconds the caller still waits.

        Raises `GatewayError`, of the reasons that a provider's failure has.
        """
        seconds = self._config.timeout if within is None else min(self._config.timeout, within)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                answer = await self._ask(query)
        except TimeoutError:
            raise GatewayError(
                errors_pb2.ERROR_REASON_PROVIDER_TIMEOUT,
                f"The search engine did not answer within {seconds:g} seconds.",
                provider=self.kind,
            ) from None
        except (aiohttp.ClientError, OSError):
            raise GatewayError(
                errors_pb2.ERROR_REASON_PROVIDER_UNAVAILABLE,
                "The search engine cannot be reached.",
                provider=self.kind,
            ) from None
        return self._results(answer, query)

    async def close(self) -> None:
        """Close every connection."""
        if self._session is not None:
            await self._session.close()

    async def _ask(self, query: Query) -> Json:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                cookie_jar=aiohttp.DummyCookieJar(), headers=self._headers(), proxy=_proxy(self._base)
            )
        asked = self._language.ask(
            Query(query.text[:_MOST_QUERY], query.results, query.domains), self._config.max_result_characters
        )
        data = None if asked.body is None else dumps(asked.body)
        async with self._session.request(
            asked.method, self._base + asked.path, params=asked.parameters, data=data, allow_redirects=False
        ) as response:
            if response.status != HTTPStatus.OK:
                raise self._refused(response.status)
            pieces: list[bytes] = []
            size = 0
            async for piece in response.content.iter_any():
                size += len(piece)
                if size > _MOST_BYTES:
                    raise provider_failed("The search engine's answer is too large.", provider=self.kind)
                pieces.append(piece)
        try:
            return loads(b"".join(pieces))
        except GatewayError:
            raise provider_failed("The search engine's answer cannot be read.", provider=self.kind) from None

    def _headers(self) -> dict[str, str]:
        headers = {"user-agent": "trunkline", "accept": "application/json", "content-type": "application/json"}
        if self._config.api_key is not None:
            headers[self._language.key_header] = self._language.key_form.format(self._config.api_key.get_secret_value())
        return headers

    def _refused(self, status: int) -> GatewayError:
        remedy = self._language.remedies.get(status)
        match status:
            case HTTPStatus.TOO_MANY_REQUESTS:
                reason = errors_pb2.ERROR_REASON_RATE_LIMITED
            case HTTPStatus.UNAUTHORIZED | HTTPStatus.FORBIDDEN:
                reason = errors_pb2.ERROR_REASON_PROVIDER_UNAUTHENTICATED
                remedy = remedy or "check `plugins.search.api_key`"
            case _:
                reason = errors_pb2.ERROR_REASON_PROVIDER_FAILED
        message = f"The search engine answered with status {status}{f'; {remedy}' if remedy else ''}."
        return GatewayError(reason, message, provider=self.kind, provider_status=status)

    def _results(self, answer: Json, query: Query) -> list[Result]:
        for key in self._language.results:
            answer = answer.get(key) if isinstance(answer, dict) else None
        results: dict[str, Result] = {}
        for item in answer if isinstance(answer, list) else ():
            if isinstance(item, dict):
                result = self._result(Object(dict(item), lenient=True))
                if result is not None and query.domains.allow(result.uri):
                    results.setdefault(result.uri, result)
        return list(results.values())[: query.results]

    def _result(self, item: Object) -> Result | None:
        """A result, cut to size; None where it has no address of the web."""
        uri = item.take_str("url") or ""
        if len(uri) > _MOST_ADDRESS or not _is_web(uri):
            return None
        text = next((found for key in self._language.texts if (found := item.take_str(key))), "")
        title = _plain(item.take_str("title") or uri, _MOST_TITLE)
        return Result(uri, title.replace("\n", " "), _plain(text, self._config.max_result_characters))


def _proxy(address: str) -> str | None:
    """The proxy that the environment names for an address. aiohttp's own `trust_env` would read `~/.netrc`, too."""
    url = urlsplit(address)
    if url.hostname is None or proxy_bypass(url.hostname):
        return None
    return getproxies().get(url.scheme)


def _is_web(uri: str) -> bool:
    try:
        url = urlsplit(uri)
    except ValueError:
        return False
    return url.scheme in ("http", "https") and bool(url.hostname) and uri.isascii() and uri.isprintable()


def _plain(text: str, most: int) -> str:
    """A text without marks and without what is not printed, cut to size."""
    return _UNPRINTED.sub("", html.unescape(_TAG.sub("", text[: 2 * most]))).strip()[:most]
