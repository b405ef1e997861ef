import subprocess
import sys
import textwrap

import httpx
import pytest

from ganime import promotion
from ganime.errors import ConfigError
from ganime.store.workspace import Workspace
from ganime.studio.models import Models, UnknownModelError
from ganime.studio.serve import StudioConfig

SCRIPT = """
import sys
from ganime.store.workspace import Workspace
from ganime.studio.serve import StudioConfig, serve
serve(Workspace(sys.argv[1]), StudioConfig(port=0), lambda url: print(url, flush=True))
"""


def test_the_studio_serves_its_page_and_its_api(workspace: Workspace) -> None:
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), workspace.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        page = httpx.get(url, timeout=60)
        assert page.headers["content-type"].startswith("text/html")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert len(httpx.get(f"{url}v1/models", timeout=60).json()["models"]) == 3
        process.terminate()


def test_the_promoted_model_is_used_where_none_is_named(workspace: Workspace) -> None:
    promotion.promote(workspace, "styled001", by="ann")
    models = Models(workspace)
    assert models.opened("").model_id == "styled001"
    assert [one.is_current for one in models.listed()] == [True, False, False]
    assert Models(workspace, "tagged").opened("").model_id == "tagged001"
    assert models.opened("plain").model_id == "plain0001"


def test_a_network_is_read_once(workspace: Workspace) -> None:
    models = Models(workspace)
    first = models.opened("plain0001@64")
    assert models.opened("plain0001@64") is first
    assert models.opened("plain") is first


def test_a_model_that_is_not_there_is_told_with_those_that_are(workspace: Workspace) -> None:
    with pytest.raises(UnknownModelError, match=r"plain0001, styled001, tagged001"):
        Models(workspace, "nobody").opened("")
    with pytest.raises(UnknownModelError, match="no snapshot at 65"):
        Models(workspace).opened("plain0001@65")


def test_listening_everywhere_needs_names() -> None:
    with pytest.raises(ConfigError, match="hosts"):
        StudioConfig.parse({"host": "0.0.0.0"})
