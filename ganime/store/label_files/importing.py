"""Labels out of files into the log, each once however often its file is read."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from ganime.errors import ConfigError
from ganime.rows import LabelRow
from ganime.store.label_files.entries import Entry, Unmatched, entry_of
from ganime.store.label_files.finder import Finder, Said, match
from ganime.store.label_files.folder import read_folder
from ganime.store.label_files.formats import format_of
from ganime.store.labels import Answer, LabelLog
from ganime.store.workspace import Workspace

HOW = "import"  # of every label that came from a file


@dataclass(frozen=True, slots=True)
class ImportResult:
    """What came of a file of labels.

    Attributes:
        added: Labels that are new in the log.
        repeated: Labels that the log has already, or that the file says twice.
        unmatched: Labels that were not taken, in the order of the file.
    """

    added: int
    repeated: int
    unmatched: Sequence[Unmatched]

    def lines(self) -> list[str]:
        """For people to read."""
        counts = f"{self.added} added, {self.repeated} known, {len(self.unmatched)} not taken"
        return [counts, *(f"{u.where}: {u.reference!r}: {u.reason}" for u in self.unmatched)]


def import_labels(
    workspace: Workspace,
    path: Path,
    *,
    by: str,
    classes: Mapping[str, tuple[str, bool]] | None = None,
) -> ImportResult:
    """Write the labels of a file or a folder into the log, each once however often it is read.

    A label that the log has already is left alone, even where a person has said otherwise
    since. Nothing is written unless the whole file can be read.

    Args:
        workspace: Where.
        path: `.csv` with the columns `image question answer` and, as wanted, `by note`; `.jsonl`
            with one object of these keys per line; or a folder. `image` is an image id or its first
            digits (6 or more), `source/post_id`, or the name of a file, beside the labels or in the
            working folder, whose bytes are an original. `answer` is yes, no, or empty to take an
            earlier answer back. Of two labels of one image the later one counts.
        by: Who says so, where the file does not tell.
        classes: For a folder: by name of a folder in it at any depth, the question and the answer
            for the files below; the nearest folder that is named counts. A file is matched by its
            bytes, else by its stem: an image id or its first digits (12 or more), or a post id.

    Raises:
        ConfigError: the file cannot be read or is malformed, names file and line; or the classes
            do not fit the folder.
        StoreError: the workspace is not on a disk.
    """
    finder = Finder(workspace, path)
    if path.is_dir():
        entries, outside = read_folder(path, by, classes or {})
        said, unknown = match(entries, finder.by_file)
        said, contradictory = _without_contradictions(said)
        unmatched = sorted(outside + unknown + contradictory, key=lambda item: item.where)
    elif classes:
        raise ConfigError(f"{path} is no folder, so classes mean nothing: leave them out")
    else:
        said, unmatched = match(_read_file(path, by), finder.by_reference)
    log = LabelLog(workspace)
    fresh = _new(said, log.events())
    for person, answers in _batches(fresh):
        log.append(answers, by=person, how=HOW)
    return ImportResult(len(fresh), len(said) - len(fresh), unmatched)


def _read_file(path: Path, by: str) -> list[Entry]:
    form = format_of(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")  # read_text() would change the ends of lines
    except OSError as error:
        raise ConfigError(f"cannot read the labels in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line} is not UTF-8: save the file as UTF-8") from error
    return [entry_of(f"{path}:{line}", record, by) for line, record in form.read(path, text)]


def _without_contradictions(said: Sequence[Said]) -> tuple[list[Said], list[Unmatched]]:
    """Folders have no order that could say which of two answers counts: neither does."""
    answers: dict[tuple[str, str], set[bool | None]] = {}
    for item in said:
        answers.setdefault(item.about, set()).add(item.entry.answer)
    kept = [item for item in said if len(answers[item.about]) == 1]
    reason = "the same image lies in a folder of the other answer too"
    lost = [item.entry for item in said if len(answers[item.about]) > 1]
    return kept, [Unmatched(entry.where, entry.reference, reason) for entry in lost]


def _new(said: Sequence[Said], events: Iterable[LabelRow]) -> list[Said]:
    """Those that nobody had said yet.

    Counted rather than looked up: a history may say yes, no and yes again, and means it.
    """
    brought = Counter((row.image_id, row.question, row.answer, row.by) for row in events)
    last: dict[tuple[str, str], Any] = {}
    fresh = []
    for item in said:
        if last.get(item.about) == item.key:
            continue  # said twice in a row, for example by two posts of one image
        last[item.about] = item.key
        if brought[item.key]:
            brought[item.key] -= 1
        else:
            fresh.append(item)
    return fresh


def _batches(said: Sequence[Said]) -> Iterator[tuple[str, list[Answer]]]:
    """Few appends, since each is flushed to the disk; an image's answers keep their order."""
    rounds: Counter[tuple[str, str]] = Counter()
    order = []
    for item in said:
        order.append((rounds[item.about], item.entry.by, item))
        rounds[item.about] += 1
    order.sort(key=lambda entry: entry[:2])
    for (_, by), group in groupby(order, key=lambda entry: entry[:2]):
        yield (
            by,
            [
                Answer(
                    image_id=item.image_id,
                    question=item.entry.question,
                    answer=item.entry.answer,
                    note=item.entry.note,
                )
                for *_, item in group
            ],
        )
