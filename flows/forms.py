"""What forms name: choices, the newest of things where nothing is said, and the names of runs."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

from prefect.runtime import flow_run

from ganime.errors import ConfigError
from ganime.promotion import current
from ganime.recurate import find_dataset, find_reference
from ganime.stages.curate import DatasetRef
from ganime.store.lineage import models
from ganime.store.workspace import Workspace
from ganime.training.keys import snapshots, trained_at
from ganime.training.pictures import find_model

RecipeName = Literal[
    "projected", "dcgan", "lsgan", "wgan_gp", "progan", "stylegan2", "fastgan", "r3gan"
]
Budget = Literal["minutes", "evening", "night"]
NEWEST = "latest"


def dataset_named(store: Workspace, dataset: str) -> DatasetRef:
    """The dataset version that a form names; nothing or `latest` is the newest of the only one.

    Raises:
        ConfigError: there is none, or more than one; lists them.
    """
    name, _, version = dataset.partition("/")
    if NEWEST in (version, dataset):
        dataset = "" if dataset == NEWEST else name
    return find_dataset(store, dataset)


def reference_named(
    store: Workspace, reference: str, learned_from: Mapping[str, str]
) -> DatasetRef:
    """The real images that a form names; nothing is what all these models learned from.

    Args:
        store: Where.
        reference: As for `dataset_named`.
        learned_from: By model, the name/version that it learned from.

    Raises:
        ConfigError: see `dataset_named`, and `ganime.recurate.find_reference`.
    """
    asked = str(dataset_named(store, reference)) if reference else ""
    return find_reference(store, learned_from, asked)


def model_named(store: Workspace, model: str) -> str:
    """The model that a form names: its id or the first digits; nothing or `latest` is the newest.

    Raises:
        ConfigError: none or several fit; lists those there are.
    """
    if model not in ("", NEWEST):
        return find_model(store, model)
    usable = [name for name in models(store) if snapshots(store, name)]
    if not usable:
        raise ConfigError(f"{store.describe('models')} holds no model yet: train one first")
    return max(usable, key=lambda name: (trained_at(store, name), name))


def rival_named(store: Workspace, model: str, other: str) -> str:
    """The model to hold another against; nothing is the current one.

    Raises:
        ConfigError: none is current, or it is the other itself.
    """
    if model:
        return model_named(store, model)
    promoted = current(store) or ""
    if promoted in ("", other):
        found = f"{promoted} is the current model" if promoted else "no model is the current one"
        raise ConfigError(f"which model is {other} to be compared with? {found}: name another")
    return promoted


def run_named(flow: str, *parameters: str) -> Callable[[], str]:
    """Names runs after their flow and some parameters; what a form leaves empty is the newest.

    Args:
        flow: The flow's name.
        parameters: Names of the parameters.
    """

    def name() -> str:
        given: dict[str, Any] = flow_run.parameters or {}
        return "-".join([flow, *(str(given.get(one) or "newest") for one in parameters)])

    return name
