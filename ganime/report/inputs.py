"""What a report is about; all else it reads from the workspace."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from ganime.errors import ConfigError

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportInputs:
    """One run, as its report needs to know it.

    Attributes:
        run_id: Names the report's folder.
        run_url: The run's page in the orchestrator; empty if there is none.
        title: Headline; empty takes the dataset's name.
        started_at: UTC.
        finished_at: UTC.
        crawl_ids: `ganime.stages.crawl.crawl_id` of each crawl.
        pad_scope: `ganime.stages.pad.scope`: where thumbnails come from.
        dataset_name: Empty if no dataset was built.
        dataset_version: Likewise.
        classifiers: By question, the classifier's id.
        model_id: Empty if no model was trained.
        settings: The run's whole configuration, a table per stage.
        command: The command line that repeats the run.
        versions: Of ganime, Python and the libraries, by name.

    Raises:
        ConfigError: the run id cannot be part of a file name.
    """

    run_id: str
    run_url: str = ""
    title: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    crawl_ids: Sequence[str] = ()
    pad_scope: str = ""
    dataset_name: str = ""
    dataset_version: str = ""
    classifiers: Mapping[str, str] = field(default_factory=dict)
    model_id: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    command: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _RUN_ID.fullmatch(self.run_id):
            raise ConfigError(
                f"run_id is {self.run_id!r}: wanted letters, digits, '.', '_' and '-', "
                "because it names the report's folder"
            )
