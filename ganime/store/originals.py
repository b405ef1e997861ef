"""Original bytes exactly as received, named by their SHA-256, written once."""

import ctypes
import hashlib
import os
import secrets
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from ganime.errors import StoreError
from ganime.store.workspace import Workspace

_FEW = 4  # files: flushed one by one, rather than with all that other programs wrote meanwhile
_LIBC = ctypes.CDLL(None, use_errno=True)


class Originals:
    """The originals of a workspace. Safe for threads.

    Args:
        workspace: Where.
        staging: A folder on the workspace's own disk where originals gather until `commit`, since
            flushing each to the disk costs more CPU time than fetching it. Without one, each is
            committed as it comes.
    """

    def __init__(self, workspace: Workspace, staging: Path | None = None) -> None:
        self._workspace = workspace
        self._staging = staging
        self._name = f"{staging}/{secrets.token_hex(8)}"
        self._numbers = count()
        self._shelf = str(workspace.local_path("originals")) if staging else ""
        self._staged: dict[str, str] = {}  # paths
        self._committing = threading.Lock()

    def key(self, image_id: str) -> str:
        """Where an original lies."""
        return f"originals/{image_id[:2]}/{image_id}"

    def has(self, image_id: str) -> bool:
        """Whether it is there, or will be when all is committed."""
        if self._staging is None:
            return self._workspace.exists(self.key(image_id))
        return image_id in self._staged or os.path.exists(self._target(image_id))  # noqa: PTH110

    def put(self, content: bytes) -> str:
        """Keep these bytes, once.

        Returns:
            Their image id.

        Raises:
            StoreError: no space, no permission.
        """
        image_id = hashlib.sha256(content).hexdigest()
        if self._staging is None:
            if not self.has(image_id):
                self._workspace.write_bytes(self.key(image_id), content)
            return image_id
        if image_id in self._staged:
            return image_id
        path = f"{self._name}-{next(self._numbers)}"
        with self._translated(), open(path, "xb", buffering=0) as file:  # noqa: PTH123
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
        self._stage(image_id, path)
        return image_id

    def put_file(self, path: Path) -> str:
        """Keep the bytes of a file, once, without having them all in memory.

        Args:
            path: A file that is not written to any more.

        Returns:
            Their image id.

        Raises:
            StoreError: no space, no permission.
        """
        with path.open("rb") as file:
            image_id = hashlib.file_digest(file, "sha256").hexdigest()
        if self.has(image_id):
            return image_id
        if self._staging is None:
            with self._workspace.writing(self.key(image_id)) as target:
                shutil.copyfile(path, target)
            return image_id
        staged = f"{self._name}-{next(self._numbers)}"
        with self._translated():
            try:
                os.link(path, staged)  # a long body lies on that disk already
            except OSError:  # a file system without links
                shutil.copyfile(path, staged)
        self._stage(image_id, staged)
        return image_id

    def commit(self) -> None:
        """Make visible what was put, each original whole: on the disk first, then by its name.

        Raises:
            StoreError: no space, no permission; what is not visible yet stays staged.
        """
        with self._committing, self._translated():
            group = self._staged.copy()
            _flush(group.values())
            for image_id, path in group.items():
                _place(path, self._target(image_id))
                del self._staged[image_id]

    def get(self, image_id: str) -> bytes:
        """The bytes.

        Raises:
            StoreError: there is no such original.
        """
        if image_id in self._staged:
            self.commit()
        return self._workspace.read_bytes(self.key(image_id))

    def _target(self, image_id: str) -> str:
        # Built by hand, as paths below: there are thousands, and `Path` is half of what they cost.
        return f"{self._shelf}/{image_id[:2]}/{image_id}"

    def _stage(self, image_id: str, path: str) -> None:
        if self._staged.setdefault(image_id, path) is not path:
            os.unlink(path)  # noqa: PTH108 - the same bytes came twice at once

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise StoreError(
                f"cannot keep originals in {self._workspace.describe()}: {error.strerror}; make "
                "room or mend its permissions, and run the same command again"
            ) from error


def _flush(paths: Collection[str]) -> None:
    """Have the files' bytes on the disk, whatever happens to the power."""
    syncfs = getattr(_LIBC, "syncfs", None)
    if len(paths) <= _FEW or syncfs is None:
        for path in paths:
            with open(path, "rb+") as file:  # noqa: PTH123
                os.fsync(file.fileno())
        return
    with open(next(iter(paths)), "rb") as file:  # noqa: PTH123
        if syncfs(file.fileno()):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))


def _place(path: str, target: str) -> None:
    # Looked for only here, one after another: between downloads each look costs several times that.
    if os.path.exists(target):  # noqa: PTH110
        os.unlink(path)  # noqa: PTH108 - written once
        return
    try:
        os.replace(path, target)  # noqa: PTH105
    except FileNotFoundError:
        os.makedirs(os.path.dirname(target), exist_ok=True)  # noqa: PTH103, PTH120
        os.replace(path, target)  # noqa: PTH105
