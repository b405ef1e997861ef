"""A client of the studio for other programs: the standard library alone.

studio = Studio("http://127.0.0.1:8500")
for drawn in studio.images(seeds=[1, 2, 3], truncation=0.7):
    Path(f"{drawn.seed}.png").write_bytes(drawn.content)
"""

import base64
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ganime.errors import ConfigError, GanimeError

TIMEOUT_S = 120.0  # of one request; a studio gives up before
TRIES = 10  # of one request to a busy studio
LONGEST_WAIT_S = 60.0  # between two of them, whatever the studio says


class StudioError(GanimeError):
    """The studio does not answer, or could not do it.

    Attributes:
        status: Of its answer; None where there was none.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Drawn:
    """One image.

    Attributes:
        seed: Of the character; None if it is of a code.
        settings: All that decides about it.
        content: The file.
    """

    seed: int | None
    settings: Mapping[str, Any]
    content: bytes


class Studio:
    """A studio somewhere.

    Args:
        url: As `ganime studio` prints it, without the token.
        token: What it asks for, if it does.
    """

    def __init__(self, url: str, token: str = "") -> None:
        if not url.startswith(("http://", "https://")):
            raise ConfigError(f"url {url!r}: wanted http://HOST:PORT")
        self._url, self._token = url.rstrip("/"), token

    def models(self) -> list[dict[str, Any]]:
        """All models, the usual one first; their keys stand in docs/studio.md."""
        found: list[dict[str, Any]] = json.loads(self._ask("/v1/models"))["models"]
        return found

    def images(self, **wishes: Any) -> list[Drawn]:
        """Draw images: `seeds` or `count` or `codes`, and what is wished of them.

        Raises:
            StudioError: the studio does not answer, or refuses the wishes in words.
        """
        told = json.loads(self._ask("/v1/images", {**wishes, "inline": True}))
        return [
            Drawn(one["seed"], one["settings"], base64.b64decode(one["data"]))
            for one in told["images"]
        ]

    def sprites(self, images: list[Mapping[str, Any]], **wishes: Any) -> bytes:
        """A zip of sprites, their sheet and its atlas, of characters by their settings."""
        return self._ask("/v1/sprites", {**wishes, "images": images})

    def interpolation(self, **wishes: Any) -> bytes:
        """A walk between `seeds` or `images` as GIF, WebP or a strip."""
        return self._ask("/v1/interpolations", wishes)

    def _ask(self, path: str, body: Mapping[str, Any] | None = None) -> bytes:
        """The answer; a busy studio is asked again when it said to."""
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, data, headers)
        for _ in range(TRIES):
            try:
                with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                    content: bytes = answer.read()
                    return content
            except urllib.error.HTTPError as error:
                problem = _problem(error)
                if error.code not in (429, 503):
                    raise problem from error
                time.sleep(min(LONGEST_WAIT_S, float(error.headers.get("Retry-After", 1))))
            except OSError as error:
                raise StudioError(f"{self._url} does not answer: {error}") from error
        raise problem


def _problem(error: urllib.error.HTTPError) -> StudioError:
    try:
        detail = json.loads(error.read())["detail"]
    except (ValueError, KeyError, OSError):
        detail = error.reason
    return StudioError(f"the studio says {error.code}: {detail}", error.code)
