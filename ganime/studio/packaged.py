"""The one model of a model package, served without a workspace and without torch."""

from functools import partial
from pathlib import Path

from ganime.lite.package import Package, open_package
from ganime.studio import directions
from ganime.studio.attributes import Sought
from ganime.studio.carrying import offered
from ganime.studio.directions import Directions
from ganime.studio.models import Listed, Opened, UnknownModelError
from ganime.studio.onnx_engine import OnnxEngine
from ganime.studio.outlines import Outline, shares_of


class PackagedModel:
    """A `Catalogue` of one model.

    Args:
        path: The package: `ganime models export --onnx` makes it.

    Raises:
        ConfigError: there is no such file, it has no graphs, or onnxruntime is missing.
        WeightsError: it is damaged.
    """

    def __init__(self, path: Path) -> None:
        package = open_package(path)
        self._path, described = path, package.description
        engine = OnnxEngine(package)
        self._opened = Opened(
            described.model_id,
            described.nimg,
            engine,
            described.trained_on.dataset,
            partial(_directions, engine, package),
        )
        self._listed = _listed(package, engine)

    def listed(self) -> list[Listed]:
        """See `Catalogue`."""
        return [self._listed]

    def opened(self, reference: str) -> Opened:
        """See `Catalogue`; a reference is written as those of a workspace's models."""
        head, _, shown = reference.partition("@")
        one = self._opened
        if not one.model_id.startswith(head) or shown not in ("", str(one.nimg)):
            raise UnknownModelError(
                f"no model is called {reference!r:.80}; {self._path} holds {one.reference}"
            )
        return one

    def at_hand(self, reference: str) -> Opened:
        """See `Catalogue`; the one model always is."""
        return self.opened(reference)


def _directions(engine: OnnxEngine, package: Package) -> Directions:
    """Those that came along before those that can be found here."""
    brought = {name: one.step for name, one in package.directions.items()}
    return Directions({**directions.computed(engine).steps, **brought})


def _listed(package: Package, engine: OnnxEngine) -> Listed:
    described, brought = package.description, package.directions
    outline = Outline(
        recipe=described.recipe,
        resolution=engine.resolution,
        tag_names=described.tag_names,
        tag_shares=shares_of(package.tag_examples),
        num_styles=engine.num_styles,
        code_length=engine.code_length,
        num_principal=max(engine.num_principal, sum(one.startswith("pca-") for one in brought)),
    )
    metrics = {
        str(row["metric"]): value
        for row in described.scores
        if "metric" in row and isinstance(value := row.get("value"), float)
    }
    nimg, dataset = described.nimg, described.trained_on.dataset
    sought = Sought(offered(brought))
    return Listed(described.model_id, nimg, True, dataset, metrics, outline, sought)
