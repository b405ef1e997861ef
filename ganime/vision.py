"""torchvision, importable beside a CPU build of torch.

The torchvision wheel on PyPI is built against CUDA torch. Beside a CPU torch its compiled operators
do not load, and its import then fails on operators that were never declared. Declaring the two
schemas first lets the import pass; ganime uses no torchvision operator.
Import torchvision from here only: `from ganime.vision import torchvision`.
"""

import torch

try:
    import torchvision
except RuntimeError:
    # Kept alive in the module: the schemas vanish with the object.
    _OPERATORS = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
    for _schema in (
        "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    ):
        _OPERATORS.define(_schema)  # type: ignore[no-untyped-call]
    import torchvision

__all__ = ["torchvision"]
