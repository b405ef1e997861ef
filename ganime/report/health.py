"""What was alarming about a training run, in words: the page and Prefect say the same."""

from collections.abc import Callable

from ganime.report.curves import ROLLBACKS, Metrics
from ganime.report.words import count, share

# Training itself warns at these limits, in its log.
LEAST_SPREAD = 0.25  # of samples against real images; below it they look alike
LEAST_LOSS = 0.005  # of the discriminator; one that is never wrong gives hardly any gradient
LASTING = 10  # rows in a row, so that a passing dip stays quiet


def alarms(metrics: Metrics) -> list[str]:
    """What a person should know, worst first; empty if nothing was wrong at the end.

    Args:
        metrics: Rows by name, ascending in images shown.
    """
    found = [_rollbacks(metrics), _collapse(metrics), _copies(metrics), _idle(metrics)]
    return [said for said in found if said]


def _rollbacks(metrics: Metrics) -> str:
    rows = metrics.get(ROLLBACKS, ())
    if not rows:
        return ""
    times = "once" if len(rows) == 1 else "twice" if len(rows) == 2 else f"{len(rows)} times"
    places = ", ".join(count(row.nimg) for row in rows)
    return (
        f"A loss was not finite: training went back {times}, to {places} images shown, each "
        "time to go on at half the learning rates."
    )


def _collapse(metrics: Metrics) -> str:
    rows = metrics.get("spread", ())
    if rows and rows[-1].value < LEAST_SPREAD:
        return (
            f"The samples look alike: they differ by {share(rows[-1].value, 1)} of what real "
            "images do. The generator has collapsed, or has only begun."
        )
    if _lasts(metrics, "diversity", lambda value: value < LEAST_SPREAD):
        return "The generated images of a batch look alike; the generator may have collapsed."
    return ""


def _copies(metrics: Metrics) -> str:
    rows = metrics.get("copied", ())
    if not rows or rows[-1].value <= 0:
        return ""
    return f"{share(rows[-1].value, 1)} of the samples are nearly copies of training images."


def _idle(metrics: Metrics) -> str:
    if not _lasts(metrics, "loss_discriminator", lambda value: abs(value) < LEAST_LOSS):
        return ""
    return (
        "The discriminator is never wrong, and the generator learns little from it: augment more, "
        "or lower the discriminator's learning rate."
    )


def _lasts(metrics: Metrics, name: str, wrong: Callable[[float], bool]) -> bool:
    """Whether a metric has been wrong for so many rows up to the last."""
    rows = metrics.get(name, ())
    return len(rows) >= LASTING and all(wrong(row.value) for row in rows[-LASTING:])
