"""Pages of items."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trunkline.web.responses.pages import page


@given(st.integers(0, 40), st.integers(1, 12), st.sampled_from(["asc", "desc"]))
def test_pages_are_the_whole_list(count: int, limit: int, order: str) -> None:
    """One after another they hold each item once, in order."""
    items = [{"id": f"msg_{number}"} for number in range(count)]
    found: list[object] = []
    query = {"limit": str(limit), "order": order}
    while True:
        one = page(items, query)
        data = one["data"]
        assert len(data) <= limit
        assert (one["first_id"], one["last_id"]) == ((data[0]["id"], data[-1]["id"]) if data else (None, None))
        found += data
        if not one["has_more"]:
            break
        query["after"] = one["last_id"]
    assert found == (items if order == "asc" else items[::-1])
