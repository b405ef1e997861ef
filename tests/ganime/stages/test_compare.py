import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ganime.gans.dcgan import Dcgan
from ganime.metrics.frechet import Frechet
from ganime.rows import DecisionRow, MemberRow
from ganime.stages import compare
from ganime.stages.compare import CompareConfig, Comparison, Contender
from ganime.stages.compare_tags import TagsConfig
from ganime.stages.curate import CurateConfig
from ganime.store.manifest import Provenance, Table
from ganime.store.pixels import Dataset, write_shard
from ganime.store.workspace import Workspace
from ganime.training.generator import Blueprint, Generator

RECIPE = Dcgan(latent=8, width_generator=4, widest=16)
TAGS = ["solo", "smile", "rare"]
NUM = 48


class ColourExtractor:
    """Mean colours: three features that can be worked out by hand."""

    name, metric, weights_digest, resize, dim = "colours", "fd_colours", "0" * 12, "none", 3

    def features(self, images: np.ndarray) -> np.ndarray:
        return images.mean(axis=(1, 2)).astype(np.float32)


def write_dataset(store: Workspace, version: str, numbers: range) -> Dataset:
    """A version with these images, the odd ones smiling; what it lacks a person dropped."""
    root, ids = f"datasets/girls/{version}", [f"{number:064x}" for number in numbers]
    made = Provenance(stage="curate", revision=1, config=CurateConfig(), run_id="r")
    members = [
        MemberRow(image_id=item, shard=f"{root}/images.npy", offset=i, split="train", tags=[])
        for i, item in enumerate(ids)
    ]
    decisions = [
        DecisionRow(
            **{"image_id": f"{number:064x}", "rule": "person", "order": 0, "reason": None},
            **{"score": None, "threshold": None, "evidence": None, "decided_by": "rule"},
            verdict="keep" if number in numbers else "drop",
        )
        for number in range(NUM + 8)
    ]
    Table(store, MemberRow, root=root).write("members", members, made)
    Table(store, DecisionRow, root=root).write("decisions", decisions, made)
    rng = np.random.default_rng(0)
    colours = rng.integers(90, 160, (NUM + 8, 1, 1, 3))[list(numbers)]
    images = np.broadcast_to(colours, (len(ids), 32, 32, 3)).astype(np.uint8)
    write_shard(store, f"{root}/images.npy", images)
    store.write_text(f"{root}/tags.json", json.dumps({"tags": [{"tag": tag} for tag in TAGS]}))
    labels = np.array([[1, number % 2, number < 2] for number in numbers], np.uint8)
    write_shard(store, f"{root}/labels.npy", labels)
    return Dataset(store, "girls", version)


def generator(seed: int, recipe: Dcgan = RECIPE, resolution: int = 32) -> Generator:
    torch.manual_seed(seed)
    network = recipe.generator(resolution).eval()
    return Generator(network, Blueprint(recipe, resolution), 100)


def conditional(seed: int, tags: list[str]) -> Generator:
    """One that was trained on images with tags that come together."""
    torch.manual_seed(seed)
    network = RECIPE.generator(32, len(tags)).eval()
    examples = np.array([[1, 0, 0], [1, 1, 0], [1, 1, 1]], np.uint8)[:, : len(tags)]
    return Generator(network, Blueprint(RECIPE, 32, tuple(tags), examples), 100)


def run(store: Workspace, reference: Dataset, first: Contender, second: Contender) -> Comparison:
    return compare.run(
        store,
        CompareConfig(resamples=10, tags=TagsConfig(num_fake=24)),
        first=first,
        second=second,
        reference=reference,
        extractor=ColourExtractor(),
        metrics=[Frechet()],
        num_fake=60,
        seed=0,
    )


@pytest.fixture
def store(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path))


def test_a_comparison_is_written_as_numbers_and_as_a_sheet(store: Workspace) -> None:
    reals = write_dataset(store, "v1", range(NUM))
    contenders = [Contender(name, "girls/v1", generator(seed)) for seed, name in enumerate("ab")]

    found = run(store, reals, *contenders)

    written = json.loads(store.read_bytes("comparisons/a-b.json"))
    assert (written["first"], written["second"]) == ("a@100", "b@100")
    assert written["gaps"][0]["verdict"] == found.gaps[0].verdict
    assert (found.reference, found.counts, found.paired) == ("girls/v1", (NUM, 60), True)
    assert (found.only_first, found.only_second, found.seen) == ({}, {}, (1.0, 1.0))
    sheet = Image.open(io.BytesIO(store.read_bytes("comparisons/a-b.png")))
    assert sheet.size == (8 * 32 + 16, 8 * 32)
    assert sheet.info["ganime:left"] == "a@100"
    left = contenders[0].generator.sample(1, 0)[0]
    np.testing.assert_allclose(np.asarray(sheet)[:32, :32].astype(int), left, atol=1)


def test_every_common_tag_of_the_reals_is_looked_at(store: Workspace) -> None:
    reals = write_dataset(store, "v1", range(NUM))
    one, other = (Contender(name, "girls/v1", generator(0)) for name in "ab")

    found = run(store, reals, one, other)

    assert [gap.name for gap in found.tags] == ["solo", "smile"]  # two images are too few to tell
    assert all(gap.verdict.startswith("no difference shown") for gap in found.tags)


def test_samples_asked_for_a_tag_are_held_against_the_reals_with_it(store: Workspace) -> None:
    reals = write_dataset(store, "v1", range(NUM))
    one, other = (Contender(id_, "girls/v1", conditional(i, TAGS)) for i, id_ in enumerate("ab"))

    found = run(store, reals, one, other)

    assert [gap.name for gap in found.asked] == ["solo", "smile"]
    assert (found.asked_metric, found.unknown) == ("kid_colours", [])
    assert all(gap.first != gap.second for gap in found.asked)
    assert "kid_colours of samples asked for a tag" in "\n".join(found.lines())
    sheet = Image.open(io.BytesIO(store.read_bytes("comparisons/a-b.tags.png")))
    assert sheet.size == (15 * 32 + 16, 2 * 32)
    real = reals.split("train")[0]
    np.testing.assert_allclose(np.asarray(sheet)[:32, 10 * 32 + 16 :][:, :32], real)


def test_only_what_both_can_be_asked_for_is_asked(store: Workspace) -> None:
    reals = write_dataset(store, "v1", range(NUM))
    one, fewer = (conditional(0, tags) for tags in (TAGS, TAGS[:1]))

    found = run(store, reals, Contender("a", "girls/v1", one), Contender("b", "girls/v1", fewer))
    assert ([gap.name for gap in found.asked], found.unknown) == (["solo"], ["smile"])
    assert "not both can be asked for smile" in found.lines()

    plain = Contender("b", "girls/v1", generator(1))
    unasked = run(store, reals, Contender("a", "girls/v1", one), plain)
    assert (unasked.asked, unasked.unknown) == ([], [])


def test_images_that_only_one_was_trained_on_are_named(store: Workspace) -> None:
    write_dataset(store, "v1", range(NUM))
    reals = write_dataset(store, "v2", range(12, NUM + 4))
    one, other = Contender("a", "girls/v1", generator(0)), Contender("b", "girls/v2", generator(1))

    found = run(store, reals, one, other)

    assert [len(ids) for ids in found.only_first.values()] == [12]
    assert [len(ids) for ids in found.only_second.values()] == [4]
    assert found.seen == (0.9, 1.0)
    text = "\n".join(found.lines())
    assert "A was trained on 90% of these images, B on 100%" in text
    assert "only A has 12 images: now dropped by person, for example 000000000000" in text


def test_other_latents_are_not_paired_and_other_sides_share_a_sheet(store: Workspace) -> None:
    reals = write_dataset(store, "v1", range(NUM))
    wider = generator(1, Dcgan(latent=12, width_generator=4, widest=16), 64)
    one, other = Contender("a", "girls/v1", generator(0)), Contender("b", "girls/v1", wider)

    assert not run(store, reals, one, other).paired
    sheet = Image.open(io.BytesIO(store.read_bytes("comparisons/a-b.png")))
    assert sheet.size == (8 * 64 + 16, 8 * 64)


def test_what_an_imported_model_learned_from_is_not_told(store: Workspace) -> None:
    reals = write_dataset(store, "v1", range(NUM))
    one, other = (
        Contender(name, f"girls/{v}", generator(0)) for name, v in (("a", "v1"), ("b", "gone"))
    )

    found = run(store, reals, one, other)

    assert found.seen == (1.0, None)
    assert (found.only_first, found.only_second, found.settings) == ({}, {}, [])
    text = "\n".join(found.lines())
    assert "A was trained on 100% of these images, B on images that are not here" in text
