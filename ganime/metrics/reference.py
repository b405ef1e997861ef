"""What is known of real images, measured once per dataset version, extractor and preprocessing."""

import io
import logging
import zipfile
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ganime.config import digest_of
from ganime.errors import StoreError
from ganime.metrics.extractors import Extractor, Features, Images
from ganime.metrics.frechet import Numbers, frechet_distance, statistics
from ganime.store.workspace import Workspace

REVISION = 1  # raise it whenever kept features or statistics change
log = logging.getLogger(__name__)


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


def real_features(
    workspace: Workspace, reals: Images, reference: str, extractor: Extractor
) -> Features:
    """Features of the reals, from the workspace where they were measured before.

    Args:
        workspace: Where they are kept, under `statistics/`.
        reals: uint8 sRGB [N, H, W, 3].
        reference: Their name and version; equal ones are taken for equal images.
        extractor: Its weights and resizing are part of the name, too.

    Returns:
        float32 [N, D].
    """
    key = f"statistics/{_name(reference, len(reals), extractor)}-features.npy"
    kept = _read_features(workspace, key)
    if kept is not None and kept.shape == (len(reals), extractor.dim):
        return kept
    found = extractor.features(reals)
    buffer = io.BytesIO()
    np.save(buffer, found)
    workspace.write_bytes(key, buffer.getvalue())
    return found


def reference_statistics(
    workspace: Workspace,
    reals: Images,
    reference: str,
    extractor: Extractor,
    *,
    num_fake: int,
    seed: int,
) -> Reference:
    """Statistics of the reals, computed once per reference and extractor, kept in the workspace.

    Another count or seed takes the features that are there.

    Args:
        workspace: Where they are kept.
        reals: uint8 sRGB [N, H, W, 3], N at least 4.
        reference: Their name and version.
        extractor: What to measure in.
        num_fake: See `split_statistics`.
        seed: Of the split.
    """
    smaller = min(num_fake, len(reals) // 2)
    name = _name(reference, len(reals), extractor, str(smaller), str(seed))
    key = f"statistics/{name}.npz"
    if (kept := _read_reference(workspace, key)) is not None:
        return kept
    features = real_features(workspace, reals, reference, extractor)
    found = split_statistics(features, num_fake=num_fake, seed=seed)
    _write_reference(workspace, key, found)
    return found


def split_statistics(features: npt.NDArray[np.floating], *, num_fake: int, seed: int) -> Reference:
    """Statistics of reals, and how far two parts of them are from each other.

    For the floor the reals are split at random into a part of `num_fake` images, half of them
    where there are too few, and the rest. The split's counts are smaller than those of a score, and
    the distance falls with the counts, so the floor is a little too high.

    Args:
        features: [N, D], N at least 4.
        num_fake: Samples that the reals will be compared with.
        seed: Of the split.
    """
    smaller = min(num_fake, len(features) // 2)
    order = np.random.default_rng(seed).permutation(len(features))
    parts = features[order[smaller:]], features[order[:smaller]]
    mu, sigma = statistics(features)
    return Reference(
        mu=mu,
        sigma=sigma,
        num_images=len(features),
        floor=frechet_distance(*statistics(parts[0]), *statistics(parts[1])),
        floor_counts=(len(parts[0]), len(parts[1])),
    )


def _name(reference: str, count: int, extractor: Extractor, *more: str) -> str:
    measured = extractor.name, extractor.weights_digest, extractor.resize
    return digest_of(str(REVISION), reference, str(count), *measured, *more)


def _read_features(workspace: Workspace, key: str) -> Features | None:
    """None where there are none, or where they are damaged: they can always be measured anew."""
    if not workspace.exists(key):
        return None
    try:
        kept: Features = np.load(io.BytesIO(workspace.read_bytes(key)), allow_pickle=False)
    except (ValueError, EOFError, StoreError) as error:
        log.warning("evaluate: %s is damaged (%s), measuring again", key, error)
        return None
    return kept


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
