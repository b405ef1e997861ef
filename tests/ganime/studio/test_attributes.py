"""Directions towards what classifiers say yes to: found where there is one, told where not."""

import io
import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from httpx import Client
from PIL import Image

from ganime.backbones import BackboneConfig, open_backbone
from ganime.classifiers.head import Examples, HeadConfig, fit_head
from ganime.classifiers.storage import save_classifier
from ganime.config import Config
from ganime.gans.dcgan import Dcgan
from ganime.rows import FeatureRow, MemberRow
from ganime.store.manifest import Provenance, Table
from ganime.store.workspace import Workspace
from ganime.studio.attributes import LEAST_CORRELATION, fit
from ganime.studio.directions import Directions
from ganime.studio.judging import Asked, Judge, Judges
from ganime.studio.serve import StudioConfig, service_of
from ganime.studio.tag_judging import Tagged, Taught, tags_worth_asking
from ganime.studio.torch_engine import TorchEngine
from ganime.training.generator import Blueprint, Generator
from ganime.training.snapshot import load_generator, save_snapshot

MODEL = "plain0001"
BACKBONE = BackboneConfig(weights="none", size=32, batch=64)
AMOUNTS = (-3.0, -1.5, 0.0, 1.5, 3.0)


def brightness(images: np.ndarray) -> np.ndarray:
    return np.asarray(images.mean(axis=(1, 2, 3)))


def add_classifier(
    workspace: Workspace, identity: str, question: str, images: np.ndarray, answers: np.ndarray
) -> None:
    """A head that learned these answers from a random network's features, as classifying does."""
    backbone = open_backbone(workspace, BACKBONE)
    keys = [f"{place:04d}" for place in range(len(images))]
    sure = np.ones(len(images), bool)
    examples = Examples(keys, backbone.descriptions(images), answers, sure, keys)
    fitted = fit_head(examples, HeadConfig(kind="linear", folds=3, components=16), seed=0)
    scope = f"{backbone.id}-pad-r1"
    settings = {
        "question": {"question": question},
        "backbone": BACKBONE.model_dump(mode="json"),
        "features": scope,
    }
    provenance = Provenance(stage="classify", revision=1, config=Config(), run_id="r")
    figures = {"question": question, "features": scope}
    save_classifier(workspace, identity, fitted.head, {}, settings, figures, provenance)


def plant_brightness(network: torch.nn.Module) -> None:
    """Let one map of every layer pass a number of the latent on, up to all colours."""
    linear, *convs = [
        one for one in network.modules() if isinstance(one, torch.nn.Linear | torch.nn.Conv2d)
    ]
    norms = [one for one in network.modules() if isinstance(one, torch.nn.BatchNorm2d)]
    linear.weight[:16] = 0  # the first map, 4 x 4
    linear.weight[:16, 2] = 1
    norms[0].bias[0] = 4  # no rectifier cuts it off
    for conv in convs[:-1]:
        conv.weight[0] = 0
        conv.weight[0, 0, 1, 1] = 1
    convs[-1].weight[:, 0] = 0
    convs[-1].weight[:, 0, 1, 1] = 0.25


@pytest.fixture(scope="module")
def generator(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Generator]:
    """A lively generator of random weights in a workspace."""
    torch.manual_seed(0)
    blueprint = Blueprint(Dcgan(latent=8, width_generator=4, widest=16), 32)
    network = blueprint.network().eval()
    with torch.no_grad():
        for weights in network.parameters():
            weights.mul_(8 if weights.dim() > 1 else 1)  # at first it draws grey alone
        plant_brightness(network)
    workspace = Workspace(str(tmp_path_factory.mktemp("attributes")))
    save_snapshot(workspace, MODEL, 64, network, blueprint)
    workspace.write_text(f"models/{MODEL}/config.json", json.dumps({"model_id": MODEL}))
    return workspace, load_generator(workspace, MODEL, 64)


@pytest.fixture(scope="module")
def judged(generator: tuple[Workspace, Generator]) -> Workspace:
    """With a classifier of what is bright, and one of lots that were drawn."""
    workspace, network = generator
    images = network.images(*network.blueprint.of_seeds(range(5000, 5400)))
    bright = brightness(images) > np.median(brightness(images))
    add_classifier(workspace, "b" * 12, "bright", images, bright)
    drawn = np.random.default_rng(0).random(len(images)) < 0.5
    add_classifier(workspace, "d" * 12, "drawn", images, drawn)
    return workspace


def test_the_direction_of_a_linear_score_is_found_and_measured_in_deviations() -> None:
    rng = np.random.default_rng(0)
    codes = rng.normal(size=(1024, 32)).astype(np.float32)
    truth = np.zeros(32, np.float32)
    truth[3] = 2.0
    found = fit(codes, 1 / (1 + np.exp(-codes @ truth)))
    assert found.correlation > 0.99
    np.testing.assert_allclose(found.step, truth / 2, atol=0.05)


def test_a_random_score_has_no_direction() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        codes = rng.normal(size=(1024, 128)).astype(np.float32)
        assert fit(codes, rng.random(1024)).correlation < LEAST_CORRELATION


def test_a_constant_score_has_no_direction() -> None:
    codes = np.random.default_rng(0).normal(size=(64, 8)).astype(np.float32)
    found = fit(codes, np.full(64, 0.25))
    assert found.correlation == 0
    assert np.isfinite(found.step).all()


def test_what_is_held_stays_as_it_is(generator: tuple[Workspace, Generator]) -> None:
    engine = TorchEngine(generator[1])
    hair, dress = np.eye(8, dtype=np.float32)[:2]
    directions = Directions({"question:a@1": hair + dress, "question:b@2": 3 * dress})
    start = np.ones(8, np.float32)
    moved = directions.move(engine, "question:a@1", start, 2.0, ["question:b@2"])
    np.testing.assert_allclose(moved, start + 2 * hair, atol=1e-6)
    itself = directions.move(engine, "question:a@1", start, 2.0, ["question:a@1"])
    np.testing.assert_allclose(itself, start + 2 * (hair + dress))


def test_a_slider_of_a_question_raises_what_its_classifier_says(
    judged: Workspace, serve_with: Callable[..., Any]
) -> None:
    with (
        closing(service_of(judged, StudioConfig())) as service,
        serve_with(service) as url,
        Client(base_url=url, timeout=240) as client,
    ):
        (before,) = client.get("/v1/models").json()["models"]
        assert (before["unsought"], before["without"]) == (["bright", "drawn"], [])
        (after,) = client.post("/v1/directions", json={}).json()["models"]
        assert (after["unsought"], after["without"]) == ([], ["drawn"])
        (bright,) = [one for one in after["directions"] if one["kind"] == "question"]
        assert bright["name"] == f"question:bright@{'b' * 12}"
        assert bright["correlation"] >= LEAST_CORRELATION
        assert bright["high"] - bright["low"] > 0.1
        # What was found is there for whoever comes next, and looked for once only.
        drawn_before = service.meters.images.value
        assert client.post("/v1/directions", json={}).json()["models"] == [after]
        assert client.get("/v1/models").json()["models"] == [after]
        assert service.meters.images.value == drawn_before
        shown = [mean_brightness(client, {bright["name"]: amount}) for amount in AMOUNTS]
        assert shown == sorted(shown)
        assert shown[-1] - shown[0] > 1
    with (
        closing(service_of(judged, StudioConfig())) as service,
        serve_with(service) as url,
        Client(base_url=url, timeout=240) as client,
    ):
        assert mean_brightness(client, {bright["name"]: 3.0}) == shown[-1]
        for unknown in (f"question:dark@{'b' * 12}", f"question:drawn@{'d' * 12}"):
            body = {"seeds": [1], "shift": {unknown: 1.0}}
            refused = client.post("/v1/images", json=body)
            assert refused.status_code == 422
            assert bright["name"] in refused.json()["detail"]


def mean_brightness(client: Client, shift: dict[str, float]) -> float:
    """Of characters that took no part in the search."""
    seeds = [*range(9000, 9040)]
    body = {"seeds": seeds, "shift": shift, "sheet": True}
    answer = client.post("/v1/images", json=body).raise_for_status()
    return float(np.asarray(Image.open(io.BytesIO(answer.content))).mean())


def test_a_classifier_whose_network_is_gone_is_told_and_hides_no_models(
    generator: tuple[Workspace, Generator],
    tmp_path: Path,
    serve_with: Callable[..., Any],
) -> None:
    workspace, network = Workspace(str(tmp_path / "workspace")), generator[1]
    save_snapshot(workspace, MODEL, 64, network.network, network.blueprint)
    workspace.write_text(f"models/{MODEL}/config.json", "{}")
    settings = {
        "question": {"question": "bright"},
        "backbone": BACKBONE.model_dump(mode="json"),
        "features": "resnet18-32-0123456789ab-pad-r1",
    }
    workspace.write_text("classifiers/0123456789ab/config.json", json.dumps(settings))
    workspace.write_text("classifiers/0123456789ab/figures.json", "{}")
    workspace.write_text("classifiers/ba9876543210/config.json", "damaged")
    workspace.write_text("classifiers/ba9876543210/figures.json", "{}")
    with (
        closing(service_of(workspace, StudioConfig())) as service,
        serve_with(service) as url,
        Client(base_url=url, timeout=240) as client,
    ):
        assert client.get("/v1/models").json()["models"][0]["unsought"] == ["bright"]
        refused = client.post("/v1/directions", json={})
        assert refused.status_code == 503
        assert client.post("/v1/images", json={"seeds": [1]}).is_success


def add_dataset(workspace: Workspace, images: np.ndarray, tags: dict[str, np.ndarray]) -> str:
    """A version with these tags, and its images' features as classifying leaves them; its scope."""
    backbone = open_backbone(workspace, BACKBONE)
    scope, ids = f"{backbone.id}-pad-r1", [f"{place:064x}" for place in range(len(images))]
    told = [{"tag": name, "images": int(has.sum())} for name, has in tags.items()]
    workspace.write_text("datasets/girls/v1/tags.json", json.dumps({"tags": told}))
    members = [
        MemberRow(
            image_id=item,
            shard="images.npy",
            offset=place,
            split="train",
            tags=[name for name, has in tags.items() if has[place]],
        )
        for place, item in enumerate(ids)
    ]
    made = Provenance(stage="curate", revision=1, config=Config(), run_id="r")
    Table(workspace, MemberRow, root="datasets/girls/v1").write("members", members, made)
    measured = Provenance(stage="classify", revision=1, config=BACKBONE, run_id="r")
    rows = [
        FeatureRow(image_id=item, features=found.tolist(), run_id="r")
        for item, found in zip(ids, backbone.descriptions(images), strict=True)
    ]
    Table(workspace, FeatureRow, scope).write("a", rows, measured)
    return scope


@pytest.fixture(scope="module")
def tagged(
    generator: tuple[Workspace, Generator], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Workspace, str]:
    """A model without tags of a dataset with them, one that shows and one that does not."""
    workspace, network = Workspace(str(tmp_path_factory.mktemp("tagged"))), generator[1]
    save_snapshot(workspace, MODEL, 64, network.network, network.blueprint)
    told = {"model_id": MODEL, "dataset_version": "girls/v1", "num_images": 400, "tags": []}
    workspace.write_text(f"models/{MODEL}/config.json", json.dumps(told))
    images = network.images(*network.blueprint.of_seeds(range(5000, 5400)))
    places = np.arange(len(images))
    tags = {
        "1girl": places >= 0,
        "bright": brightness(images) > np.median(brightness(images)),
        "smile": np.random.default_rng(0).random(len(images)) < 0.5,
        "rare": places < 3,
    }
    return workspace, add_dataset(workspace, images, tags)


def test_a_tag_that_features_tell_has_a_slider_without_a_classifier(
    tagged: tuple[Workspace, str], serve_with: Callable[..., Any]
) -> None:
    with (
        closing(service_of(tagged[0], StudioConfig())) as service,
        serve_with(service) as url,
        Client(base_url=url, timeout=240) as client,
    ):
        (before,) = client.get("/v1/models").json()["models"]
        assert before["unsought"] == ["bright", "smile"]  # all have 1girl, too few have rare
        (after,) = client.post("/v1/directions", json={}).json()["models"]
        assert (after["unsought"], after["without"]) == ([], [])  # nobody asked for a smile
        (bright,) = [one for one in after["directions"] if one["kind"] == "question"]
        assert bright["name"].startswith("question:bright@")
        assert bright["high"] - bright["low"] > 0.1
        shown = [mean_brightness(client, {bright["name"]: amount}) for amount in AMOUNTS]
        assert shown == sorted(shown)


def test_a_tag_that_features_do_not_tell_has_no_head(tagged: tuple[Workspace, str]) -> None:
    images = Tagged(tagged[0], "girls/v1", tagged[1])
    assert images.head("bright") is not None
    assert images.head("smile") is None
    assert images.head("rare") is None


def test_tags_that_a_model_takes_or_classifiers_answer_are_not_asked_for_again(
    tagged: tuple[Workspace, str],
) -> None:
    workspace, judges = tagged[0], Judges(tagged[0])
    asked = judges.asked()
    assert (list(asked.judges), asked.scope) == ([], tagged[1])
    taught = Taught("girls/v1", 400)
    assert [one.question for one in judges.of(taught, asked)] == ["bright", "smile"]
    taking = Taught("girls/v1", 400, ("bright",))
    assert [one.question for one in judges.of(taking, asked)] == ["smile"]
    classifier = Judge("smile", "c" * 12)
    found = judges.of(taught, Asked([classifier], asked.scope))
    assert [one.question for one in found] == ["smile", "bright"]
    assert found[0] is classifier
    assert judges.of(Taught(), asked) == []
    assert tags_worth_asking(workspace, Taught("gone/v1", 400)) == []


def test_features_that_are_gone_leave_a_tag_unasked(
    tagged: tuple[Workspace, str], caplog: pytest.LogCaptureFixture
) -> None:
    gone = Judge("bright", "e" * 12, "girls/v1", "resnet18-32-0123456789ab-pad-r1")
    assert Judges(tagged[0]).bench([gone]).judges == []
    assert "holds no features" in caplog.text


@pytest.mark.slow
def test_the_page_finds_sliders_and_its_address_holds_them(
    judged: Workspace, serve_with: Callable[..., Any], visit_page: Callable[..., Any]
) -> None:
    name = f"question:bright@{'b' * 12}"
    slider = f"document.getElementById('slide-{name}')"
    picked = "new URLSearchParams(location.search).get('pick')"
    drawn = f"document.querySelector('#one > .stage img').src.includes({picked})"

    async def visit(tab: Any) -> None:
        await tab.open("?tab=sliders")
        await tab.click("#find-sliders")
        await tab.until(f"!!{slider} && !document.querySelector('.finder')")
        said = await tab.value("document.querySelector('.sliders').textContent")
        assert "No slider was found for drawn" in said
        await tab.click(f"[id='hold-{name}']")
        await tab.until(f"document.getElementById('hold-{name}').ariaPressed", "true")
        await tab.value(f"{slider}.value = 1.5; {slider}.dispatchEvent(new Event('change'))")
        await tab.until(f"{slider}.parentElement.classList.contains('moved')")
        await tab.until(drawn)
        await tab.reload()
        await tab.until(f"!!{slider} && {slider}.value", "1.5")
        await tab.until(drawn)
        assert await tab.value(f"document.getElementById('hold-{name}').ariaPressed") == "true"
        assert tab.complaints == []

    for key in judged.list(f"models/{MODEL}/studio", ".json"):  # what other tests found
        judged.remove(key)
    with closing(service_of(judged, StudioConfig())) as service, serve_with(service) as url:
        visit_page(url, visit)
