"""Original bytes exactly as received, named by their SHA-256, written once."""

import hashlib
import shutil
from pathlib import Path

from ganime.store.workspace import Workspace


class Originals:
    """The originals of a workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def key(self, image_id: str) -> str:
        """Where an original lies."""
        return f"originals/{image_id[:2]}/{image_id}"

    def has(self, image_id: str) -> bool:
        """Whether it is there."""
        return self._workspace.exists(self.key(image_id))

    def put(self, content: bytes) -> str:
        """Keep these bytes, once.

        Returns:
            Their image id.
        """
        image_id = hashlib.sha256(content).hexdigest()
        if not self.has(image_id):
            self._workspace.write_bytes(self.key(image_id), content)
        return image_id

    def put_file(self, path: Path) -> str:
        """Keep the bytes of a file, once, without having them all in memory.

        Returns:
            Their image id.
        """
        with path.open("rb") as file:
            image_id = hashlib.file_digest(file, "sha256").hexdigest()
        if not self.has(image_id):
            with self._workspace.writing(self.key(image_id)) as target:
                shutil.copyfile(path, target)
        return image_id

    def get(self, image_id: str) -> bytes:
        """The bytes.

        Raises:
            StoreError: there is no such original.
        """
        return self._workspace.read_bytes(self.key(image_id))
