"""Keys in the database itself, where no gateway runs or its admin's key is lost."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any, Final

from google.protobuf.descriptor import MethodDescriptor

from trunkline.access.configured import plans_of
from trunkline.access.grants import Granted
from trunkline.admin.keys import KeyDesk, open_keys
from trunkline.call import Call
from trunkline.cli.configuration import loader
from trunkline.config.model import Config
from trunkline.store.database import Database, database_url, opened

_INNER_CAPITAL: Final = re.compile(r"(?<!^)(?=[A-Z])")


class LocalKeys:
    """Answers the RPCs of `KeyService` by the database of a configuration."""

    def __init__(self, database: Database, desk: KeyDesk) -> None:
        self._database = database
        self._desk = desk
        self.where = "the database"

    @classmethod
    async def open(cls, path: Path | None) -> LocalKeys:
        """The keys of the configuration at `path`. Raises `ConfigError`."""
        config: Config = loader(path, {})()
        database = await opened(database_url(config.store, os.environ))
        try:
            desk = await open_keys(config.access, database)
        except BaseException:
            await database.close()
            raise
        desk.directory.plan(plans_of(config.plans))
        return cls(database, desk)

    async def ask(self, rpc: MethodDescriptor, request: Any) -> Any:
        """The answer to an RPC. Raises `GatewayError`."""
        answer = getattr(self._desk, _INNER_CAPITAL.sub("_", rpc.name).lower())
        return await answer(request, Call(id="local", surface="native", owner=Granted("local", admin=True)))

    async def close(self) -> None:
        """Close the database."""
        await self._desk.directory.close()
        await self._database.close()
