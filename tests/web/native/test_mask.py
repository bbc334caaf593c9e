"""A PATCH without an update mask changes what its body names."""

from __future__ import annotations

from typing import Any

import pytest

from trunkline.v1.keys_pb2 import UpdateKeyRequest
from trunkline.web.native.mask import fill_mask

KEY = UpdateKeyRequest.DESCRIPTOR.fields_by_name["key"]


@pytest.mark.parametrize(
    ("body", "paths"),
    [
        ({}, []),
        ({"name": "a", "disabled": False}, ["name", "disabled"]),
        ({"expireTime": None, "models": []}, ["expire_time", "models"]),
        (
            {"limits": {"requestsPerMinute": "5", "tokens_per_minute": None}},
            ["limits.requests_per_minute", "limits.tokens_per_minute"],
        ),
        ({"limits": {"models": {"a": {"totalNanoUsd": 1}}}}, ["limits.models"]),
        ({"limits": {}}, ["limits"]),
        ({"limits": None, "metadata": {"a": "b"}}, ["limits", "metadata"]),
        ({"nothing": 1}, []),
        (7, []),
    ],
)
def test_what_a_body_names(body: Any, paths: list[str]) -> None:
    """Fields by either name, those of single messages one by one; maps, lists and empty messages as a whole."""
    request = UpdateKeyRequest()
    fill_mask(request, KEY, body)
    assert list(request.update_mask.paths) == paths


def test_a_mask_that_is_given() -> None:
    """It holds, whatever the body names."""
    request = UpdateKeyRequest()
    request.update_mask.paths.append("tags")
    fill_mask(request, KEY, {"name": "a"})
    assert list(request.update_mask.paths) == ["tags"]
