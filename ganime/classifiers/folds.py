"""Which examples are held out together in cross-validation."""

import hashlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ganime.classifiers.logistic import Answers
from ganime.rows import NeighbourRow
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace


def assign_folds(
    keys: Sequence[str], answers: Answers, groups: Sequence[str], *, folds: int, seed: int
) -> npt.NDArray[np.int64]:
    """Stratified folds that keep groups whole; they depend on the keys, not on their order.

    Args:
        keys: Name of each example [N].
        answers: Yes or no [N].
        groups: Examples of one group, for example near-duplicates, share a fold [N].
        folds: At most so many; fewer where the rarer answer has fewer groups.
        seed: Shuffles.

    Returns:
        Fold of each example, from 0 [N].
    """
    members: dict[str, list[int]] = {}
    for i in sorted(range(len(keys)), key=lambda i: keys[i]):
        members.setdefault(groups[i], []).append(i)
    yes = {name: int(answers[indices].sum()) for name, indices in members.items()}
    both = [sum(count > 0 for count in yes.values()), sum(count == 0 for count in yes.values())]
    count = max(2, min(folds, *both))
    filled = np.zeros((count, 2), np.int64)  # yes, all
    result = np.zeros(len(keys), np.int64)

    def order(name: str) -> tuple[int, int, str]:
        # The largest first, so that later ones can even out; a hash shuffles the rest.
        mixed = hashlib.sha256(f"{seed} {keys[members[name][0]]}".encode()).hexdigest()
        return -yes[name], -len(members[name]), mixed

    for name in sorted(members, key=order):
        column = 0 if yes[name] else 1
        fold = int(np.lexsort((filled[:, 1], filled[:, column]))[0])
        result[members[name]] = fold
        filled[fold] += yes[name], len(members[name])
    return result


def neighbour_groups(workspace: Workspace) -> dict[str, str]:
    """Name of the group of each image that has near-duplicate candidates.

    Candidates rather than verified duplicates: for keeping twins in one fold a few too many do no
    harm.
    """
    root: dict[str, str] = {}

    def find(image_id: str) -> str:
        while (above := root.setdefault(image_id, image_id)) != image_id:
            root[image_id] = root[above]
            image_id = above
        return image_id

    table = Table(workspace, NeighbourRow).read(["image_id", "others"])
    for row in table.to_pylist():
        for other in row["others"]:
            first, second = sorted((find(row["image_id"]), find(other)))
            root[second] = first
    return {image_id: find(image_id) for image_id in list(root)}
