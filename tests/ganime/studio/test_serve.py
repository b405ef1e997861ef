import subprocess
import sys
import textwrap
import uuid
from collections.abc import Callable

import httpx
import pytest

from ganime import promotion
from ganime.errors import ConfigError
from ganime.store.workspace import Workspace
from ganime.studio.models import Models, UnknownModelError
from ganime.studio.outlines import Outline
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


def test_classifiers_are_listed_once_for_all_models(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []
    look = Workspace.list

    def counted(self: Workspace, folder: str, *ending: str) -> list[str]:
        looked.append(folder)
        return look(self, folder, *ending)

    monkeypatch.setattr(Workspace, "list", counted)
    assert len(Models(workspace).listed()) == 3
    assert looked.count("classifiers") == 1
    assert looked.count("manifests/features") == 1


def test_tags_that_split_the_images_evenly_come_first_and_constant_ones_have_no_slider() -> None:
    shares = {"1girl": 1.0, "hat": 0.1, "long_hair": 0.6, "wings": 0.0, "smile": 0.5}
    outline = Outline("dcgan", 64, tuple(shares), tuple(shares.values()), 0, 128, 128)
    assert outline.telling_tags == ["smile", "long_hair", "hat"]


def test_a_network_is_read_once(workspace: Workspace) -> None:
    models = Models(workspace)
    first = models.opened("plain0001@64")
    assert models.opened("plain0001@64") is first
    assert models.opened("plain") is first


def test_what_was_opened_a_moment_ago_is_at_hand(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ganime.studio.models.FRESH_S", 3600.0)  # however slow this machine is
    models = Models(workspace, "plain")
    assert models.at_hand("plain0001@64") is None
    first = models.opened("")
    assert all(models.at_hand(name) is first for name in ("", "plain0001@64"))
    assert models.at_hand("plain") is None  # for all that it knows there may be others by now
    for name in ("tagged001", "styled001", "tagged001@64"):
        models.opened(name)
    assert models.at_hand("") is first
    assert models.at_hand("nobody") is None
    monkeypatch.setattr("ganime.studio.models.FRESH_S", 0.0)
    models.opened("tagged")
    assert models.at_hand("tagged") is None  # it is looked for again


def test_a_model_that_is_not_there_is_told_with_those_that_are(workspace: Workspace) -> None:
    with pytest.raises(UnknownModelError, match=r"plain0001, styled001, tagged001"):
        Models(workspace, "nobody").opened("")
    with pytest.raises(UnknownModelError, match="no snapshot at 65"):
        Models(workspace).opened("plain0001@65")


def test_listening_everywhere_needs_names() -> None:
    with pytest.raises(ConfigError, match="hosts"):
        StudioConfig.parse({"host": "0.0.0.0"})


def test_without_a_promoted_model_the_newest_is_used_wherever_it_lies(
    another_snapshot: Callable[..., None],
) -> None:
    workspace = Workspace(f"memory://{uuid.uuid4().hex}")
    for name in ("tagged001", "styled001", "plain0001"):  # against the alphabet
        another_snapshot(workspace, name, 64)
    assert Models(workspace).opened("").model_id == "plain0001"
