"""Score snapshots of a generator: the Fréchet distance of samples to the dataset's images."""

import logging
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from ganime.backbones import BackboneConfig, open_backbone
from ganime.config import Config, digest_of
from ganime.errors import ConfigError
from ganime.metrics.extractors import Extractor
from ganime.metrics.extractors.backbone import BackboneExtractor
from ganime.metrics.extractors.inception import InceptionSettings
from ganime.metrics.frechet import frechet_distance, statistics
from ganime.metrics.reference import Reference, reference_statistics
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
        return InceptionSettings(weights=config.inception_weights).open(workspace)
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
        known = reference_statistics(
            *(workspace, reals, reference, extractor), num_fake=config.num_fake, seed=config.seed
        )
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
