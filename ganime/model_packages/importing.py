"""Put a package into a workspace as a model that everything else can use."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from pydantic import Field

from ganime.config import Config
from ganime.errors import ConfigError, ImageError, ManifestError
from ganime.gans import GANS
from ganime.images import decode
from ganime.lite.archive import CARD, DIRECTIONS, MEMBERS, MODEL, SAMPLES, WEIGHTS, refused
from ganime.lite.package import PREFIX, TAG_EXAMPLES, Package, open_package
from ganime.model_packages.facts import ORIGIN, ModelFacts, brought_key, facts_of
from ganime.rows import EvaluationRow, MetricRow
from ganime.store.manifest import Provenance, Table, to_arrow
from ganime.store.workspace import Workspace
from ganime.training.generator import Blueprint
from ganime.training.keys import config_key, finished_key, grid_key, snapshot_key

_MOST_IN_A_RECIPE = 65_536  # no width, depth or length of a recipe is near; a hostile one may be


class Origin(Config):
    """Where an imported model came from; what was imported twice is equal."""

    made_by: str = Field(description="ganime and its version that wrote the package.")
    weights_sha256: str = Field(description="Of the package's weights.")
    trained_on: dict[str, Any] = Field(description="What the package says of the images.")


def import_package(workspace: Workspace, path: Path) -> ModelFacts:
    """Make a package's model one of the workspace; importing it again changes nothing.

    Its dataset does not come with it. Nothing is written before all was checked.

    Args:
        workspace: Where to.
        path: The package.

    Returns:
        The model, as it is in the workspace now.

    Raises:
        ConfigError: there is no such file, or the workspace has another model of that id.
        WeightsError: an entry of the package is not what it should be; names it.
    """
    package = open_package(path)
    check_weights(package)
    _check_settings(package)
    _check_texts(package)
    rows = _scores(package)
    _check_against(workspace, package)
    _write(workspace, package, rows)
    return facts_of(workspace, package.description.model_id)


def check_weights(package: Package) -> None:
    """Raise WeightsError unless names, shapes and types are those of the blueprint's network."""
    described = package.description
    try:
        _check_sizes(described.blueprint["recipe"])
        recipe = GANS.build(described.blueprint["recipe"])
        blueprint = Blueprint(recipe, described.resolution, described.tag_names)
        with torch.device("meta"):  # shapes without memory: a hostile width costs nothing
            state = blueprint.network().state_dict()
    except (ValueError, RuntimeError, OverflowError, MemoryError, KeyError) as error:
        raise refused(package.path, MODEL, f"is of no generator known here ({error})") from error
    wanted = {f"{PREFIX}{name}": _form(tensor) for name, tensor in state.items()}
    found = {
        name: _form(tensor) for name, tensor in package.weights.items() if name != TAG_EXAMPLES
    }
    for name in sorted({*wanted, *found}):
        if wanted.get(name) != found.get(name):
            has = found.get(name, "none")
            raise refused(
                package.path,
                WEIGHTS,
                f"has {has} for {name!r:.80}, wanted {wanted.get(name, 'none')}",
            )
    if recipe.num_latents != described.num_latents:
        raise refused(package.path, MODEL, "says another length of latents than its recipe")


def _form(tensor: Any) -> str:
    """Type and shape of a tensor of torch or numpy, which name types alike."""
    return f"{str(tensor.dtype).removeprefix('torch.')} {list(tensor.shape)}"


def _check_sizes(settings: Any) -> None:
    """Raise ValueError where a number in a recipe is beyond all reason."""
    values = settings.values() if isinstance(settings, Mapping) else settings
    for value in values:
        if isinstance(value, Mapping | list):
            _check_sizes(value)
        elif isinstance(value, int | float) and not abs(value) <= _MOST_IN_A_RECIPE:
            raise ValueError(f"{value!r:.40} in its recipe is more than {_MOST_IN_A_RECIPE}")


def _check_settings(package: Package) -> None:
    """Raise WeightsError unless the settings are those of the model described."""
    described, settings = package.description, package.description.settings
    config = settings.get("config")
    expected = {
        "model_id": described.model_id,
        "dataset_version": described.trained_on.dataset,
        "num_images": described.trained_on.num_images,
        "tags": list(described.tag_names),
    }
    for name, value in expected.items():
        if settings.get(name) != value:
            raise refused(package.path, MODEL, f"has settings whose {name} is of another model")
    if not isinstance(config, dict):
        raise refused(package.path, MODEL, "has no settings")
    recipe = config.get("recipe")
    # Names alone: a newer ganime may have given the recipe options since the snapshot was taken.
    if not isinstance(recipe, dict) or recipe.get("name") != described.recipe:
        raise refused(package.path, MODEL, "has settings of another recipe")
    if config.get("resolution") != described.resolution:
        raise refused(package.path, MODEL, "has settings of another resolution")
    sizes = settings.get("parameters", {})
    if not isinstance(sizes, dict) or not all(isinstance(size, int) for size in sizes.values()):
        raise refused(package.path, MODEL, "has settings whose parameters are no numbers")


def _check_texts(package: Package) -> None:
    try:
        decode(package.entries[SAMPLES])
    except ImageError as error:
        raise refused(package.path, SAMPLES, f"is no picture ({error})") from error
    try:
        package.entries[CARD].decode()
    except UnicodeDecodeError as error:
        raise refused(package.path, CARD, "is no text") from error
    listed, digest = package.entries.get(MEMBERS), package.description.trained_on.members_sha256
    if listed is not None and hashlib.sha256(listed).hexdigest() != digest:
        raise refused(package.path, MEMBERS, f"lists other images than {MODEL} says")


def _scores(package: Package) -> list[EvaluationRow]:
    """The evaluations as rows; columns that a package of an older ganime lacks have defaults."""
    model_id, nimg = package.description.model_id, package.description.nimg
    names = {field.name for field in dataclasses.fields(EvaluationRow)}
    rows = []
    for score in package.description.scores:
        known: dict[str, Any] = {name: value for name, value in score.items() if name in names}
        try:
            row = EvaluationRow(**known)
        except TypeError as error:
            raise refused(package.path, MODEL, f"has a score that is none ({error})") from error
        if row.model_id != model_id or row.nimg not in (0, nimg):
            raise refused(package.path, MODEL, "has scores of another model")
        rows.append(row)
    try:
        to_arrow(EvaluationRow, rows)
    except ManifestError as error:
        raise refused(package.path, MODEL, f"has a score that is none ({error})") from error
    return rows


def _check_against(workspace: Workspace, package: Package) -> None:
    """Raise ConfigError if the workspace has another model under the same id."""
    described = package.description
    key = snapshot_key(described.model_id, described.nimg)
    same_settings, same_weights = True, True
    if workspace.exists(config_key(described.model_id)):
        held = json.loads(workspace.read_bytes(config_key(described.model_id)))
        same_settings = held == described.settings
    if workspace.exists(key):
        same_weights = workspace.read_bytes(key) == package.entries[WEIGHTS]
    if not (same_settings and same_weights):
        what = "weights at that snapshot" if same_settings else "settings"
        raise ConfigError(
            f"{workspace.describe()} has a model {described.model_id} already, with other {what}: "
            "import the package into another workspace"
        )


def _write(workspace: Workspace, package: Package, rows: list[EvaluationRow]) -> None:
    described = package.description
    model_id, nimg = described.model_id, described.nimg
    origin = Origin(
        made_by=described.made_by,
        weights_sha256=hashlib.sha256(package.entries[WEIGHTS]).hexdigest(),
        trained_on=described.trained_on.model_dump(mode="json"),
    )
    root, is_new = f"models/{model_id}", not workspace.exists(config_key(model_id))
    if not is_new and workspace.exists(snapshot_key(model_id, nimg)):
        return
    provenance = Provenance(stage="import", revision=1, config=origin, run_id="by hand")
    if rows:
        table = Table(workspace, EvaluationRow, root=root)
        table.write(f"imported-{nimg:09d}", rows, provenance)
    workspace.write_bytes(grid_key(model_id, nimg), package.entries[SAMPLES])
    if package.directions:
        workspace.write_bytes(brought_key(model_id, nimg), package.entries[DIRECTIONS])
    if is_new:
        _write_story(workspace, package, provenance, origin)
    workspace.write_bytes(snapshot_key(model_id, nimg), package.entries[WEIGHTS])
    if is_new:
        # Last: what lists models looks for it, so none is seen half written.
        workspace.write_text(config_key(model_id), json.dumps(described.settings, indent=2))


def _write_story(
    workspace: Workspace, package: Package, provenance: Provenance, origin: Origin
) -> None:
    """What the workspace has itself where a model was trained there."""
    described = package.description
    root = f"models/{described.model_id}"
    rows = [
        MetricRow(nimg=described.nimg, name=name, value=value)
        for name, value in described.health.items()
    ]
    if rows:
        table = Table(workspace, MetricRow, root=root)
        table.write(f"{described.nimg:09d}", rows, provenance)
    workspace.write_text(f"{root}/{ORIGIN}", origin.model_dump_json(indent=1))
    if described.finished is not None:
        workspace.write_text(finished_key(described.model_id), json.dumps(described.finished))
