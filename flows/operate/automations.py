"""What the server does by itself: find dead runs, and start them again."""

from datetime import timedelta

from prefect.client.orchestration import PrefectClient
from prefect.client.schemas.objects import StateType
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import Automation, AutomationCore, EventTrigger, Posture

# Four heartbeats of 30 s (flows/settings.py): three may be lost before a run is taken for dead.
SILENCE_S = 120
ZOMBIES = "ganime: runs without a heartbeat have crashed"
RESUME = "ganime: crashed runs start again"
AUTORESUME = "autoresume"


def automations(silence_s: int = SILENCE_S) -> list[AutomationCore]:
    """Those that every server has.

    A worker that is stopped or loses its power leaves its runs `Running` for ever, since only the
    worker could report their end.

    Args:
        silence_s: How long a run may give no sign of life [s].
    """
    zombies = AutomationCore(
        name=ZOMBIES,
        description=f"No event of a run within {silence_s} s of its last heartbeat: its process "
        "and worker are gone.",
        trigger=EventTrigger(
            posture=Posture.Proactive,
            match={"prefect.resource.id": "prefect.flow-run.*"},
            for_each={"prefect.resource.id"},
            after={"prefect.flow-run.heartbeat"},
            expect={"prefect.flow-run.*"},
            threshold=1,
            within=timedelta(seconds=silence_s),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.CRASHED, message=f"no sign of life for {silence_s} s"
            )
        ],
    )
    resume = AutomationCore(
        name=RESUME,
        description=f"Runs tagged {AUTORESUME} go on where they stopped; they give up by "
        "themselves when they have begun too often.",
        trigger=EventTrigger(
            posture=Posture.Reactive,
            match={"prefect.resource.id": "prefect.flow-run.*"},
            match_related={
                "prefect.resource.role": "tag",
                "prefect.resource.id": f"prefect.tag.{AUTORESUME}",
            },
            for_each={"prefect.resource.id"},
            expect={"prefect.flow-run.Crashed"},
            threshold=1,
            within=timedelta(0),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED, name="AwaitingRetry", message="started again"
            )
        ],
    )
    return [zombies, resume]


async def apply_automations(client: PrefectClient, silence_s: int = SILENCE_S) -> None:
    """Create those that are missing, correct those that differ, leave the others alone.

    Writing an automation anew makes the server forget which runs it was waiting for, and just
    after a power cut those are the dead ones.
    """
    for wanted in automations(silence_s):
        there = await client.read_automations_by_name(wanted.name)
        if not there:
            await client.create_automation(wanted)
        elif not _same(there[0], wanted):
            await client.update_automation(there[0].id, wanted)
        for double in there[1:]:
            await client.delete_automation(double.id)


async def missing_automations(client: PrefectClient) -> list[str]:
    """Names of those that the server does not have, or has switched off."""
    return [
        wanted.name
        for wanted in automations()
        if not any(item.enabled for item in await client.read_automations_by_name(wanted.name))
    ]


def _same(there: Automation, wanted: AutomationCore) -> bool:
    return _essence(there) == _essence(wanted)


def _essence(item: AutomationCore) -> object:
    """What an automation does, without the ids that the server gives its parts."""
    trigger = item.trigger
    if not isinstance(trigger, EventTrigger):
        return None
    fields = {"posture", "match", "match_related", "for_each", "after", "expect", "within"}
    actions = [action.model_dump(mode="json") for action in item.actions]
    return item.description, item.enabled, trigger.model_dump(include=fields), actions
