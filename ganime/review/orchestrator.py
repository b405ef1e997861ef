"""Asks a Prefect server to run `train-classifier`, by its REST API: the page needs no Prefect."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from ganime.errors import GanimeError

FLOW = "train-classifier"
_TIMEOUT_S = 10
_ENDED = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")


class OrchestratorError(GanimeError):
    """The Prefect server does not do what it is asked."""


@dataclass(frozen=True, slots=True)
class FlowRun:
    """A run that was asked for.

    Attributes:
        run_id: Its id.
        state: What the server calls it, for example Running.
        has_ended: Whether it will not change any more.
        is_right: Whether it ended well.
        url: Its page.
    """

    run_id: str
    state: str
    has_ended: bool
    is_right: bool
    url: str


class Orchestrator:
    """A Prefect server.

    Args:
        url: Of its API, as PREFECT_API_URL names it: `http://127.0.0.1:4200/api`.
        authorization: Value of the header of that name; empty for none.
    """

    def __init__(self, url: str, authorization: str = "") -> None:
        self._url = url.rstrip("/")
        self._authorization = authorization

    def start(self, parameters: Mapping[str, Any]) -> FlowRun:
        """Ask for a run of the deployment of `train-classifier`.

        Raises:
            OrchestratorError: the server does not answer, or has no such deployment.
        """
        wanted = {"flows": {"name": {"any_": [FLOW]}}, "limit": 1}
        found = self._ask("deployments/filter", wanted)
        if not found:
            raise OrchestratorError(
                f"the Prefect server at {self._url} has no deployment of {FLOW}: make it with "
                "`ganime up`"
            )
        body = {"parameters": parameters, "state": {"type": "SCHEDULED"}}
        return self._told(self._ask(f"deployments/{found[0]['id']}/create_flow_run", body))

    def look(self, run_id: str) -> FlowRun:
        """How a run is getting on.

        Raises:
            OrchestratorError: the server does not answer.
        """
        return self._told(self._ask(f"flow_runs/{run_id}", None))

    def _told(self, run: Mapping[str, Any]) -> FlowRun:
        kind = str(run.get("state_type"))
        # The API and the pages of one server differ in the last part of the path.
        page = f"{self._url.removesuffix('/api')}/runs/flow-run/{run['id']}"
        state = str(run.get("state_name") or kind)
        return FlowRun(str(run["id"]), state, kind in _ENDED, kind == "COMPLETED", page)

    def _ask(self, path: str, body: Mapping[str, Any] | None) -> Any:
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._authorization:
            headers["Authorization"] = self._authorization
        content = None if body is None else json.dumps(body).encode()
        if urlsplit(self._url).scheme not in ("http", "https"):
            raise OrchestratorError(f"{self._url} is no address of a Prefect API: wanted http(s)")
        request = Request(f"{self._url}/{path}", content, headers)
        try:
            with urlopen(request, timeout=_TIMEOUT_S) as answer:
                return json.load(answer)
        except HTTPError as error:
            told = error.read(500).decode("utf-8", "replace")
            raise OrchestratorError(
                f"the Prefect server refused {path} with {error.code}: {told}"
            ) from error
        except (URLError, TimeoutError, ValueError) as error:
            raise OrchestratorError(
                f"the Prefect server at {self._url} does not answer ({error}): is it running?"
            ) from error
