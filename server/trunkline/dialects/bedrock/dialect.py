"""The name of the dialect."""

from typing import Final

DIALECT: Final = "bedrock"
