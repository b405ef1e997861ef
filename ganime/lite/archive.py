"""Model packages as files: a zip with known entries, each with its size and SHA-256.

Everything in a package may be hostile. A name that is not in `LIMITS` is refused, so no name can
be a path; sizes are checked before a byte is read, and large entries are never compressed, so a
package cannot grow much beyond its own length.
"""

import hashlib
import json
import secrets
import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from ganime.errors import ConfigError, WeightsError

FORMAT, SCHEMA = "ganime model", 1
SUFFIX = ".ganime"
MANIFEST = "manifest.json"
MODEL, CARD, WEIGHTS = "model.json", "card.md", "generator.safetensors"
SAMPLES, MEMBERS = "samples.png", "members.txt"
DIRECTIONS = "directions.safetensors"
GENERATOR_GRAPH = "generator.onnx"
MAPPING_GRAPH, SYNTHESIS_GRAPH = "mapping.onnx", "synthesis.onnx"

_MIB = 2**20
# The most that an entry may hold [bytes]: networks of 512 px have 120 MB, a million members 65 MB.
LIMITS = {
    MANIFEST: _MIB // 4,
    MODEL: 16 * _MIB,
    CARD: 4 * _MIB,
    WEIGHTS: 2048 * _MIB,
    SAMPLES: 128 * _MIB,
    MEMBERS: 256 * _MIB,
    DIRECTIONS: 16 * _MIB,
    GENERATOR_GRAPH: 2048 * _MIB,
    MAPPING_GRAPH: 512 * _MIB,
    SYNTHESIS_GRAPH: 2048 * _MIB,
}
_DEFLATED = {MANIFEST, MODEL, CARD, MEMBERS}  # texts; the others hardly shrink
_NEEDED = (MODEL, CARD, WEIGHTS, SAMPLES)
_LONG_AGO = (1980, 1, 1, 0, 0, 0)  # the first time a zip can tell: equal content, equal bytes
_READABLE = 0o644 << 16
_DAMAGE = (  # what zipfile says of broken files
    *(zipfile.BadZipFile, zlib.error, struct.error, EOFError),
    *(NotImplementedError, RuntimeError, ValueError, OverflowError),
)


def write_archive(path: Path, entries: Mapping[str, bytes]) -> None:
    """Write a package, whole or not at all; equal entries give equal bytes.

    Args:
        path: Where to; must end in `.ganime`. A package that is there is replaced.
        entries: Content by name, without the manifest.

    Raises:
        ConfigError: the path ends otherwise, or cannot be written.
    """
    if path.suffix != SUFFIX:
        raise ConfigError(f"{path}: a model package is called NAME{SUFFIX}")
    listed = {
        name: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        for name, content in entries.items()
    }
    manifest = {"format": FORMAT, "schema": SCHEMA, "entries": listed}
    whole = {MANIFEST: json.dumps(manifest, indent=1).encode(), **entries}
    partial = path.parent / f".{path.name}.{secrets.token_hex(4)}.partial"
    try:
        with zipfile.ZipFile(partial, "w") as file:
            for name, content in whole.items():
                file.writestr(_info(name), content)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)


def read_archive(path: Path) -> dict[str, bytes]:
    """Read a package and prove that it is whole.

    Returns:
        Content by name, without the manifest.

    Raises:
        ConfigError: there is no such file.
        WeightsError: it is no package, or one entry is missing, unknown, too large, damaged, or
            not what the manifest says; names the entry.
    """
    try:
        with path.open("rb") as content:
            contents = _contents(path, content)
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    listed = _listed(path, contents.pop(MANIFEST))
    _compare(path, listed, contents)
    return contents


def refused(path: Path, entry: str, why: str) -> WeightsError:
    """The one sentence about a package that is not taken."""
    return WeightsError(f"{path}: {entry} {why}; fetch or export the package again")


def _info(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name, _LONG_AGO)
    info.compress_type = zipfile.ZIP_DEFLATED if name in _DEFLATED else zipfile.ZIP_STORED
    info.external_attr, info.create_system = _READABLE, 3  # as on Unix, wherever it is made
    return info


def _contents(path: Path, content: IO[bytes]) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(content) as file:
            infos = _checked(path, file.infolist())
            return {name: _read(path, file, info) for name, info in infos.items()}
    except (*_DAMAGE, OSError) as error:  # an offset that leads out of the file is an OSError
        raise WeightsError(
            f"{path} is no whole model package ({error}): fetch or export it again"
        ) from error


def _checked(path: Path, infos: list[zipfile.ZipInfo]) -> dict[str, zipfile.ZipInfo]:
    """Entries by name, none of them read yet."""
    found: dict[str, zipfile.ZipInfo] = {}
    for info in infos:
        name = info.filename
        allowed = (zipfile.ZIP_STORED, *([zipfile.ZIP_DEFLATED] if name in _DEFLATED else []))
        if name not in LIMITS:
            raise refused(path, f"entry {name!r:.80}", "is none that a package has")
        if name in found:
            raise refused(path, name, "is there twice")
        if info.file_size > LIMITS[name]:
            raise refused(
                path, name, f"has {info.file_size} bytes, at most {LIMITS[name]} are read"
            )
        if info.compress_type not in allowed or info.flag_bits & 1:
            raise refused(path, name, "is packed in a way that packages are not")
        found[name] = info
    if MANIFEST not in found:
        raise refused(path, MANIFEST, "is missing, so this is no model package")
    return found


def _read(path: Path, file: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    try:
        # A reader gives as many bytes as the entry claims, however many are packed.
        return file.read(info)
    except _DAMAGE as error:
        raise refused(path, info.filename, f"is damaged ({error})") from error


def _listed(path: Path, manifest: bytes) -> Mapping[str, Any]:
    """Size and digest of each entry by name."""
    try:
        found: Any = json.loads(manifest)
        if found["format"] != FORMAT:
            raise refused(path, MANIFEST, f"is of format {found['format']!r:.40}, not {FORMAT!r}")
        if found["schema"] != SCHEMA:
            raise WeightsError(
                f"{path}: {MANIFEST} has schema {found['schema']!r:.40}, this ganime reads "
                f"{SCHEMA}: use the ganime that made it, or a newer one"
            )
        listed: Mapping[str, Any] = dict(found["entries"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise refused(path, MANIFEST, "is not what a manifest holds") from error
    return listed


def _compare(path: Path, listed: Mapping[str, Any], contents: Mapping[str, bytes]) -> None:
    for name in sorted({*listed, *contents, *_NEEDED}):
        if name not in contents:
            raise refused(path, f"{name:.80}", "is missing")
        if name not in listed:
            raise refused(path, name, f"is not in {MANIFEST}")
        found = {
            "bytes": len(contents[name]),
            "sha256": hashlib.sha256(contents[name]).hexdigest(),
        }
        if listed[name] != found:
            raise refused(path, name, f"is not what {MANIFEST} says: its SHA-256 or length differs")
