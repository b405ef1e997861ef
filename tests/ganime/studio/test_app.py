import base64
import io
import json
import time
import zipfile
from collections.abc import Callable

import numpy as np
import pytest
from httpx import Client, Response
from PIL import Image

from ganime import promotion
from ganime.store.workspace import Workspace
from ganime.studio.characters import Character
from ganime.studio.service import Service
from ganime.training.snapshot import load_generator


def pixels(answer: Response | bytes) -> np.ndarray:
    content = answer if isinstance(answer, bytes) else answer.content
    return np.asarray(Image.open(io.BytesIO(content)))


def test_models_are_listed_with_what_they_can(client: Client) -> None:
    found = {one["name"]: one for one in client.get("/v1/models").json()["models"]}
    assert found.keys() == {"plain0001", "tagged001", "styled001"}
    plain, tagged, styled = found["plain0001"], found["tagged001"], found["styled001"]
    assert (plain["recipe"], plain["resolution"], plain["nimg"]) == ("dcgan", 32, 64)
    assert (plain["current"], styled["current"]) == (True, False)
    assert (plain["tags"], plain["styles"]) == ([], False)
    assert (tagged["tags"], tagged["styles"]) == (["blue_hair", "long_hair", "dress"], False)
    assert (styled["styles"], styled["num_styles"]) == (True, 8)
    assert styled["layers"] == {"coarse": [0, 1, 2, 3], "middle": [4, 5, 6, 7], "fine": []}
    ways = [(one["name"], one["kind"], one["scale"]) for one in plain["directions"]]
    assert ways[0] == ("pca-1", "pca", 3.0)
    ways = [(one["name"], one["kind"], one["scale"]) for one in tagged["directions"]]
    assert ("tag:dress", "tag", 1.0) in ways
    assert (plain["unsought"], plain["without"]) == ([], [])  # there are no classifiers
    assert plain["id"] == "plain0001@64"


def test_one_image_is_its_file_and_says_what_it_is(client: Client) -> None:
    answer = client.post("/v1/images", json={"seeds": [7]})
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["x-ganime-seed"] == "7"
    assert pixels(answer).shape == (32, 32, 3)
    entries = Image.open(io.BytesIO(answer.content)).text
    assert (entries["ganime:model"], entries["ganime:seed"]) == ("plain0001", "7")
    assert Character.parse(json.loads(entries["ganime:settings"])).seed == 7


def test_the_address_of_an_image_gives_the_same_bytes_for_ever(client: Client) -> None:
    told = client.post("/v1/images", json={"seeds": [3, 4], "truncation": 0.7}).json()["images"]
    addresses = [one["url"] for one in told]
    first = [client.get(address) for address in addresses]
    assert first[0].content != first[1].content
    assert "immutable" in first[0].headers["cache-control"]
    posted = client.post("/v1/images", json={"seeds": [3], "truncation": 0.7})
    assert posted.content == first[0].content
    tag = {"If-None-Match": first[0].headers["etag"]}
    assert client.get(addresses[0], headers=tag).status_code == 304


def test_an_address_without_a_snapshot_is_not_kept_for_ever(client: Client) -> None:
    name = Character(model="plain0001", seed=3).name()
    assert client.get(f"/v1/images/{name}.png").headers["cache-control"] == "no-cache"


def test_an_address_stays_as_it_was_when_training_goes_on(
    client: Client, workspace: Workspace, another_snapshot: Callable[..., None]
) -> None:
    address = client.post("/v1/images", json={"seeds": [3, 4]}).json()["images"][0]["url"]
    before = client.get(address).content
    another_snapshot(workspace, "plain0001", 128, seed=1)
    assert client.get(address).content == before
    deadline = time.monotonic() + 60
    asked = {"seeds": [3], "model": "plain0001"}
    while (after := client.post("/v1/images", json=asked)).headers[
        "x-ganime-model"
    ] == "plain0001@64":
        assert time.monotonic() < deadline  # the new snapshot is seen within a second
        time.sleep(0.05)
    assert after.headers["x-ganime-model"] == "plain0001@128"
    assert not np.array_equal(pixels(after), pixels(before))


def test_an_image_is_the_same_alone_and_among_others(client: Client) -> None:
    wishes = {"model": "styled001", "truncation": 0.8}
    for model in ("plain0001", "tagged001", "styled001"):
        told = client.post(
            "/v1/images", json={**wishes, "model": model, "seeds": [*range(20)], "inline": True}
        )
        together = [base64.b64decode(one["data"]) for one in told.json()["images"]]
        for seed in (0, 5, 15, 19):
            alone = client.post("/v1/images", json={**wishes, "model": model, "seeds": [seed]})
            assert alone.content == together[seed], (model, seed)


def test_the_studio_draws_what_the_library_draws(client: Client, workspace: Workspace) -> None:
    for model in ("plain0001", "tagged001", "styled001"):
        generator = load_generator(workspace, model, 64)
        (expected,) = generator.images(*generator.blueprint.of_seeds([5]))
        found = pixels(client.post("/v1/images", json={"model": model, "seeds": [5]}))
        assert np.abs(found.astype(int) - expected).max() <= 1


def test_without_seeds_some_are_drawn_and_told(client: Client) -> None:
    told = client.post("/v1/images", json={"count": 3}).json()["images"]
    assert len({one["seed"] for one in told}) == 3
    assert told[0]["settings"]["seed"] == told[0]["seed"]


@pytest.mark.parametrize("kind", ["png", "jpeg", "webp"])
def test_files_come_in_three_kinds_and_any_size(client: Client, kind: str) -> None:
    answer = client.post("/v1/images", json={"seeds": [1], "format": kind, "size": 48})
    assert answer.headers["content-type"] == f"image/{kind}"
    assert pixels(answer).shape == (48, 48, 3)


def test_a_sheet_holds_all(client: Client) -> None:
    answer = client.post("/v1/images", json={"count": 5, "sheet": True})
    assert pixels(answer).shape == (64, 96, 3)


def test_a_transparent_ground_has_alpha(client: Client) -> None:
    answer = client.post("/v1/images", json={"seeds": [1], "background": "transparent"})
    assert pixels(answer).shape == (32, 32, 4)


def test_tags_are_what_the_image_is_asked_to_show(client: Client) -> None:
    def drawn(**wishes: object) -> bytes:
        body = {"model": "tagged001", "seeds": [2], **wishes}
        return pixels(client.post("/v1/images", json=body)).tobytes()

    assert drawn(tags=["dress"]) != drawn(not_tags=["dress"])
    assert drawn(tags=["dress", "blue_hair"]) != drawn(tags=["dress"], not_tags=["blue_hair"])


def test_layers_of_another_are_mixed_in(client: Client) -> None:
    def drawn(**wishes: object) -> bytes:
        body = {"model": "styled001", "seeds": [2], "tags": ["dress"], **wishes}
        return pixels(client.post("/v1/images", json=body)).tobytes()

    whole = drawn(mix={"seed": 3, "layers": [*range(8)]})
    assert whole == drawn(seeds=[3])
    assert drawn(mix={"seed": 3, "layers": "coarse"}) not in (whole, drawn())
    assert drawn(mix={"seed": 3, "layers": "coarse", "share": 0}) == drawn()


@pytest.mark.parametrize("model", ["plain0001", "tagged001", "styled001"])
def test_directions_change_an_image_and_are_kept_beside_the_model(
    client: Client, workspace: Workspace, model: str
) -> None:
    def drawn(shift: dict[str, float]) -> bytes:
        body = {"model": model, "seeds": [2], "shift": shift}
        return pixels(client.post("/v1/images", json=body)).tobytes()

    assert drawn({"pca-1": 2.0}) not in (drawn({}), drawn({"pca-1": -2.0}))
    assert drawn({"pca-1": 0.0}) == drawn({})
    assert workspace.list(f"models/{model}/studio", ".safetensors")
    if model != "plain0001":
        assert drawn({"tag:dress": 1.0}) != drawn({"tag:dress": -1.0})


def test_neighbours_are_the_nearer_the_smaller_the_distance(client: Client) -> None:
    own = pixels(client.post("/v1/images", json={"seeds": [5]})).astype(int)

    def difference(distance: float) -> float:
        body = {"seed": 5, "distance": distance, "count": 4}
        told = client.post("/v1/neighbours", json=body).json()["images"]
        drawn = [pixels(client.get(one["url"])) for one in told]
        return float(np.mean([np.abs(one - own).mean() for one in drawn]))

    assert difference(0.0) == 0
    assert difference(0.1) < difference(0.5) < difference(1.0)


def test_neighbours_of_a_neighbour_are_found(client: Client) -> None:
    first = client.post("/v1/neighbours", json={"seed": 5, "count": 1}).json()["images"][0]
    body = {"image": first["settings"], "count": 2}
    told = client.post("/v1/neighbours", json=body).json()["images"]
    assert told[0]["settings"]["near"]["of"]["number"] == 0
    drawn = {client.get(one["url"]).content for one in [first, *told]}
    assert len(drawn) == 3


def test_a_code_can_be_drawn_and_varied(client: Client) -> None:
    code = [0.5] * 16
    one = client.post("/v1/images", json={"codes": [code]})
    assert "x-ganime-seed" not in one.headers
    told = client.post("/v1/neighbours", json={"code": code, "count": 1}).json()["images"][0]
    assert client.get(told["url"]).content != one.content


def test_distinct_characters_are_chosen_from_a_pool(client: Client) -> None:
    told = client.post("/v1/diverse", json={"count": 4, "pool": 16}).json()["images"]
    seeds = [one["seed"] for one in told]
    assert len(set(seeds)) == 4
    assert set(seeds) <= set(range(16))


def test_a_walk_is_a_strip_or_an_animation(client: Client) -> None:
    body = {"model": "styled001", "seeds": [1, 2, 3], "frames": 6, "format": "strip"}
    strip = pixels(client.post("/v1/interpolations", json=body))
    assert strip.shape == (32, 6 * 32, 3)
    for place, seed in enumerate((1, 2, 3)):
        own = client.post("/v1/images", json={"model": "styled001", "seeds": [seed]})
        assert np.array_equal(strip[:, 64 * place : 64 * place + 32], pixels(own))
    for kind in ("gif", "webp"):
        answer = client.post("/v1/interpolations", json={**body, "format": kind})
        assert answer.headers["content-type"] == f"image/{kind}"
        assert Image.open(io.BytesIO(answer.content)).n_frames == 6


def test_a_walk_goes_through_settings_of_one_model(client: Client) -> None:
    images = [{"model": "styled001", "seed": 1, "shift": {"pca-1": 1}}]
    images.append({"model": "styled001", "seed": 2, "mix": {"seed": 9}})
    body = {"images": images, "frames": 3, "format": "strip", "loop": False}
    assert pixels(client.post("/v1/interpolations", json=body)).shape == (32, 96, 3)
    images[0]["model"] = "plain0001"
    refused = client.post("/v1/interpolations", json=body)
    assert refused.status_code == 422
    assert "one model" in refused.json()["detail"]


def test_sprites_come_with_an_atlas_and_a_card(client: Client) -> None:
    images = [{"seed": 1}, {"seed": 2}, {"seed": 3}]
    body = {"images": images, "size": 48, "power_of_two": True}
    archive = zipfile.ZipFile(io.BytesIO(client.post("/v1/sprites", json=body).content))
    assert sorted(archive.namelist()) == [
        *("00.png", "01.png", "02.png", "LICENCE.md", "atlas.json", "sheet.png")
    ]
    sheet = pixels(archive.read("sheet.png"))
    atlas = json.loads(archive.read("atlas.json"))
    assert all(side & (side - 1) == 0 for side in sheet.shape[:2])
    for name, entry in atlas["frames"].items():
        box = entry["frame"]
        part = sheet[box["y"] : box["y"] + box["h"], box["x"] : box["x"] + box["w"]]
        assert np.array_equal(part, pixels(archive.read(name)))
    card = archive.read("LICENCE.md").decode()
    assert "girls/v1" in card
    assert "seeds: 1, 2, 3" in card


def test_the_promoted_model_is_the_usual_one(workspace: Workspace, client: Client) -> None:
    promotion.promote(workspace, "styled001", by="ann")
    # This studio was started for another: what its user said comes first.
    assert client.get("/v1/models").json()["models"][0]["name"] == "plain0001"


def test_counts_are_told_to_prometheus(client: Client) -> None:
    client.post("/v1/images", json={"count": 5, "sheet": True})
    text = client.get("/metrics").text
    assert "ganime_studio_images_total 5" in text
    assert 'ganime_studio_requests_total{route="/v1/images",status="200"} 1' in text
    assert 'ganime_studio_batch_images_bucket{le="8"}' in text
    assert client.get("/healthz").json() == {"status": "ok"}


def test_few_archives_are_made_at_a_time(service: Service, client: Client) -> None:
    asked = {
        "/v1/sprites": {"images": [{"seed": 1}]},
        "/v1/interpolations": {"seeds": [1, 2], "frames": 2},
        "/v1/images": {"count": 2, "sheet": True},
    }
    with service.archive(), service.archive():
        for path, body in asked.items():
            answer = client.post(path, json=body)
            assert (answer.status_code, answer.headers["retry-after"]) == (429, "5")
            assert "2 archives" in answer.json()["detail"]
        assert client.post("/v1/images", json={"seeds": [1]}).is_success  # single ones go on
    for path, body in asked.items():
        assert client.post(path, json=body).is_success
        assert client.post(path, json={**body, "model": "nobody"}).is_client_error
    with service.archive():  # what failed left its room
        assert client.post("/v1/sprites", json=asked["/v1/sprites"]).is_success
