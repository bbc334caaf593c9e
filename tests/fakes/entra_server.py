"""A fake Entra ID on loopback, behind TLS as its clients demand, which gives a client with the right secret tokens."""

from __future__ import annotations

import ssl
from typing import Self

import trustme
from aiohttp import web

TENANT, CLIENT, SECRET = "house", "gateway", "hunter2"


class EntraServer:
    """Serves while it is entered. `tokens` is what it gave; `refuse` makes it give none."""

    def __init__(self) -> None:
        self.tokens: list[str] = []
        self.scopes: list[str] = []
        self.refuse = False
        self.authority = trustme.CA()
        self._runner: web.AppRunner | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """What `AZURE_AUTHORITY_HOST` is to name."""
        return f"https://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post(f"/{TENANT}/oauth2/v2.0/token", self._token)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0)
        await self._runner.setup()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.authority.issue_cert("127.0.0.1").configure_cert(context)
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=context).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def _token(self, request: web.Request) -> web.Response:
        asked = await request.post()
        if self.refuse or (asked.get("client_id"), asked.get("client_secret")) != (CLIENT, SECRET):
            words = f"AADSTS7000215: Invalid client secret provided: {asked.get('client_secret')}"
            return web.json_response({"error": "invalid_client", "error_description": words}, status=401)
        self.scopes.append(str(asked["scope"]))
        self.tokens.append(f"entra-token-{len(self.tokens)}")
        answer = {"token_type": "Bearer", "expires_in": 3600, "access_token": self.tokens[-1]}
        return web.json_response(answer)
