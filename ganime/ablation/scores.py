"""Score a model against images that neither it nor any other of the ablation was trained on."""

from ganime.metrics.extractors import Extractor
from ganime.rows import EvaluationRow
from ganime.stages import evaluate
from ganime.stages.evaluate import EvaluateConfig
from ganime.store.pixels import Dataset, Pixels
from ganime.store.workspace import Workspace
from ganime.training.keys import snapshots
from ganime.training.snapshot import load_generator


def reference_name(reference: Dataset) -> str:
    """What rows call the held-out images of a dataset version."""
    return f"{reference.name}/{reference.version} holdout"


def score(
    workspace: Workspace,
    config: EvaluateConfig,
    *,
    model_id: str,
    reference: Dataset,
    extractor: Extractor,
    run_id: str,
) -> list[EvaluationRow]:
    """Rows of a model's last snapshot; what was measured before is not again.

    Args:
        workspace: Where.
        config: Which metrics, how many samples, which seed.
        model_id: The model.
        reference: Its held-out images are what all models are held against.
        extractor: Network to measure in.
        run_id: Of this run.

    Raises:
        ConfigError: too few images for a metric.
    """

    def sample(nimg: int, num: int, seed: int) -> Pixels:
        return load_generator(workspace, model_id, nimg).sample(num, seed)

    return evaluate.run(
        workspace,
        config,
        model_id=model_id,
        reals=reference.split("holdout"),
        reference=reference_name(reference),
        extractor=extractor,
        sample=sample,
        snapshots=snapshots(workspace, model_id)[-1:],
        run_id=run_id,
    )
