"""`ganime generate`, `interpolate`, `mix`, `project` and `onnx`: use a trained generator."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from flows.cli.console import open_workspace, say
from flows.cli.options import HOW, WHAT, DebugOption, WorkspaceOption, option

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from ganime.training.generator import Generator

    Pixels = npt.NDArray[np.uint8]

ModelArgument = Annotated[
    str, Parameter(help="Id of the model or its first digits; empty for the only one.")
]
SeedsOption = Annotated[str, option(WHAT, "Which images: 0-63, or 1,5,20-29.")]
TruncationOption = Annotated[
    float, option(WHAT, "From 0, the average image, to 1, all that was learnt.")
]
TagsOption = Annotated[
    tuple[str, ...], option(WHAT, "What to show, for a model trained with tags; repeatable.")
]
SnapshotOption = Annotated[
    int | None, option(WHAT, "Images shown at the snapshot to take; the last if you do not say.")
]


def generate(
    model: ModelArgument = "",
    /,
    *,
    out: Annotated[Path, option(HOW, "Folder for the images.", "--out", "-o")] = Path("generated"),
    seeds: SeedsOption = "0-63",
    truncation: TruncationOption = 1.0,
    tags: TagsOption = (),
    grid: Annotated[bool, option(HOW, "One picture with all of them instead.")] = False,
    snapshot: SnapshotOption = None,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Make images. Each PNG says in its text entries which model, seed and settings made it.

    Examples:

        ganime generate --seeds 0-63 --truncation 0.7 --grid

        ganime generate 41f0 --tags blue_hair --tags long_hair --seeds 7
    """
    generator, identity = _open(workspace, model, snapshot, debug=debug)
    from ganime.training.pictures import parse_seeds
    from ganime.training.sheets import square

    chosen = parse_seeds(seeds)
    z, asked = generator.blueprint.of_seeds(chosen, tags or None)
    images = generator.images(z, asked, truncation=truncation)
    settings = _settings(generator, identity, truncation=truncation, tags=tags)
    if grid:
        _save(out / f"seeds-{seeds}.png", square(images), {**settings, "seeds": seeds})
        return
    for seed, image in zip(chosen, images, strict=True):
        _save(out / f"seed-{seed:05d}.png", image, {**settings, "seed": seed}, quiet=True)
    say(f"{len(images)} images in {out}")


def interpolate(
    model: ModelArgument = "",
    /,
    *,
    out: Annotated[
        Path, option(HOW, "File to make: .gif, .webp, .mp4, or .png for a strip.", "--out", "-o")
    ] = Path("interpolation.webp"),
    seeds: SeedsOption = "0-3",
    frames: Annotated[int, option(WHAT, "Pictures in all.", least=2)] = 96,
    fps: Annotated[float, option(WHAT, "Pictures per second.")] = 24.0,
    latents: Annotated[bool, option(WHAT, "Walk in z even where there are styles.")] = False,
    truncation: TruncationOption = 1.0,
    tags: TagsOption = (),
    snapshot: SnapshotOption = None,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Walk from image to image and back to the first: lines between styles, arcs between latents.

    Examples:

        ganime interpolate --seeds 1,5,9 --out walk.mp4

        ganime interpolate --seeds 1,5 --frames 8 --out strip.png
    """
    generator, identity = _open(workspace, model, snapshot, debug=debug)
    from ganime.gans import StyleNetwork
    from ganime.training.pictures import parse_seeds
    from ganime.training.sheets import tile
    from ganime.training.styles import closed_loop
    from ganime.training.video import animation

    styled = isinstance(generator.network, StyleNetwork) and not latents
    z, asked = generator.blueprint.of_seeds(parse_seeds(seeds), tags or None)
    # A walk has one wish: tags that jump from picture to picture would not be a walk.
    wish = None if asked is None else asked[:1].expand(frames, -1)
    if styled:
        codes = generator.codes(z, None if wish is None else wish[: len(z)], truncation=truncation)
        images = generator.draw(closed_loop(codes, frames, on_sphere=False))
    else:
        images = generator.images(
            closed_loop(z, frames, on_sphere=True), wish, truncation=truncation
        )
    if out.suffix == ".png":
        settings = _settings(generator, identity, truncation=truncation, tags=tags, seeds=seeds)
        _save(out, tile(images, frames), settings)
        return
    _write(out, animation(list(images), fps, out.suffix))


def mix(
    model: ModelArgument = "",
    /,
    *,
    out: Annotated[Path, option(HOW, "Picture to make.", "--out", "-o")] = Path("mix.png"),
    rows: Annotated[str, option(WHAT, "Seeds whose styles are taken from.")] = "0-3",
    columns: Annotated[str, option(WHAT, "Seeds whose images are changed.")] = "4-9",
    layers: Annotated[
        str, option(WHAT, "Which layers to take: first ones hold the shape.")
    ] = "0-3",
    truncation: TruncationOption = 1.0,
    tags: TagsOption = (),
    snapshot: SnapshotOption = None,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Draw a table of mixtures: each column's image with some layers of each row's.

    Examples:

        ganime mix --rows 0-3 --columns 4-9 --layers 4-7
    """
    generator, identity = _open(workspace, model, snapshot, debug=debug)
    from ganime.training.mixing import mixture_table
    from ganime.training.pictures import parse_seeds

    sheet = mixture_table(
        generator,
        parse_seeds(rows),
        parse_seeds(columns),
        parse_seeds(layers),
        truncation=truncation,
        tags=tags or None,
    )
    wishes = {"rows": rows, "columns": columns, "layers": layers}
    _save(out, sheet, _settings(generator, identity, truncation=truncation, tags=tags, **wishes))


def project(
    image: Path,
    model: ModelArgument = "",
    /,
    *,
    out: Annotated[Path, option(HOW, "Picture to make.", "--out", "-o")] = Path("projected.png"),
    steps: Annotated[int, option(HOW, "Steps of the search.", least=1)] = 300,
    each_layer: Annotated[
        bool, option(HOW, "A style for each layer: nearer, but less of what the model knows.")
    ] = False,
    seed: Annotated[int, option(HOW, "Of the search.")] = 0,
    tags: TagsOption = (),
    snapshot: SnapshotOption = None,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Search the image of a model that is nearest to a picture; shows both side by side.

    The code found is kept beside it as .npy: a style, styles of each layer, or a latent.

    Args:
        image: The picture; it is padded to a square.

    Examples:

        ganime project girl.png --steps 500 --each-layer
    """
    generator, identity = _open(workspace, model, snapshot, debug=debug)
    import numpy as np

    from ganime.training.mixing import project_file

    wish = generator.blueprint.vector(tags) if tags or generator.blueprint.tag_names else None
    sheet, found = project_file(
        generator, image, steps=steps, each_layer=each_layer, seed=seed, tags=wish
    )
    wishes = {"image": image.name, "steps": steps, "seed": seed, "each_layer": each_layer}
    _save(out, sheet, _settings(generator, identity, tags=tags, **wishes))
    code = out.with_suffix(".npy")
    np.save(code, found.code.cpu().numpy(), allow_pickle=False)
    start, *_, end = found.distances
    say(f"distance {start:.4f} at the start, {end:.4f} in the end; its code is in {code}")


def onnx(
    model: ModelArgument = "",
    /,
    *,
    out: Annotated[Path, option(HOW, "File to make.", "--out", "-o")] = Path("generator.onnx"),
    snapshot: SnapshotOption = None,
    workspace: WorkspaceOption = "workspace",
    debug: DebugOption = False,
) -> None:
    """Write a model for programs without torch, and prove that onnxruntime draws the same.

    Examples:

        ganime onnx 41f0 --out girls.onnx
    """
    generator, _ = _open(workspace, model, snapshot, debug=debug)
    from ganime.training.onnx_file import export_onnx

    difference = export_onnx(generator, out)
    inputs = "z and tags" if generator.blueprint.tag_names else "z"
    say(f"{out}: {inputs} in, images out; onnxruntime differs by at most {difference:.1g}")


def _open(
    workspace: str, model: str, snapshot: int | None, *, debug: bool
) -> "tuple[Generator, str]":
    store = open_workspace(workspace, debug=debug)
    from ganime.training.pictures import find_model
    from ganime.training.snapshot import load_generator

    identity = find_model(store, model)
    return load_generator(store, identity, snapshot), identity


def _settings(generator: "Generator", identity: str, **wishes: Any) -> dict[str, Any]:
    return {"model": identity, "nimg": generator.nimg, **wishes}


def _save(
    path: Path, pixels: "Pixels", settings: Mapping[str, Any], *, quiet: bool = False
) -> None:
    from ganime.training.pictures import described_png

    _write(path, described_png(pixels, settings), quiet=quiet)


def _write(path: Path, content: bytes, *, quiet: bool = False) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    if not quiet:
        say(str(path))
