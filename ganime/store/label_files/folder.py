"""Labels as folders named by class, the files in them being the images."""

from collections.abc import Mapping
from pathlib import Path

from ganime.errors import ConfigError
from ganime.store.label_files.entries import Entry, Unmatched, check_question


def read_folder(
    path: Path, by: str, classes: Mapping[str, tuple[str, bool]]
) -> tuple[list[Entry], list[Unmatched]]:
    """Labels of the files below folders that are classes, and the files that lie elsewhere.

    Raises:
        ConfigError: a class is no folder there, or its question has no good name.
    """
    inside = [(item.relative_to(path), item.is_file()) for item in sorted(path.rglob("*"))]
    inside = [found for found in inside if not any(part[0] == "." for part in found[0].parts)]
    folders = sorted({place.name for place, is_file in inside if not is_file})
    if not classes or not classes.keys() <= set(folders):
        raise ConfigError(
            f"{path} holds the folders {', '.join(folders) or '(none)'}; classes name "
            f"{', '.join(sorted(classes)) or 'none'}: give question and answer by folder"
        )
    for name, (question, _) in classes.items():
        check_question(f"the class {name}", question)
    entries: list[Entry] = []
    outside: list[Unmatched] = []
    for place in (place for place, is_file in inside if is_file):
        where, parents = str(path / place), reversed(place.parts[:-1])
        classified = next((classes[name] for name in parents if name in classes), None)
        if classified is None:
            outside.append(Unmatched(where, place.as_posix(), "its folder is no class"))
        else:
            entries.append(Entry(where, place.as_posix(), *classified, by))
    return entries, outside
