import hashlib
import io
from pathlib import Path

import numpy as np
import pytest
from httpx import Client
from PIL import Image

from ganime.review.pictures import Pictures
from ganime.review.service import Service
from ganime.stages import pad
from ganime.stages.pad import PadConfig
from ganime.store.originals import Originals
from ganime.store.pixels import PaddedPixels
from ganime.store.workspace import Workspace


def first(client: Client) -> str:
    return str(client.get("/api/images").json()["items"][0]["id"])


def test_a_thumbnail_is_small_re_encoded_and_kept(client: Client, service: Service) -> None:
    image_id = first(client)
    answer = client.get(f"/thumbnails/{image_id}")
    assert answer.headers["content-type"] == "image/webp"
    assert "immutable" in answer.headers["cache-control"]
    with Image.open(io.BytesIO(answer.content)) as image:
        assert max(image.size) <= 256
    # Kept on the disk: it is answered though the original is gone.
    service.workspace.remove(Originals(service.workspace).key(image_id))
    assert client.get(f"/thumbnails/{image_id}").content == answer.content
    assert client.get(f"/originals/{image_id}").status_code == 404


def test_an_original_comes_as_it_was_and_can_do_nothing(client: Client) -> None:
    image_id = first(client)
    answer = client.get(f"/originals/{image_id}")
    assert hashlib.sha256(answer.content).hexdigest() == image_id
    assert answer.headers["content-type"] in ("image/png", "image/jpeg")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert "content-disposition" not in answer.headers
    asked = client.get(f"/originals/{image_id}", params={"download": "1"})
    assert asked.headers["content-disposition"] == f'attachment; filename="{image_id}"'


def test_what_is_no_picture_is_only_ever_a_download(client: Client, service: Service) -> None:
    snapshot = service.snapshot
    row = snapshot.ids.row(first(client))
    facts = {name: np.array(column) for name, column in snapshot.groups["facts"].items()}
    facts["problem"][row] = 0
    notes = {**snapshot.groups["facts"].notes, "problem": ["not_an_image"]}
    columns = type("Changed", (dict,), {"notes": notes})(facts)
    snapshot.groups["facts"] = columns
    answer = client.get(f"/originals/{first(client)}")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-disposition"].startswith("attachment")


def test_the_padded_image_is_that_of_the_dataset(client: Client, workspace: Workspace) -> None:
    image_id = client.get("/api/images", params={"status": "kept"}).json()["items"][0]["id"]
    answer = client.get(f"/padded/{image_id}")
    with Image.open(io.BytesIO(answer.content)) as image:
        pixels = np.asarray(image)
    padded = PaddedPixels(workspace, pad.scope(PadConfig(size=64)))
    np.testing.assert_array_equal(pixels, padded.load([image_id])[0])


def test_an_unknown_image_opens_no_file(client: Client) -> None:
    for kind in ("thumbnails", "originals", "padded"):
        assert client.get(f"/{kind}/{'0' * 64}").status_code == 404
        assert client.get(f"/{kind}/{first(client).upper()}").status_code == 422
        assert client.get(f"/{kind}/labels.db").status_code == 422


def test_a_damaged_original_is_a_missing_picture(client: Client, service: Service) -> None:
    image_id = first(client)
    originals = Originals(service.workspace)
    service.workspace.write_bytes(originals.key(image_id), originals.get(image_id)[:200])
    answer = client.get(f"/thumbnails/{image_id}")
    assert (answer.status_code, answer.json()) == (404, {"error": "truncated"})


@pytest.mark.parametrize("room", [20_000])
def test_thumbnails_keep_to_their_room(service: Service, workspace: Workspace, room: int) -> None:
    pictures = Pictures(workspace, room)
    for row in range(service.snapshot.num_rows):
        pictures.thumbnail(service.snapshot.ids.text(row))
    folder = Path(workspace.shared_folder("review")) / "thumbnails"
    sizes = [path.stat().st_size for path in folder.rglob("*.webp")]
    assert 0 < sum(sizes) <= room
