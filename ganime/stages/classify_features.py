"""The measuring half of classifying: the backbone, and its features of every padded image."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from safetensors.torch import save

from ganime.backbones import Backbone, open_backbone
from ganime.backbones.pretraining import train_on_tags, weights_key
from ganime.config import digest_of
from ganime.rows import FeatureRow
from ganime.stages.classify_config import ClassifyConfig
from ganime.store.manifest import Manifest, Provenance, Table, schema_of
from ganime.store.pixels import PaddedPixels
from ganime.store.workspace import Workspace

REVISION = 2  # raise it whenever features change: cached ones then expire

Tags = Mapping[str, frozenset[str]]


def prepare_backbone(
    workspace: Workspace, config: ClassifyConfig, tags: Tags, pad_scope: str, run_id: str
) -> Backbone:
    """The backbone, its weights learned from the tags first if so configured and not done yet.

    Raises:
        WeightsError: the weights cannot be had; says how to give them.
    """
    settings = config.backbone
    key = weights_key(settings)
    if settings.weights == "tags" and not workspace.exists(key):
        padded = PaddedPixels(workspace, pad_scope)
        # Ids are hashes: the first are as good as any.
        chosen = sorted(image_id for image_id in tags if image_id in padded)
        chosen = chosen[: settings.pretraining.max_images]
        images = padded.load(chosen) if chosen else np.empty((0, 1, 1, 3), np.uint8)
        state = train_on_tags(images, [tags[image_id] for image_id in chosen], settings)
        workspace.write_text(
            key.replace("weights.safetensors", "config.json"), settings.model_dump_json(indent=1)
        )
        workspace.write_bytes(key, save(state, {"run_id": run_id, "images": str(len(chosen))}))
    return open_backbone(workspace, settings)


def feature_scope(backbone: Backbone, pad_scope: str) -> str:
    """Scope of the features' table: other pixels or another network give other features."""
    return f"{backbone.id}-{pad_scope}-r{REVISION}"


def plan(
    workspace: Workspace,
    config: ClassifyConfig,
    backbone: Backbone,
    image_ids: Sequence[str],
    pad_scope: str,
) -> list[list[str]]:
    """Shards of padded images that lack features, in the order of their ids."""
    padded = PaddedPixels(workspace, pad_scope)
    table = Table(workspace, FeatureRow, feature_scope(backbone, pad_scope))
    missing = table.missing(sorted(image_id for image_id in image_ids if image_id in padded))
    size = config.shard_size
    return [missing[start : start + size] for start in range(0, len(missing), size)]


def measure(
    workspace: Workspace,
    config: ClassifyConfig,
    backbone: Backbone,
    image_ids: Sequence[str],
    pad_scope: str,
    run_id: str,
) -> Manifest:
    """Features of one shard, committed as one part."""
    features = backbone.descriptions(PaddedPixels(workspace, pad_scope).load(image_ids))
    flat = pa.array(features.reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, backbone.description_dim)
    rows = pa.table(
        [list(image_ids), column.cast(pa.list_(pa.float32())), [run_id] * len(image_ids)],
        schema=schema_of(FeatureRow),
    )
    provenance = Provenance(
        stage="classify",
        revision=REVISION,
        config=config.backbone,
        run_id=run_id,
        parents={"backbone": backbone.weights_digest, "padded": pad_scope},
    )
    table = Table(workspace, FeatureRow, feature_scope(backbone, pad_scope))
    return table.write(digest_of(*image_ids), rows, provenance)
