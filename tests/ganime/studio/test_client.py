import io
import re
import subprocess
import zipfile
from pathlib import Path

import pytest
from httpx import Client

from ganime.studio.client import Studio, StudioError

DOCS = Path(__file__).parents[3] / "docs" / "studio.md"


def test_the_client_draws_what_the_address_gives(client: Client) -> None:
    studio = Studio(str(client.base_url))
    assert studio.models()[0]["name"] == "plain0001"
    one, other = studio.images(seeds=[1, 2], truncation=0.7)
    assert (one.seed, other.seed) == (1, 2)
    assert client.post("/v1/images", json=dict(one.settings) | {"seeds": [1], "seed": 1}).is_error
    archive = zipfile.ZipFile(io.BytesIO(studio.sprites([one.settings, other.settings])))
    assert "atlas.json" in archive.namelist()
    assert studio.interpolation(seeds=[1, 2], frames=3)[:4] == b"RIFF"


def test_the_client_says_what_the_studio_says(client: Client) -> None:
    with pytest.raises(StudioError, match="without tags") as found:
        Studio(str(client.base_url)).images(seeds=[1], tags=["dress"])
    assert found.value.status == 422
    with pytest.raises(StudioError, match="does not answer"):
        Studio("http://127.0.0.1:9").models()


def test_the_examples_of_the_docs_do_what_they_say(client: Client, tmp_path: Path) -> None:
    examples = re.findall(r"```sh\n(curl .*?)```", DOCS.read_text(encoding="utf-8"), re.DOTALL)
    assert len(examples) >= 5
    for example in examples:
        command = example.replace("http://127.0.0.1:8500", str(client.base_url).rstrip("/"))
        done = subprocess.run(
            ["bash", "-ec", command.replace("curl ", "curl --fail-with-body -sS ")],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, (example, done.stdout[:300], done.stderr)
    assert (tmp_path / "girl.png").read_bytes()[:4] == b"\x89PNG"
    assert zipfile.ZipFile(tmp_path / "sprites.zip").testzip() is None
