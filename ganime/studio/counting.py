"""Counts what is answered, whoever answers it."""

import time

from ganime.studio.meters import Meters
from ganime.web.guard import App, Message, Receive, Scope, Send


class Counted:
    """ASGI middleware.

    Args:
        app: Whose answers are counted.
        meters: Where.
    """

    def __init__(self, app: App, meters: Meters) -> None:
        self._app, self._meters = app, meters

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """See ASGI 3.0."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()
        status = 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            # The route that matched; what was refused before has none.
            route = getattr(scope.get("route"), "path", "none")
            self._meters.requests.add(route, status)
            self._meters.seconds.add(time.perf_counter() - started)
