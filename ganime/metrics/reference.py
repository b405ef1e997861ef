"""Features of real images, measured once per dataset version, extractor and preprocessing."""

import io
import logging

import numpy as np

from ganime.config import digest_of
from ganime.errors import StoreError
from ganime.metrics.extractors import Extractor, Features, Images
from ganime.store.workspace import Workspace

REVISION = 1  # raise it whenever kept features change
log = logging.getLogger(__name__)


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


def _name(reference: str, count: int, extractor: Extractor) -> str:
    measured = extractor.name, extractor.weights_digest, extractor.resize
    return digest_of(str(REVISION), reference, str(count), *measured)


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
