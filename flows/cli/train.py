"""`ganime train`: another generator on a dataset that is there."""

from typing import Annotated, Literal, cast

from flows.cli.console import flow_server, importing, open_workspace, say
from flows.cli.options import (
    HOW,
    WHAT,
    DatasetArgument,
    DebugOption,
    RecipeOption,
    WorkspaceOption,
    option,
)

Budget = Literal["minutes", "evening", "night"]


def train(
    dataset: DatasetArgument = "",
    /,
    *,
    recipe: RecipeOption = "projected",
    budget: Annotated[Budget, option(WHAT, "How long: minutes, evening or night.")] = "minutes",
    nimg: Annotated[int | None, option(WHAT, "Images to show instead.", least=1)] = None,
    tags: Annotated[
        tuple[str, ...],
        option(WHAT, "Tags it can be asked for later, or all; repeatable.", "--tags"),
    ] = (),
    set: Annotated[
        tuple[str, ...],
        option(HOW, "Any other setting, for example recipe.lr=1e-3 or batch=32.", "--set"),
    ] = (),
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Train a generator on a dataset; the same command carries on after an interruption.

    Examples:

        ganime train --recipe stylegan2 --budget evening

        ganime train characters --recipe stylegan2 --tags all --set augment.name=ada
    """
    store = open_workspace(workspace, debug=debug)
    from ganime.recurate import find_dataset
    from ganime.store.pixels import Dataset

    found = find_dataset(store, dataset)
    side = Dataset(store, found.name, found.version).images.shape[1]
    with flow_server() as ready:
        with importing():
            from flows.forms import RecipeName
            from flows.train_gan import train_gan
            from ganime.presets import training

        wishes = {"nimg": nimg, "tags": tags or None}
        training(recipe, side, budget, wishes, set)  # a wrong setting is found out now
        asked = (*([] if nimg is None else [f"nimg={nimg}"]), *set)
        ready()
        model = train_gan(workspace, str(found), cast(RecipeName, recipe), budget, tags, asked)
    place = store.describe(f"models/{model}")
    say(f"model {model} in {place}", f"see it: ganime generate {model[:8]} --grid")
