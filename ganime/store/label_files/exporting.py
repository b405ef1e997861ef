"""Labels out of the log into a file that can be read again."""

from pathlib import Path

from ganime.store.label_files.entries import record_of
from ganime.store.label_files.formats import format_of
from ganime.store.labels import LabelLog
from ganime.store.workspace import Workspace


def export_labels(workspace: Workspace, path: Path, *, all_events: bool = False) -> int:
    """Write labels to a file that `import_labels` reads; it appears whole or not at all.

    Args:
        workspace: Where.
        path: `.csv` or `.jsonl`; what was there is replaced.
        all_events: Everything that was said, in order, rather than the current answers.

    Returns:
        How many labels.

    Raises:
        ConfigError: the name ends otherwise.
        StoreError: it cannot be written.
    """
    form = format_of(path)
    log = LabelLog(workspace)
    rows = [record_of(row) for row in (log.events() if all_events else log.current())]
    Workspace(str(path.parent.absolute())).write_text(path.name, form.write(rows))
    return len(rows)
