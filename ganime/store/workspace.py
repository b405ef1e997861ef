"""A workspace: one folder by fsspec URL, on a disk or an object store, written atomically."""

import contextlib
import errno
import os
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import IO, Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from ganime.config import digest_of
from ganime.errors import ConfigError, StoreError

_ADVICE = {
    errno.ENOSPC: "the disk is full; make room and run the same command again",
    errno.EACCES: "permission denied; choose another --workspace or mend its permissions",
    errno.EROFS: "the disk is read-only; choose another --workspace",
    errno.ENOTDIR: "a part of the path is a file, not a folder; choose another --workspace",
    errno.EEXIST: "a part of the path is a file, not a folder; choose another --workspace",
}


@dataclass(frozen=True)
class Workspace:
    """Files by key (`manifests/posts/….parquet`) below one URL.

    A key becomes visible whole or not at all: on a disk by temporary name, fsync and rename, on an
    object store by a single PUT. What starts with a dot is never listed.

    Args:
        url: A folder, or anything fsspec opens, for example `s3://bucket/prefix`.
    """

    url: str

    @cached_property
    def _target(self) -> tuple[fsspec.AbstractFileSystem, str]:
        try:
            # What other machines write meanwhile must be seen: no listing is remembered.
            filesystem, root = fsspec.core.url_to_fs(self.url, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            raise ConfigError(f"cannot open the workspace {self.url!r}: {error}") from error
        return filesystem, root.rstrip("/")

    @property
    def is_local(self) -> bool:
        """Whether its files have paths on this machine."""
        return isinstance(self._target[0], LocalFileSystem)

    def describe(self, key: str = "") -> str:
        """Where the key is, for people: a path or a URL."""
        filesystem, _ = self._target
        return (
            self._path(key) if self.is_local else str(filesystem.unstrip_protocol(self._path(key)))
        )

    def exists(self, key: str) -> bool:
        """Whether the key is there, whole."""
        if self.is_local:
            return os.path.exists(self._path(key))  # noqa: PTH110 - asked for every image
        with _translated(f"cannot look for {self.describe(key)}"):
            return bool(self._target[0].exists(self._path(key)))

    def read_bytes(self, key: str) -> bytes:
        """The whole content.

        Raises:
            StoreError: it is missing or cannot be read.
        """
        with _translated(f"cannot read {self.describe(key)}"):
            content: bytes = self._target[0].cat_file(self._path(key))
            return content

    def size(self, key: str) -> int:
        """Length in bytes."""
        with _translated(f"cannot read {self.describe(key)}"):
            return int(self._target[0].size(self._path(key)))

    def modified(self, key: str) -> datetime:
        """When it was written, in UTC; a copy of a workspace may tell when it was copied."""
        with _translated(f"cannot read {self.describe(key)}"):
            written: datetime = self._target[0].modified(self._path(key))
            return written.astimezone(UTC)

    def write_bytes(self, key: str, content: bytes) -> None:
        """Make the key visible with this content, replacing what was there.

        Raises:
            StoreError: no space, no permission; nothing is left half written.
        """
        with _translated(f"cannot write {self.describe(key)}"):
            if self.is_local:
                _write_local(self._path(key), content)
            else:
                self._target[0].pipe_file(self._path(key), content)

    def create_bytes(self, key: str, content: bytes) -> bool:
        """`write_bytes`, unless the key is there: of all who try at once, one succeeds.

        Returns:
            Whether it was this call.

        Raises:
            StoreError: no space, no permission.
        """
        with _translated(f"cannot write {self.describe(key)}"):
            try:
                if self.is_local:
                    _create_local(self._path(key), content)
                else:
                    self._target[0].pipe_file(self._path(key), content, mode="create")
            except FileExistsError:
                return False
            return True

    def write_text(self, key: str, content: str) -> None:
        """`write_bytes` of UTF-8."""
        self.write_bytes(key, content.encode())

    @contextmanager
    def writing(self, key: str) -> Iterator[Path]:
        """A local file to write; when the block ends without an error the key becomes visible.

        Raises:
            StoreError: no space, no permission; nothing is left half written.
        """
        with _translated(f"cannot write {self.describe(key)}"):
            if self.is_local:
                with _local_replacement(Path(self._path(key))) as path:
                    yield path
                return
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / PurePosixPath(key).name
                yield path
                self._target[0].pipe_file(self._path(key), path.read_bytes())

    @contextmanager
    def source(self, key: str) -> Iterator[str | IO[bytes]]:
        """What a parser reads at any place from: its path where it has one, else the open file.

        Raises:
            StoreError: in the block, it is found to be missing or cannot be read.
        """
        with _translated(f"cannot read {self.describe(key)}"):
            if self.is_local:
                yield self._path(key)
                return
            with self._target[0].open(self._path(key), "rb") as file:
                yield file

    def local_path(self, key: str) -> Path:
        """A path on this machine with the content, for memory mapping.

        On a remote workspace the file is fetched once into the temporary folder; keys opened this
        way are immutable (shards, weights), so that copy never goes stale.
        """
        with _translated(f"cannot read {self.describe(key)}"):
            if self.is_local:
                return Path(self._path(key))
            copy = Path(tempfile.gettempdir()) / f"ganime-{digest_of(self.url)}" / key
            if not copy.exists():
                with _local_replacement(copy) as path:
                    path.write_bytes(self._target[0].cat_file(self._path(key)))
            return copy

    def list(self, prefix: str, suffix: str = "") -> list[str]:
        """Keys below a folder at any depth, sorted."""
        filesystem, root = self._target
        base = self._path(prefix)
        if not filesystem.exists(base):
            return []
        with _translated(f"cannot list {self.describe(prefix)}"):
            # A manifest has thousands of parts: on a disk they are named without a look at each.
            found = _walk(base) if self.is_local else map(str, filesystem.find(base))
            keys = [path[len(root) :].lstrip("/") for path in found]
        return sorted(key for key in keys if key.endswith(suffix) and "/." not in f"/{key}")

    def shared_folder(self, name: str) -> Path:
        """A folder on this machine for what its processes must agree on while they work here.

        In the workspace itself, hidden, where that is on a disk; else in the temporary folder.
        """
        if self.is_local:
            return Path(self._path(f".{name}"))
        owner = digest_of(self.url, str(Path.home()))
        return Path(tempfile.gettempdir()) / f"ganime-{owner}" / f".{name}"

    def remove(self, key: str) -> None:
        """Forget a key; fine if it is not there."""
        with _translated(f"cannot remove {self.describe(key)}"):
            if self.exists(key):
                self._target[0].rm_file(self._path(key))

    def check_writable(self) -> None:
        """Fail early rather than after hours.

        Raises:
            StoreError: nothing can be written here.
        """
        probe = ".ganime-probe"
        self.write_bytes(probe, b"")
        self.remove(probe)

    def _path(self, key: str) -> str:
        _, root = self._target
        if ".." in PurePosixPath(key).parts or key.startswith("/"):
            raise StoreError(f"{key!r} is not a key of a workspace")
        return f"{root}/{key}" if key else root

    def __reduce__(self) -> tuple[Any, ...]:
        return Workspace, (self.url,)  # the open filesystem stays behind


def _walk(folder: str) -> Iterator[str]:
    for parent, _, names in os.walk(folder):
        yield from (f"{parent}/{name}" for name in names)


def _write_local(path: str, content: bytes) -> None:
    """As `_local_replacement`, for bytes at hand: originals come by the thousand."""
    folder, name = os.path.split(path)
    partial = f"{folder}/.{name}.{secrets.token_hex(4)}.partial"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    try:
        descriptor = os.open(partial, flags, 0o666)
    except FileNotFoundError:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103
        descriptor = os.open(partial, flags, 0o666)
    try:
        with os.fdopen(descriptor, "wb", buffering=0) as file:
            rest = memoryview(content)
            while rest:
                rest = rest[file.write(rest) :]
            os.fsync(file.fileno())
        os.replace(partial, path)  # noqa: PTH105
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(partial)  # noqa: PTH108
        raise


def _create_local(path: str, content: bytes) -> None:
    """Whole, and only where nothing is: a link takes no name that is taken, as a rename does."""
    folder, name = os.path.split(path)
    partial = f"{folder}/.{name}.{secrets.token_hex(4)}"
    _write_local(partial, content)
    try:
        os.link(partial, path)
    finally:
        os.unlink(partial)  # noqa: PTH108


@contextmanager
def _local_replacement(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise StoreError(f"{doing}: it is not there") from error
    except OSError as error:
        if error.errno is None:
            raise  # a parser's complaint about the content, not about the file
        advice = _ADVICE.get(error.errno, error.strerror)
        raise StoreError(f"{doing}: {advice}") from error
    except Exception as error:
        # What an object store's client says of credentials and endpoints; it is no OSError, and its
        # package is optional.
        if not type(error).__module__.startswith("botocore"):
            raise
        raise StoreError(f"{doing}: {error}; see the credentials and the endpoint") from error
