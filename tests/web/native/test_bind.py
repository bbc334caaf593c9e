"""Paths, queries and bodies to the request of an RPC, over HTTP."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from google.protobuf import json_format


@pytest.mark.parametrize(
    ("method", "path", "rpc", "expected"),
    [
        ("GET", "/shelf/v1/shelves/1/books/2", "get_book", {"name": "shelves/1/books/2"}),
        ("GET", "/shelf/v1/authors/Jane%20A/books/7", "get_book", {"author": {"name": "Jane A"}, "number": "7"}),
        ("GET", "/shelf/v1/files/a/b:read", "get_book", {"name": "a/b"}),
        ("GET", "/shelf/v1/files/a/b:write", "get_file", {"name": "a/b:write"}),
        ("GET", "/shelf/v1/files/a%2Fb%2520c", "get_file", {"name": "a/b%20c"}),
        ("REPORT", "/shelf/v1/books", "get_book", {}),
        ("GET", "/shelf/v1/books", "list_books", {}),
    ],
)
async def test_path(
    method: str,
    path: str,
    rpc: str,
    expected: dict[str, Any],
    shelf_client: httpx.AsyncClient,
    shelf: Any,
    book: type[Any],
) -> None:
    """Each rule, additional ones too, reaches its RPC with its path in the request."""
    answer = await shelf_client.request(method, path)

    assert (answer.status_code, shelf.answered) == (200, [(rpc, json_format.ParseDict(expected, book()))])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("name=x%20y+z", {"name": "x y z"}),
        ("author.name=a&author.teacher.born=-3", {"author": {"name": "a", "teacher": {"born": -3}}}),
        ("number=9007199254740993&code=18446744073709551615", {"number": "9007199254740993", "code": str(2**64 - 1)}),
        ("lent=true", {"lent": True}),
        ("lent=1", {"lent": True}),
        ("lent=F", {"lent": False}),
        ("weight=1e3&height=-Infinity", {"weight": 1000.0, "height": "-Infinity"}),
        ("cover=_-A%3D", {"cover": "/+A="}),
        ("genre=GENRE_PROSE", {"genre": "GENRE_PROSE"}),
        ("genre=2", {"genre": "GENRE_PROSE"}),
        ("genres=1&genres=GENRE_PROSE", {"genres": [1, 2]}),
        ("tags=a&tags=b&tags=", {"tags": ["a", "b", ""]}),
        ("pages=3&pages=1", {"pages": [3, 1]}),
        ("printed=2026-01-02T03:04:05Z", {"printed": "2026-01-02T03:04:05Z"}),
        ("readingTime=1.5s", {"readingTime": "1.5s"}),
        ("reading_time=1h1m0.5s", {"readingTime": "3660.5s"}),
        ("reading_time=-250ms", {"readingTime": "-0.250s"}),
        ("breaks=1s&breaks=2m", {"breaks": ["1s", "120s"]}),
        ("mask=author.name,lent", {"mask": "author.name,lent"}),
        ("copies=5&rare=false", {"copies": "5", "rare": False}),
        ("ratings[good]=5&ratings[bad]=1", {"ratings": {"good": 5, "bad": 1}}),
        ("library.name=x&library.born=1", {"library": {"name": "x", "born": 1}}),
        ("edition=0", {"edition": 0}),
        ("name=", {"name": ""}),
        ("", {}),
    ],
)
async def test_query(
    query: str, expected: dict[str, Any], shelf_client: httpx.AsyncClient, shelf: Any, book: type[Any]
) -> None:
    """A query fills fields of each kind, nested and repeated, by either name."""
    answer = await shelf_client.get(f"/shelf/v1/books?{query}")

    assert answer.status_code == 200, answer.text
    assert shelf.answered == [("list_books", json_format.ParseDict(expected, book()))]


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("number=x", "number"),
        ("number=", "number"),
        ("author.born=2147483648", "author.born"),
        ("lent=yes", "lent"),
        ("weight=heavy", "weight"),
        ("cover=%21%21", "cover"),
        ("genre=GENRE_NONE", "genre"),
        ("name=a&name=b", "name"),
        ("readingTime=1s&reading_time=1s", "reading_time"),
        ("readingTime=soon", "readingTime"),
        ("readingTime=999999999999h", "readingTime"),
        ("printed=now", "printed"),
        ("copies=x", "copies"),
        ("author=x", "author"),
        ("editors=x", "editors"),
        ("editors.name=x", "editors.name"),
        ("name.x=x", "name.x"),
        ("ratings=5", "ratings"),
        ("ratings[a]=x", "ratings[a]"),
        ("ratings[a]=1&ratings[a]=2", "ratings[a]"),
        ("readers[true]=x", "readers[true]"),
        ("notes=x", "notes"),
        ("person=a&library.name=b", "library.name"),
        ("library.name=b&person=a", "person"),
        ("name=%ff", None),
    ],
)
async def test_bad_query(query: str, param: str | None, shelf_client: httpx.AsyncClient, shelf: Any) -> None:
    """A query that cannot be read is refused, and the parameter named as it was written."""
    answer = await shelf_client.get(f"/shelf/v1/books?{query}")

    assert (answer.status_code, answer.json()["code"], shelf.answered) == (400, 3, [])
    violations = [v["field"] for detail in answer.json()["details"] for v in detail.get("fieldViolations", [])]
    assert violations == ([param] if param else [])


async def test_bad_path_value(shelf_client: httpx.AsyncClient) -> None:
    """A path variable that its field cannot hold is refused by name."""
    answer = await shelf_client.get("/shelf/v1/authors/x/books/seven")

    assert answer.status_code == 400
    assert "`number`" in answer.json()["message"]


async def test_unknown_parameters(shelf_client: httpx.AsyncClient, shelf: Any) -> None:
    """An unknown query parameter is ignored, as grpc-gateway does, and named; a strict call refuses it."""
    lax = await shelf_client.get("/shelf/v1/books?nope=1&author.age=2&tags[]=x&name=a")
    strict = await shelf_client.get("/shelf/v1/books?name=a&nope=1", headers={"x-trunkline-strict": "true"})

    assert (lax.status_code, lax.headers["x-trunkline-dropped"]) == (200, "nope, author.age, tags[]")
    assert (strict.status_code, len(shelf.answered)) == (400, 1)
    assert "`nope`" in strict.json()["message"]


async def test_body_is_a_field(shelf_client: httpx.AsyncClient, shelf: Any, book: type[Any]) -> None:
    """With `body: "author"` the body is that field, which the query cannot fill; `response_body` picks the answer. In
    a PATCH the mask names what is in the body."""
    answer = await shelf_client.patch(
        "/shelf/v1/books/x?number=5&author.born=9", json={"name": "Jane", "teacher": {"name": "Ann"}}
    )

    author = {"name": "Jane", "teacher": {"name": "Ann"}}
    asked = {"name": "x", "number": "5", "author": author, "mask": "name,teacher.name"}
    assert shelf.answered[0][1] == json_format.ParseDict(asked, book())
    assert answer.json() == {"name": "Jane", "born": 0, "teacher": {"name": "Ann", "born": 0}}
    assert answer.headers["x-trunkline-dropped"] == "author.born"


async def test_body_is_a_list(shelf_client: httpx.AsyncClient) -> None:
    """A repeated field can be the body, and the answer."""
    answer = await shelf_client.put("/shelf/v1/books/x/tags", json=["a", "b"])
    wrong = await shelf_client.put("/shelf/v1/books/x/tags", json=["a", 5])

    assert answer.json() == ["a", "b"]
    assert (wrong.status_code, "`tags[1]`" in wrong.json()["message"]) == (400, True)


async def test_body_is_the_request(shelf_client: httpx.AsyncClient, shelf: Any, book: type[Any]) -> None:
    """With `body: "*"` the body is the request, the path wins over it, and the query fills nothing."""
    body = {"name": "n", "author": {"name": "body", "born": 5}}
    answer = await shelf_client.post("/shelf/v1/books/path?number=5", json=body)

    assert answer.headers["x-trunkline-dropped"] == "number"
    assert shelf.answered[0][1] == json_format.ParseDict({"name": "n", "author": {"name": "path", "born": 5}}, book())


async def test_no_body(shelf_client: httpx.AsyncClient, shelf: Any, book: type[Any]) -> None:
    """An empty body is an empty request, as in grpc-gateway; a body that no rule asks for is not read."""
    await shelf_client.post("/shelf/v1/books/x")
    await shelf_client.request("GET", "/shelf/v1/books", content=b"not json")

    assert [message for _, message in shelf.answered] == [
        json_format.ParseDict({"author": {"name": "x"}}, book()),
        book(),
    ]
