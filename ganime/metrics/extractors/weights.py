"""Published weights files: where they are looked for, and how they are told from others."""

import hashlib
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError

import torch

from ganime.errors import WeightsError

log = logging.getLogger(__name__)

# A property of the machine, as TORCH_HOME is, and of no experiment: it changes no number, as every
# file is told by its digest. So it is no setting.
FOLDER_VARIABLE = "GANIME_WEIGHTS"
DOWNLOAD = "download"
_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.(?:pth|pt|safetensors)$")


@dataclass(frozen=True)
class PublishedFile:
    """A weights file that others measure with too.

    Attributes:
        use: What needs it, for messages.
        names: What the file is called; the same bytes go by several names.
        sha256: How the SHA-256 of its bytes starts, as its names say.
        url: Where it can be had.
        option: The command line's option for its path.
    """

    use: str
    names: tuple[str, ...]
    sha256: str
    url: str
    option: str

    def ways(self) -> str:
        """The three ways of giving the file."""
        return (
            f"give its path with {self.option} PATH, put it into the folder that the environment "
            f"variable {FOLDER_VARIABLE} names, or download it from {self.url}"
        )

    def lacking(self, found: str) -> WeightsError:
        """The error that says what was found instead of the file, and the three ways of giving it.

        Args:
            found: What is wrong, for example `x.pth is no such file`.
        """
        return WeightsError(
            f"{self.use} needs {self.names[0]} (SHA-256 {self.sha256}…), and {found}: {self.ways()}"
        )


def find_weights(published: PublishedFile, weights: str) -> Path:
    """The file with the weights.

    Args:
        published: The file that is wanted.
        weights: Path of a file, or of a folder that holds it; `download` looks into the folder that
            `GANIME_WEIGHTS` names, then into torch's cache, then fetches it into that cache.

    Raises:
        WeightsError: there is none; says the three ways of giving it.
    """
    if weights != DOWNLOAD:
        given = Path(weights).expanduser()
        path = _in_folder(published, given) if weights and given.is_dir() else given
        if path is None or not path.is_file():
            raise published.lacking(f"{weights or 'no path'!r} is no such file")
        return path
    return _known(published) or _download(published)


def checked_digest(published: PublishedFile, path: Path) -> str:
    """SHA-256 of a file, hex, once it agrees with the start of it that the file's name holds.

    Raises:
        WeightsError: it does not agree: damaged, or another file under this name.
    """
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    promised = _HASH_IN_NAME.search(path.name)
    if promised and not digest.startswith(promised[1]):
        raise published.lacking(
            f"{path} has {digest[:8]}… and not the {promised[1]}… of its name: it is damaged or "
            "another file"
        )
    return digest


def _known(published: PublishedFile) -> Path | None:
    folders = [Path(torch.hub.get_dir()) / "checkpoints"]
    if named := os.environ.get(FOLDER_VARIABLE):
        folders.insert(0, Path(named).expanduser())
    return next((path for folder in folders if (path := _in_folder(published, folder))), None)


def _in_folder(published: PublishedFile, folder: Path) -> Path | None:
    return next((folder / name for name in published.names if (folder / name).is_file()), None)


def _download(published: PublishedFile) -> Path:
    path = Path(torch.hub.get_dir()) / "checkpoints" / published.names[0]
    log.info("extractor: downloading %s from %s", published.names[0], published.url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Written beside and renamed once its digest is right.
        torch.hub.download_url_to_file(
            published.url, str(path), hash_prefix=published.sha256, progress=False
        )
    except (URLError, OSError, RuntimeError) as error:
        raise published.lacking(
            f"{published.url} cannot be downloaded ({str(error)[:120]})"
        ) from error
    return path
