"""Ways to change a character that a model package carries: `directions.safetensors`.

They were found where the model's classifiers and images were (`ganime.studio.attributes`), and are
of use where these are not.
"""

import json
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import safetensors.numpy
from safetensors import SafetensorError

_METADATA = "ganime"  # where the file tells figures, by name
_MOST = 1000  # a studio offers ten without names, a hundred tags and a few dozen questions
_QUESTION = re.compile(r"question:[^\x00-\x1f\x7f-\x9f]{1,150}@[0-9a-f]{12}")
_PRINCIPAL = re.compile(r"pca-[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True)
class Carried:
    """One direction.

    Attributes:
        step: What an amount of 1 adds to a code, float32 [W].
        correlation: Of a question's, between predicted and true logits of held-out samples.
        low: Of a question's, mean score at the slider's lower end, 0-1.
        high: The same at its upper end.
    """

    step: npt.NDArray[np.float32]
    correlation: float | None = None
    low: float | None = None
    high: float | None = None


def pack(directions: Mapping[str, Carried]) -> bytes:
    """The content of a file; equal directions give equal bytes."""
    steps = {name: np.ascontiguousarray(directions[name].step) for name in sorted(directions)}
    figures = {name: {**asdict(directions[name]), "step": None} for name in steps}
    told = json.dumps(figures, sort_keys=True, ensure_ascii=False)
    return safetensors.numpy.save(steps, {_METADATA: told})


def unpack(
    content: bytes, *, tag_names: Collection[str], length: int | None = None
) -> dict[str, Carried]:
    """Directions by name, out of a file that may be hostile.

    Args:
        content: Of the file.
        tag_names: What the model can be asked for: others have no directions.
        length: W of its codes; None where that is not known yet.

    Raises:
        ValueError: it is no such file; says why.
    """
    try:
        steps = safetensors.numpy.load(content)
        told = _figures(content)
    except (SafetensorError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"holds no directions ({error})") from error
    if len(steps) > _MOST or steps.keys() != told.keys():
        raise ValueError(f"holds {len(steps)} directions and tells of {len(told)}")
    found = {name: _carried(name, steps[name], told[name]) for name in sorted(steps)}
    for name, one in found.items():
        if not _is_name(name, tag_names):
            raise ValueError(f"names a direction {name!r:.80}, which no model has")
        if length is not None and one.step.shape != (length,):
            raise ValueError(f"has {one.step.shape} numbers for {name!r:.80}, wanted {length}")
    return found


def _figures(content: bytes) -> dict[str, Any]:
    length = int.from_bytes(content[:8], "little")  # of safetensors' header
    found: dict[str, Any] = json.loads(
        json.loads(content[8 : 8 + length])["__metadata__"][_METADATA]
    )
    return dict(found)


def _is_name(name: str, tag_names: Collection[str]) -> bool:
    if name.startswith("tag:"):
        return name.removeprefix("tag:") in tag_names
    return bool(_PRINCIPAL.fullmatch(name) or _QUESTION.fullmatch(name))


def _carried(name: str, step: npt.NDArray[Any], told: Any) -> Carried:
    """One direction, its numbers checked."""
    if step.dtype != np.float32 or step.ndim != 1 or not np.isfinite(step).all():
        raise ValueError(f"has numbers for {name!r:.80} that are no finite float32 [W]")
    wanted = ("correlation", "low", "high")
    figures = [told.get(one) if isinstance(told, dict) else None for one in wanted]
    if not name.startswith("question:"):
        return Carried(step)
    if not all(isinstance(one, float) and -1 <= one <= 1 for one in figures):
        raise ValueError(f"tells no figures of {name!r:.80}")
    return Carried(step, *figures)
