"""Metrics and sample grids for TensorBoard (https://www.tensorflow.org/tensorboard)."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from ganime.errors import ConfigError
from ganime.rows import MetricRow
from ganime.store.workspace import Workspace


class Board:
    """The event file of one model, `models/<id>/tensorboard/`.

    Args:
        workspace: On a disk.
        model_id: The model.
        nimg: From which on there will be news; what a killed run wrote there is hidden.

    Raises:
        ConfigError: the package is not installed, or the workspace is not on a disk.
    """

    def __init__(self, workspace: Workspace, model_id: str, nimg: int) -> None:
        if not workspace.is_local:
            raise ConfigError(
                f"train.tensorboard wants a workspace on a disk, {workspace.url} is none: "
                "switch it off, the same numbers are in the metrics"
            )
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ConfigError(
                "train.tensorboard wants a package: pip install 'ganime[tensorboard]'"
            ) from error
        folder = workspace.local_path(f"models/{model_id}/tensorboard")
        self._writer: Any = SummaryWriter(str(folder), purge_step=nimg)

    def scalars(self, rows: Sequence[MetricRow]) -> None:
        """Show metrics; the axis is images shown."""
        for row in rows:
            self._writer.add_scalar(row.name, row.value, row.nimg)

    def picture(self, name: str, pixels: npt.NDArray[np.uint8], nimg: int) -> None:
        """Show a picture, uint8 sRGB [H, W, 3]."""
        self._writer.add_image(name, pixels, nimg, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        """Write what is left."""
        self._writer.close()
