"""torchvision, importable beside a CPU build of torch, and not before it is needed.

The torchvision wheel on PyPI is built against CUDA torch. Beside a CPU torch its compiled operators
do not load, and its import then fails on operators that were never declared. Declaring the two
schemas first lets the import pass; ganime uses no torchvision operator.

With its operators comes the whole of torch's compiler, a second's import that many commands can do
without. Get it from here only, where it is used: `vision.torchvision.models`.
"""

import threading
from types import ModuleType

import torch

_OPERATORS: list[torch.library.Library] = []  # the schemas vanish with the object
_IMPORTING = threading.Lock()  # what two threads declare at once is declared twice, an error


def __getattr__(name: str) -> ModuleType:
    if name != "torchvision":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with _IMPORTING:
        return _imported()


def _imported() -> ModuleType:
    try:
        import torchvision
    except RuntimeError:
        library = torch.library.Library("torchvision", "DEF")  # type: ignore[no-untyped-call]
        for schema in (
            "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
            "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
        ):
            library.define(schema)  # type: ignore[no-untyped-call]
        _OPERATORS.append(library)
        import torchvision
    found: ModuleType = torchvision
    return found
