"""A word to people when a run fails."""

import logging
import os
from inspect import iscoroutine
from typing import Any

from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.blocks.webhook import Webhook
from prefect.utilities.asyncutils import run_coro_as_sync

from ganime.errors import ConfigError

BLOCK = "GANIME_NOTIFY_BLOCK"
log = logging.getLogger("ganime.notify")


def tell_of_failure(flow: Any, flow_run: Any, state: Any) -> None:
    """Hook of flows: send what failed, and why, through the block that GANIME_NOTIFY_BLOCK names.

    Its value is a block's type and name, for example `webhook/alerts` or `slack-webhook/ganime`.
    Runs inside others are silent, since the outer one fails as well. A message that cannot be sent
    is logged: it must not hide what it is about.
    """
    name = os.environ.get(BLOCK, "")
    if not name or flow_run.parent_task_run_id is not None:
        return
    subject = f"ganime: {flow.name} {state.name.lower()}"
    body = f"{flow_run.name} ({flow_run.id}): {state.message or 'no message'}"
    try:
        _send(Block.load(name), subject, body)
    # A hook has no caller to raise to, and blocks raise whatever their service's client does.
    except Exception as error:  # noqa: BLE001
        log.warning("cannot notify through the block %s: %s", name, error)


def _send(block: Any, subject: str, body: str) -> None:
    is_webhook, is_notification = (isinstance(block, kind) for kind in (Webhook, NotificationBlock))
    if is_webhook:
        # `text` is what Slack, Mattermost and Google Chat read.
        answer: Any = run_coro_as_sync(block.call({"text": f"{subject}\n{body}"}))
        answer.raise_for_status()
    elif is_notification:
        sent = block.notify(body, subject)
        if iscoroutine(sent):  # as blocks of elsewhere may be
            run_coro_as_sync(sent)
    else:
        raise ConfigError(
            f"{BLOCK} names a {type(block).__name__}, which sends nothing: name a webhook or a "
            "notification block, for example slack-webhook/ganime"
        )
