"""Path templates: their grammar, what they match and in which order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import GatewayError
from trunkline.web.native.template import parse, segments_of


@pytest.mark.parametrize(
    ("template", "path", "expected"),
    [
        ("/v1/chat", "/v1/chat", {}),
        ("/v1/chat", "/v1/chat/", None),
        ("/v1/chat", "/v1", None),
        ("/v1/chat:stream", "/v1/chat:stream", {}),
        ("/v1/chat:stream", "/v1/chat%3Astream", {}),
        ("/v1/chat:stream", "/v1/chat", None),
        ("/v1/chat", "/v1/chat:stream", None),
        ("/v1/*", "/v1/x", {}),
        ("/v1/{id}", "/v1/x", {"id": "x"}),
        ("/v1/{id}", "/v1/x%2Fy", {"id": "x/y"}),
        ("/v1/{id}", "/v1/x/y", None),
        ("/v1/{a.b=*}", "/v1/x%20y", {"a.b": "x y"}),
        ("/v1/{a=*}/{b=*}", "/v1/x/y", {"a": "x", "b": "y"}),
        ("/v1/{name=shelves/*/books/*}", "/v1/shelves/1/books/2", {"name": "shelves/1/books/2"}),
        ("/v1/{name=shelves/*/books/*}", "/v1/shelves/1/pens/2", None),
        ("/v1/{id=**}", "/v1/a/b/c", {"id": "a/b/c"}),
        ("/v1/{id=**}", "/v1/a%2Fb/c", {"id": "a/b/c"}),
        ("/v1/{id=**}", "/v1/ollama:llama3:8b", {"id": "ollama:llama3:8b"}),
        ("/v1/{id=**}", "/v1", {"id": ""}),
        ("/v1/{id=**}", "/v1/", {"id": ""}),
        ("/v1/{id=**}:tune", "/v1/a/b:c:tune", {"id": "a/b:c"}),
        ("/v1/{id=**}:tune", "/v1/a/b", None),
        ("/v1/{id=**}:tune", "/v1/:tune", None),
        ("/v1/{id=a/**}/end", "/v1/a/b/c/end", {"id": "a/b/c"}),
        ("/v1/{id=a/**}/end", "/v1/a/end", {"id": "a"}),
        ("/v1/{id=a/**}/end", "/v1/end", None),
        ("/v1/{id}", "/v1/100%25", {"id": "100%"}),
        ("/v1/{id}", "/v1/%E2%82%AC", {"id": "€"}),
    ],
)
def test_match(template: str, path: str, expected: dict[str, str] | None) -> None:
    """A template matches by segments; variables take decoded text, whatever is escaped in it."""
    assert expected == parse(template).match(segments_of(path))


@pytest.mark.parametrize(
    "template",
    ["", "v1", "/", "//", "/v1/", "/v1/{", "/v1/{}", "/v1/{a", "/v1/{a=}", "/v1/{a=b/}", "/v1/{1}", "/v1/a{b}",
     "/v1/**/**", "/v1/{a}/{a}", "/v1/{a}b", "/v1/{a={b}}", "/v1/a*", "/v1:"],
)  # fmt: skip
def test_bad_template(template: str) -> None:
    """A template that breaks the grammar is refused when it is read."""
    with pytest.raises(ValueError, match="path template"):
        parse(template)


@pytest.mark.parametrize("path", ["/v1/%", "/v1/%2", "/v1/%zz", "/v1/%ff"])
def test_bad_path(path: str) -> None:
    """A malformed escape, or bytes that are not UTF-8, are the client's error."""
    with pytest.raises(GatewayError):
        segments_of(path)


def test_rank() -> None:
    """Literals come before `*` before `**`, a verb before none, and an exact path before an empty `**`."""
    texts = ["/m/{id=**}", "/m/{id=*}", "/m/x", "/m", "/m/{id=**}:tune", "/m/{id=*}:tune"]
    ranked = sorted(map(parse, texts), key=lambda template: template.rank)

    assert [t.text for t in ranked] == ["/m", "/m/x", "/m/{id=*}:tune", "/m/{id=*}", "/m/{id=**}:tune", "/m/{id=**}"]


@given(st.lists(st.text(min_size=1), min_size=1))
def test_any_text_survives(parts: list[str]) -> None:
    """Whatever a client escapes into the segments of a path reaches the variable as it was."""
    escaped = "/".join("".join(f"%{byte:02X}" for byte in part.encode("utf-8", "replace")) for part in parts)
    expected = "/".join(part.encode("utf-8", "replace").decode() for part in parts)

    assert {"id": expected} == parse("/v1/{id=**}").match(segments_of(f"/v1/{escaped}"))
