"""Score snapshots of a generator: the Fréchet distance of samples to the dataset's images."""

import io
import logging
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from ganime.backbones import BackboneConfig, open_backbone
from ganime.config import Config, digest_of
from ganime.errors import ConfigError, StoreError
from ganime.metrics.extractors import BackboneExtractor, Extractor, inception_extractor
from ganime.metrics.frechet import Numbers, frechet_distance, statistics
from ganime.rows import EvaluationRow
from ganime.store.manifest import Provenance, Table, from_arrow, read_part
from ganime.store.workspace import Workspace

REVISION = 1  # raise it whenever a value changes: cached ones then expire
FLOOR = "_floor"  # ends the name of the distance between reals and reals
log = logging.getLogger(__name__)

Images = npt.NDArray[np.uint8]
Sampler = Callable[[int, int, int], Images]


class EvaluateConfig(Config):
    """How snapshots are scored."""

    num_fake: int = Field(
        1000, ge=2, description="Samples per snapshot; only equal counts can be compared."
    )
    seed: int = Field(0, ge=0, description="Of the latents.")
    extractor: Literal["auto", "backbone", "inception"] = Field(
        "auto", description="auto takes Inception where its weights are given, else the backbone."
    )
    inception_weights: str = Field(
        "", description="Path of pt_inception-2015-12-05-6726825d.pth; the score is then FID."
    )
    floor: bool = Field(
        True, description="Also measure reals against other reals: no generator needs less."
    )

    @model_validator(mode="after")
    def _weights_for_inception(self) -> "EvaluateConfig":
        if self.extractor == "inception" and not self.inception_weights:
            raise ValueError(
                "extractor is inception, but inception_weights is empty: give the path of "
                "pt_inception-2015-12-05-6726825d.pth, or take the backbone"
            )
        return self


@dataclass(frozen=True)
class Reference:
    """Statistics of the real images.

    Attributes:
        mu: Mean of their features [D].
        sigma: Their covariance [D, D].
        num_images: How many.
        floor: Distance between two disjoint parts of them.
        floor_counts: How many images each part had.
    """

    mu: Numbers
    sigma: Numbers
    num_images: int
    floor: float
    floor_counts: tuple[int, int]


def choose_extractor(
    workspace: Workspace, config: EvaluateConfig, backbone: BackboneConfig
) -> Extractor:
    """The network to measure in.

    Args:
        workspace: Where a backbone learned from tags lies.
        config: Which of the two.
        backbone: The classifiers' backbone.

    Raises:
        WeightsError: the weights cannot be had; says how to give them.
    """
    if config.extractor == "inception" or (config.extractor == "auto" and config.inception_weights):
        return inception_extractor(config.inception_weights)
    return BackboneExtractor(open_backbone(workspace, backbone))


def run(
    workspace: Workspace,
    config: EvaluateConfig,
    *,
    model_id: str,
    reals: Images,
    reference: str,
    extractor: Extractor,
    sample: Sampler,
    snapshots: Sequence[int],
    run_id: str,
) -> list[EvaluationRow]:
    """Score the snapshots that lack a score; each is committed as soon as it is known.

    Args:
        workspace: Where.
        config: How many samples, which seed.
        model_id: The model.
        reals: The training images, uint8 sRGB [N, R, R, 3].
        reference: Their name and version.
        extractor: See `choose_extractor`.
        sample: Given nimg of a snapshot, a count and a seed: uint8 sRGB [count, R, R, 3].
        snapshots: nimg of each snapshot.
        run_id: Of this run.

    Returns:
        One row per snapshot, by nimg, whether measured now or before. The floor, the distance of
        reals to other reals, is one more row in the table, with `_floor` after the metric's name
        and nimg 0.

    Raises:
        ConfigError: too few real images.
    """
    if len(reals) < 4:
        raise ConfigError(f"evaluate: {reference} has {len(reals)} images, at least 4 are needed")
    _warn_of_small_sets(config, extractor, len(reals))
    table = Table(workspace, EvaluationRow, root=f"models/{model_id}")
    settings = digest_of(
        *(str(REVISION), extractor.metric, extractor.weights_digest, extractor.resize),
        *(reference, str(len(reals)), str(config.num_fake), str(config.seed)),
    )
    names = {nimg: f"{nimg:09d}-{extractor.metric}-{settings}" for nimg in sorted(set(snapshots))}
    missing = [nimg for nimg, name in names.items() if not table.has(name)]
    floor_name = f"floor-{extractor.metric}-{settings}"
    wants_floor = config.floor and not table.has(floor_name)
    if missing or wants_floor:
        known = reference_statistics(workspace, config, reals, reference, extractor)
        provenance = Provenance(
            stage="evaluate",
            revision=REVISION,
            config=config,
            run_id=run_id,
            parents={"model": model_id, "reference": reference},
        )
        row = _row_maker(config, model_id, reference, extractor, known)
        if wants_floor:
            table.write(floor_name, [row(0, known.floor, is_floor=True)], provenance)
        for nimg in missing:
            value = _distance(known, extractor, sample(nimg, config.num_fake, config.seed))
            table.write(names[nimg], [row(nimg, value)], provenance)
            log.info("evaluate: %s %.3f at %d images shown", extractor.metric, value, nimg)
    return _written(table, list(names.values()))


def reference_statistics(
    workspace: Workspace,
    config: EvaluateConfig,
    reals: Images,
    reference: str,
    extractor: Extractor,
) -> Reference:
    """Statistics of the reals, computed once per reference and extractor, kept in the workspace.

    For the floor the reals are split at random into a part of `num_fake` images, half of them
    where there are too few, and the rest. The split's counts are smaller than those of a score, and
    the distance falls with the counts, so the floor is a little too high.
    """
    smaller = min(config.num_fake, len(reals) // 2)
    name = digest_of(
        *(str(REVISION), reference, str(len(reals)), str(smaller), str(config.seed)),
        *(extractor.name, extractor.weights_digest, extractor.resize),
    )
    key = f"statistics/{name}.npz"
    if (kept := _read_reference(workspace, key)) is not None:
        return kept
    features = extractor.features(reals)
    order = np.random.default_rng(config.seed).permutation(len(reals))
    parts = features[order[smaller:]], features[order[:smaller]]
    mu, sigma = statistics(features)
    found = Reference(
        mu=mu,
        sigma=sigma,
        num_images=len(reals),
        floor=frechet_distance(*statistics(parts[0]), *statistics(parts[1])),
        floor_counts=(len(parts[0]), len(parts[1])),
    )
    _write_reference(workspace, key, found)
    return found


def _row_maker(
    config: EvaluateConfig,
    model_id: str,
    reference: str,
    extractor: Extractor,
    known: Reference,
) -> Callable[..., EvaluationRow]:
    def make(nimg: int, value: float, *, is_floor: bool = False) -> EvaluationRow:
        counts = known.floor_counts if is_floor else (known.num_images, config.num_fake)
        return EvaluationRow(
            model_id=model_id,
            nimg=nimg,
            metric=extractor.metric + (FLOOR if is_floor else ""),
            value=value,
            extractor=extractor.name,
            weights=extractor.weights_digest,
            resize=extractor.resize,
            num_real=counts[0],
            num_fake=counts[1],
            reference=reference,
            seed=config.seed,
        )

    return make


def _distance(known: Reference, extractor: Extractor, fakes: Images) -> float:
    return frechet_distance(known.mu, known.sigma, *statistics(extractor.features(fakes)))


def _written(table: Table[EvaluationRow], names: list[str]) -> list[EvaluationRow]:
    parts = [read_part(table.workspace, table.part_key(name), EvaluationRow) for name in names]
    return [row for part in parts for row in from_arrow(EvaluationRow, part)]


def _warn_of_small_sets(config: EvaluateConfig, extractor: Extractor, num_real: int) -> None:
    for what, count in (("real", num_real), ("generated", config.num_fake)):
        if count < extractor.dim:
            log.warning(
                "evaluate: %d %s images for %d features: the covariance is singular, and %s is "
                "good for ranking snapshots at equal counts, not as an absolute number",
                *(count, what, extractor.dim, extractor.metric),
            )


def _write_reference(workspace: Workspace, key: str, found: Reference) -> None:
    buffer = io.BytesIO()
    np.savez(
        buffer,
        mu=found.mu,
        sigma=found.sigma,
        floor=np.float64(found.floor),
        counts=np.array([found.num_images, *found.floor_counts], np.int64),
    )
    workspace.write_bytes(key, buffer.getvalue())


def _read_reference(workspace: Workspace, key: str) -> Reference | None:
    """None where there is none, or where it is damaged: it can always be made anew."""
    if not workspace.exists(key):
        return None
    try:
        with np.load(io.BytesIO(workspace.read_bytes(key)), allow_pickle=False) as kept:
            count, first, second = (int(value) for value in kept["counts"])
            return Reference(
                kept["mu"], kept["sigma"], count, float(kept["floor"]), (first, second)
            )
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, StoreError) as error:
        log.warning("evaluate: %s is damaged (%s), measuring again", key, error)
        return None
