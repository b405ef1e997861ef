"""Prefect's pages over our deployments, in a real browser: the form, the run, its artifacts.

To look at them oneself: `GANIME_PICTURES=folder pytest tests/deployments/test_ui.py`.
"""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
TEXT = "document.body?.innerText"
LABELS = ["workspace", "dataset", "recipe", "budget", "tags", "settings", "reference"]
SHORT = ["nimg=256", "recipe.width_generator=4", "recipe.width_discriminator=4"]
# Without these the run would spend a minute on samples: given where a person would give them.
SAMPLES = "64"


class Form:
    """Prefect's form for a run, filled in as a person would."""

    def __init__(self, tab: Any) -> None:
        self._tab = tab

    @staticmethod
    def _field(name: str) -> str:
        wanted = json.dumps(f"{name} (Optional)")
        label = "one.querySelector('.schema-form-property__label')?.textContent.trim()"
        return (
            "[...document.querySelectorAll('.schema-form-property')]"
            f".find((one) => {label} === {wanted})"
        )

    async def write(self, name: str, text: str) -> None:
        """Replace what stands in the last line of a field."""
        box = f"[...{self._field(name)}.querySelectorAll('textarea, input')].at(-1)"
        await self._tab.value(f"{box}.focus(), {box}.select()")
        await self._tab.call("Input.insertText", text=text)
        await self._tab.until(f"{box}.value", text)

    async def choose(self, name: str, text: str) -> None:
        """Choose from a list."""
        box = f"{self._field(name)}.querySelector('select')"
        change = "dispatchEvent(new Event('change', {bubbles: true}))"
        await self._tab.value(f"{box}.value = {json.dumps(text)}, {box}.{change}")

    async def add(self, name: str, text: str) -> None:
        """Add a line to a list."""
        field = self._field(name)
        lines = f"{field}.querySelectorAll('textarea, input').length"
        before = await self._tab.value(lines)
        buttons = f"[...{field}.querySelectorAll('button')]"
        await self._tab.value(f"{buttons}.find((one) => one.textContent.includes('Add')).click()")
        await self._tab.until(lines, before + 1)
        await self.write(name, text)

    async def send(self) -> None:
        """Start the run."""
        buttons = "[...document.querySelectorAll('button')]"
        await self._tab.value(
            f"{buttons}.find((one) => one.textContent.trim() === 'Submit').click()"
        )
        await self._tab.until("!location.pathname.endsWith('/run')")


async def keep(tab: Any, name: str) -> None:
    """A picture for who wants to look."""
    if folder := os.environ.get("GANIME_PICTURES"):
        await asyncio.sleep(3)  # fonts, and the run's graph, which is drawn step by step
        (Path(folder) / f"{name}.png").write_bytes(await tab.picture())


async def seen(tab: Any, text: str) -> None:
    await tab.until(f"!!{TEXT}?.includes({json.dumps(text)})")


@pytest.fixture(scope="module")
def address(service: Any) -> str:
    return f"http://127.0.0.1:{service.settings['port']}"


def test_a_retraining_is_asked_for_by_form_and_its_run_shows_what_came_of_it(
    service: Any, address: str, visit_page: Callable[..., Any]
) -> None:
    deployment = service.deployment("retrain", flow="retrain")["id"]

    async def ask_for_it(tab: Any) -> None:
        await tab.open("deployments")
        for name in ("retrain", "nightly", "on-demand"):
            await seen(tab, name)
        await keep(tab, "deployments")
        await tab.open(f"deployments/deployment/{deployment}/run")
        await seen(tab, "promote_better")
        for label in LABELS:
            await seen(tab, f"{label} (Optional)")
        form = Form(tab)
        await form.write("dataset", "girls")
        await form.choose("recipe", "lsgan")
        await form.choose("budget", "minutes")
        for setting in SHORT:
            await form.add("settings", setting)
        await form.write("Samples", SAMPLES)
        await keep(tab, "prefect-retrain")
        await form.send()

    visit_page(address, ask_for_it, width=1000, height=1150)
    (run,) = service.ask(
        "POST", "flow_runs/filter", {"deployments": {"id": {"any_": [deployment]}}}
    )
    given = run["parameters"]
    assert (given["dataset"], given["recipe"], given["budget"]) == ("girls", "lsgan", "minutes")
    assert given["settings"] == SHORT
    service.wait(run["id"], "Completed")
    assert service.run(run["id"])["name"] == "retrain-girls-lsgan-minutes"

    asked = {"artifacts": {"key": {"any_": ["retrain", "samples", "metrics"]}}}
    artifacts = {item["key"]: item for item in service.ask("POST", "artifacts/filter", asked)}
    assert all(len(json.dumps(item["data"])) < 50_000 for item in artifacts.values())

    async def look(tab: Any) -> None:
        await tab.open(f"runs/flow-run/{run['id']}?tab=Parameters")
        await seen(tab, "retrain-girls-lsgan-minutes")
        await seen(tab, SHORT[0])
        await keep(tab, "parameters")
        await tab.open(f"artifacts/artifact/{artifacts['retrain']['id']}")
        await seen(tab, "there is still no current model")  # 256 images are too few to learn from
        await keep(tab, "retrain")
        await tab.open(f"artifacts/artifact/{artifacts['samples']['id']}")
        await tab.until("document.querySelectorAll('img[src^=data]').length > 0")
        await keep(tab, "prefect-run")
        await tab.open(f"artifacts/artifact/{artifacts['metrics']['id']}")
        await seen(tab, "girls/v1")

    visit_page(address, look, width=1000, height=900)
