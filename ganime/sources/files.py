"""Files by relative path, in a folder or in a .zip, read where they lie."""

import os
import zipfile
import zlib
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import ClassVar, Self

from ganime.errors import ImageError, SourceRefused

_JUNK = ("__MACOSX/", ".")  # resource forks of macOS; .DS_Store, .git and their like


class Files:
    """A folder of files.

    Args:
        root: The folder.
    """

    separator: ClassVar[str] = "/"  # between the folder's URL and the path in it

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing is held open."""

    def names(self) -> frozenset[str]:
        """Paths of all files but junk, relative, with forward slashes."""
        return self._names

    def read(self, name: str, max_bytes: int) -> bytes:
        """The first `max_bytes` of a file.

        Raises:
            FileNotFoundError: it is not there, or the path leads out of the folder.
            ImageError: it is damaged, encrypted or forbidden; reason `unreadable`.
        """
        if ".." in PurePosixPath(name).parts or name.startswith("/"):
            raise FileNotFoundError(name)
        try:
            with (self._root / name).open("rb") as file:
                return file.read(max_bytes)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise ImageError(
                "unreadable", f"cannot read {self._root / name}: {error.strerror}"
            ) from error

    @cached_property
    def _names(self) -> frozenset[str]:
        paths = (path for path in self._root.rglob("*") if path.is_file())
        names = (_text(path.relative_to(self._root).as_posix()) for path in paths)
        return frozenset(name for name in names if not _is_junk(name))


class Zip(Files):
    """A .zip file: members are read into memory and never written anywhere."""

    separator: ClassVar[str] = "#"

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._archive = zipfile.ZipFile(root)

    def __exit__(self, *_: object) -> None:
        """Close the archive."""
        self._archive.close()

    def read(self, name: str, max_bytes: int) -> bytes:
        """See `Files.read`; a member that unpacks to more is not unpacked further."""
        if name not in self._names:
            raise FileNotFoundError(name)
        try:
            with self._archive.open(name) as member:
                return member.read(max_bytes)
        # zipfile says RuntimeError for an encrypted member, NotImplementedError for a method.
        except (OSError, RuntimeError, EOFError, zipfile.BadZipFile, zlib.error) as error:
            raise ImageError(
                "unreadable", f"cannot read {name} in {self._root}: {error}"
            ) from error

    @cached_property
    def _names(self) -> frozenset[str]:
        members = self._archive.infolist()
        return frozenset(
            item.filename for item in members if not item.is_dir() and not _is_junk(item.filename)
        )


def open_files(path: Path) -> Files:
    """Open a folder or a .zip.

    Raises:
        SourceRefused: it is neither, or cannot be read.
    """
    if path.is_dir():
        if not os.access(path, os.R_OK | os.X_OK):
            raise SourceRefused(f"{path} cannot be read: permission denied")
        return Files(path)
    if not path.exists():
        raise SourceRefused(f"there is no folder {path}: name a folder of images or a .zip file")
    try:
        return Zip(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise SourceRefused(
            f"{path} is neither a folder nor a readable .zip ({error}): name one"
        ) from error


def _is_junk(name: str) -> bool:
    return any(f"{part}/".startswith(_JUNK) for part in PurePosixPath(name).parts)


def _text(name: str) -> str:
    """A name that is not UTF-8 is spelt with escapes: it gets its row, but cannot be read."""
    return os.fsencode(name).decode("utf-8", errors="backslashreplace")
