"""Assertions of the class that all providers share tell what they compared."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("providers.conformance")
