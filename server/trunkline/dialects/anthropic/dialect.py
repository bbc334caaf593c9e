"""The dialect's name in `extras`."""

from typing import Final

DIALECT: Final = "anthropic"
