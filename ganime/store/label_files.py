"""Labels in and out: CSV, JSON lines, and folders named by class, as people had them before."""

import csv
import hashlib
import io
import json
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any

from ganime.errors import ConfigError
from ganime.rows import LabelRow, PostRow
from ganime.store.labels import Answer, LabelLog
from ganime.store.lineage import crawls
from ganime.store.manifest import Table
from ganime.store.workspace import Workspace

HOW = "import"  # of every label that came from a file
_NEEDED = ("image", "question", "answer")
_TOLD = ("at", "how")  # exports tell them; an import does not read them: the log has its own
_COLUMNS = (*_NEEDED, "by", "note", *_TOLD)
_ANSWERS = {"yes": True, "no": False, "": None}
_WORDS = {answer: word for word, answer in _ANSWERS.items()}
_QUESTION = re.compile(r"[a-z0-9][a-z0-9_-]*")  # as `QuestionConfig` has it
_DIGITS = re.compile(r"[0-9a-f]{6,64}")
# Many people name files by post id, a number of up to 9 digits: as the first digits of an image id
# it would match strangers by accident.
_STEM_DIGITS = 12


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A label that was not taken.

    Attributes:
        where: `file:line`, or the file in a folder.
        reference: What it says of which image it is about.
        reason: Why it was not taken.
    """

    where: str
    reference: str
    reason: str


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


@dataclass(frozen=True, slots=True)
class _Entry:
    """One label as a file has it."""

    where: str
    reference: str
    question: str
    answer: bool | None
    by: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class _Said:
    """One label whose image was found."""

    entry: _Entry
    image_id: str

    @property
    def about(self) -> tuple[str, str]:
        """Which image was asked what."""
        return self.image_id, self.entry.question

    @property
    def key(self) -> tuple[str, str, bool | None, str]:
        """What makes two labels the same."""
        return *self.about, self.entry.answer, self.entry.by


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
    finder = _Finder(workspace, path)
    if path.is_dir():
        entries, outside = _read_folder(path, by, classes or {})
        said, unknown = _match(entries, finder.by_file)
        said, contradictory = _without_contradictions(said)
        unmatched = sorted(outside + unknown + contradictory, key=lambda item: item.where)
    elif classes:
        raise ConfigError(f"{path} is no folder, so classes mean nothing: leave them out")
    else:
        said, unmatched = _match(_read_file(path, by), finder.by_reference)
    log = LabelLog(workspace)
    fresh = _new(said, log.events())
    for person, answers in _batches(fresh):
        log.append(answers, by=person, how=HOW)
    return ImportResult(len(fresh), len(said) - len(fresh), unmatched)


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
    kind = _kind(path)
    log = LabelLog(workspace)
    rows = [_record(row) for row in (log.events() if all_events else log.current())]
    if kind == "csv":
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, _COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
        content = buffer.getvalue()
    else:
        content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    Workspace(str(path.parent.absolute())).write_text(path.name, content)
    return len(rows)


class _Finder:
    """Which image a label means, by what the crawls of a workspace brought."""

    def __init__(self, workspace: Workspace, path: Path) -> None:
        self._folder = path
        self._bases = (path.parent, Path())
        self._posts: dict[str, set[str]] = {}  # by source/post_id
        self._numbers: dict[str, set[str]] = {}  # by post_id alone
        for scope in crawls(workspace):
            table = Table(workspace, PostRow, scope).read(["source", "post_id", "image_id"])
            for row in table.to_pylist():
                found = {row["image_id"]} - {None}
                post_id = row["post_id"]
                self._posts.setdefault(f"{row['source']}/{post_id}", set()).update(found)
                self._numbers.setdefault(post_id, set()).update(found)
        self._ids = sorted(set().union(*self._posts.values()))

    def by_reference(self, reference: str) -> set[str] | None:
        """Images that the `image` of a file means; None if nothing is known by that name."""
        if reference in self._posts:
            return self._posts[reference]
        if found := self._starting_with(reference):
            return found
        for base in self._bases:
            if content_id := _digest_of_file(base / reference):
                return self._starting_with(content_id)
        return None

    def by_file(self, name: str) -> set[str] | None:
        """Images that a file in a folder means; None if nothing is known by its bytes or name."""
        stem = Path(name).stem
        return (
            self._starting_with(_digest_of_file(self._folder / name) or "")
            or self._numbers.get(stem)
            or (self._starting_with(stem) if len(stem) >= _STEM_DIGITS else None)
        )

    def _starting_with(self, digits: str) -> set[str] | None:
        digits = digits.lower()
        if not _DIGITS.fullmatch(digits):
            return None
        start = bisect_left(self._ids, digits)
        following = islice(self._ids, start, bisect_left(self._ids, digits + "g"))
        return set(following) or None


def _digest_of_file(path: Path) -> str | None:
    try:
        if not path.is_file():  # a pipe or a device would never end
            return None
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except (OSError, ValueError):  # unreadable, or nothing that could name a file
        return None


def _match(
    entries: Iterable[_Entry], find: Callable[[str], set[str] | None]
) -> tuple[list[_Said], list[Unmatched]]:
    said, unmatched = [], []
    for entry in entries:
        found = find(entry.reference)
        if found and len(found) == 1:
            said.append(_Said(entry, *found))
            continue
        if found is None:
            reason = "no image of this workspace"
        else:
            reason = f"means {len(found)} images" if found else "the post has no image here"
        unmatched.append(Unmatched(entry.where, entry.reference, reason))
    return said, unmatched


def _without_contradictions(said: Sequence[_Said]) -> tuple[list[_Said], list[Unmatched]]:
    """Folders have no order that could say which of two answers counts: neither does."""
    answers: dict[tuple[str, str], set[bool | None]] = {}
    for item in said:
        answers.setdefault(item.about, set()).add(item.entry.answer)
    kept = [item for item in said if len(answers[item.about]) == 1]
    reason = "the same image lies in a folder of the other answer too"
    lost = [item.entry for item in said if len(answers[item.about]) > 1]
    return kept, [Unmatched(entry.where, entry.reference, reason) for entry in lost]


def _new(said: Sequence[_Said], events: Iterable[LabelRow]) -> list[_Said]:
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


def _batches(said: Sequence[_Said]) -> Iterator[tuple[str, list[Answer]]]:
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


def _record(row: LabelRow) -> dict[str, str]:
    return {
        "image": row.image_id,
        "question": row.question,
        "answer": _WORDS[row.answer],
        "by": row.by,
        "note": row.note,
        "at": row.at.isoformat(),
        "how": row.how,
    }


def _kind(path: Path) -> str:
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("csv", "jsonl"):
        raise ConfigError(f"{path} is neither .csv nor .jsonl nor, to import, a folder: name one")
    return kind


def _read_file(path: Path, by: str) -> list[_Entry]:
    kind = _kind(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")  # read_text() would change the ends of lines
    except OSError as error:
        raise ConfigError(f"cannot read the labels in {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line} is not UTF-8: save the file as UTF-8") from error
    read = _read_csv if kind == "csv" else _read_jsonl
    return [_entry(f"{path}:{line}", record, by) for line, record in read(path, text)]


def _read_csv(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for cells in reader:
            if header is None:
                header = [cell.strip() for cell in cells]
                _check_columns(f"{path}:{line}", header)
            elif cells and len(cells) != len(header):
                raise ConfigError(
                    f"{path}:{line} has {len(cells)} cells, wanted {len(header)} as in the first "
                    "line: put quotes around a cell with a comma in it"
                )
            elif cells:
                yield line, dict(zip(header, cells, strict=True))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ConfigError(f"{path}:{line} is not CSV: {error}") from error
    if header is None:
        raise ConfigError(f"{path} is empty: its first line names the columns {', '.join(_NEEDED)}")


def _read_jsonl(path: Path, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines(): JSON may hold U+2028 and its like inside a string.
    for line, content in enumerate(text.split("\n"), start=1):
        if not content.strip():
            continue
        where = f"{path}:{line}"
        try:
            record = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ConfigError(f"{where} is not JSON: {error}") from error
        if not isinstance(record, dict):
            raise ConfigError(f"{where} is not an object: write one per line")
        _check_columns(where, list(record))
        yield line, record


def _check_columns(where: str, names: Sequence[str]) -> None:
    lacking = [name for name in _NEEDED if name not in names]
    unknown = [name for name in names if name not in _COLUMNS]
    if lacking or unknown or len(set(names)) < len(names):
        raise ConfigError(
            f"{where} names {', '.join(names)}; wanted {', '.join(_NEEDED)} and, if you like, by "
            "and note, each once: rename or delete the others"
        )


def _entry(where: str, record: Mapping[str, Any], by: str) -> _Entry:
    """A checked label.

    Raises:
        ConfigError: a value is none that it can be.
    """
    given = record["answer"]
    answer = _WORDS[given] if given is None or isinstance(given, bool) else given
    texts = {"by": by, "note": ""} | dict(record) | {"answer": answer}
    for name in (*_NEEDED, "by", "note"):
        if not isinstance(texts[name], str) or not _is_text(texts[name]):
            raise ConfigError(f"{where}: {name} is {texts[name]!r:.80}, wanted text")
    word = texts["answer"].strip().lower()
    if word not in _ANSWERS:
        raise ConfigError(f"{where}: the answer is {word!r:.80}, wanted yes, no or nothing")
    image, question, person = (texts[name].strip() for name in ("image", "question", "by"))
    _check_question(where, question)
    if not image:
        raise ConfigError(f"{where}: image is empty, wanted an image id, source/post_id or a file")
    if not (person or by):
        raise ConfigError(f"{where} does not say by whom: fill in `by`, or name who imports")
    return _Entry(where, image, question, _ANSWERS[word], person or by, texts["note"])


def _is_text(value: str) -> bool:
    """Whether it can be stored: JSON can write half a character."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _check_question(where: str, question: str) -> None:
    if not _QUESTION.fullmatch(question):
        raise ConfigError(
            f"{where}: the question is {question!r:.80}, wanted a name of small letters, digits, "
            "- and _, for example keep or chibi"
        )


def _read_folder(
    path: Path, by: str, classes: Mapping[str, tuple[str, bool]]
) -> tuple[list[_Entry], list[Unmatched]]:
    inside = [(item.relative_to(path), item.is_file()) for item in sorted(path.rglob("*"))]
    inside = [found for found in inside if not any(part[0] == "." for part in found[0].parts)]
    folders = sorted({place.name for place, is_file in inside if not is_file})
    if not classes or not classes.keys() <= set(folders):
        raise ConfigError(
            f"{path} holds the folders {', '.join(folders) or '(none)'}; classes name "
            f"{', '.join(sorted(classes)) or 'none'}: give question and answer by folder"
        )
    for name, (question, _) in classes.items():
        _check_question(f"the class {name}", question)
    entries: list[_Entry] = []
    outside: list[Unmatched] = []
    for place in (place for place, is_file in inside if is_file):
        where, parents = str(path / place), reversed(place.parts[:-1])
        classified = next((classes[name] for name in parents if name in classes), None)
        if classified is None:
            outside.append(Unmatched(where, place.as_posix(), "its folder is no class"))
        else:
            entries.append(_Entry(where, place.as_posix(), *classified, by))
    return entries, outside
