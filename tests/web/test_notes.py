"""What a caller's program tells of itself."""

from __future__ import annotations

import pytest

from trunkline.call import Call
from trunkline.web.notes import note_app


def noted(headers: dict[str, str]) -> dict[str, str]:
    """What is noted of `headers`."""
    call = Call("req_1", "openai", headers=headers)
    note_app(call)
    return call.metadata


@pytest.mark.parametrize(
    ("headers", "metadata"),
    [
        ({}, {}),
        ({"http-referer": "https://app.example"}, {"app_url": "https://app.example"}),
        ({"x-title": "App"}, {"app_title": "App"}),
        ({"x-title": "Old", "x-openrouter-title": "New"}, {"app_title": "New"}),
        ({"x-openrouter-categories": "cli-agent, Bad One,coding,cli-agent"}, {"app_categories": "cli-agent,coding"}),
        ({"x-openrouter-categories": "BAD"}, {}),
        ({"x-title": "\udcff"}, {"app_title": "?"}),
        ({"http-referer": "u" * 9000}, {"app_url": "u" * 512}),
        (
            {"x-openrouter-categories": ",".join(f"c{n}" for n in range(99))},
            {"app_categories": "c0,c1,c2,c3,c4,c5,c6,c7,c8,c9"},
        ),
    ],
)
def test_headers(headers: dict[str, str], metadata: dict[str, str]) -> None:
    """The address, the title and the categories are noted, each bounded and as text."""
    assert noted(headers) == metadata
