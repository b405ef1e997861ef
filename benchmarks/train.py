"""Full updates of both networks, each recipe beside what people train with elsewhere.

    python benchmarks/train.py                 # about 8 minutes
    python benchmarks/train.py --rounds 1      # a first look

Every comparison runs in turn within each round, on one thread, at 64 px; figures are images per
second of CPU time, medians of the rounds. Peers:

- plain DCGAN: networks, sizes and loop of PyTorch's example, fp32, two passes of the discriminator;
- plain R3GAN: the same networks as ours, fp32, exact penalties on whole batches, two passes;
- stylegan2-pytorch (PyPI, optional): its networks, losses and penalties, fp32, in a loop written
  here, since its own wants a GPU; ours at nearly the same number of parameters. Install it with
  `pip install --no-deps stylegan2-pytorch fire termcolor kornia kornia_rs einops retry py tqdm
  contrastive-learner vector-quantize-pytorch==0.1.0`: its logger `aim` is not needed.
"""

import argparse
import itertools
import json
import multiprocessing
import re
import statistics
import sys
import time
import types
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ganime.augmentations.plain import Plain
from ganime.gans import Recipe, Step
from ganime.gans.dcgan import Dcgan
from ganime.gans.fastgan import FastGan
from ganime.gans.layers import num_parameters
from ganime.gans.r3gan import R3gan
from ganime.gans.stylegan2 import StyleGan2
from ganime.training.batches import Batches, Examples
from ganime.training.loop import Options, Trainer

SIDE = 64
STEPS = 6  # timed at a time
PAPER = {
    "latent": 100,
    "width_generator": 64,
    "width_discriminator": 64,
    "widest": 512,
    "upsampling": "transposed",
}


@dataclass(frozen=True)
class Program:
    """One way to train.

    Attributes:
        step: One update of both networks.
        images: Real images it shows.
        parameters: Of generator and discriminator.
    """

    step: Callable[[], None]
    images: int
    parameters: tuple[int, int]


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--json", type=Path, help="write the figures here as well")
    chosen = options.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    figures: dict[str, float] = {}
    for title, factories, goal in COMPARISONS:
        made = {name: factory() for name, factory in factories.items()}
        programs = {name: program for name, program in made.items() if program is not None}
        if len(programs) < len(factories):
            print(f"\n{title}: stylegan2-pytorch is not installed, see the top of this file")
        else:
            figures |= compare(title, programs, chosen.rounds, goal)
    if chosen.json:
        chosen.json.write_text(json.dumps(figures, indent=2) + "\n")


def compare(title: str, programs: dict[str, Program], rounds: int, goal: float) -> dict[str, float]:
    """Programs in turn; the first of them is ours."""
    print(f"\n{title}")
    speeds: dict[str, list[float]] = {name: [] for name in programs}
    for program in programs.values():
        for _ in range(2):  # first allocations are slow
            program.step()
    for _ in range(rounds):
        for name, program in programs.items():
            start = time.process_time()
            for _ in range(STEPS):
                program.step()
            speeds[name].append(STEPS * program.images / (time.process_time() - start))
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    for name, program in programs.items():
        size = " + ".join(f"{number / 1e6:.2f}M" for number in program.parameters)
        memory = memory_mb(title, name)
        print(
            f"  {name:20s} {medians[name]:8.1f} images per CPU second   {size} parameters   "
            f"{memory:5.0f} MB"
        )
    mine, other = list(medians.values())[:2]
    print(f"  ratio {mine / other:.2f}, goal {goal}")
    return {f"{title}: {name}": value for name, value in medians.items()}


def memory_mb(title: str, name: str) -> float:
    """What a program's networks, gradients, averages and maps take, in a process of its own."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_memory_mb, title, name).result()


def _memory_mb(title: str, name: str) -> float:
    torch.set_num_threads(1)
    (factory,) = (made[name] for one, made, _ in COMPARISONS if one == title)
    Path("/proc/self/clear_refs").write_text("5")  # the peak so far is forgotten (proc(5))
    before = _peak_mb()
    program = factory()
    assert program is not None
    for _ in range(2):
        program.step()
    return _peak_mb() - before


def _peak_mb() -> float:
    (line,) = re.findall(r"VmHWM:\s*(\d+) kB", Path("/proc/self/status").read_text())
    return int(line) / 1024


def ours(recipe: Recipe, batch: int) -> Program:
    """Our trainer, as `ganime run` uses it on a CPU with AMX."""
    trainer = Trainer(
        recipe,
        SIDE,
        Batches(Examples(_images()), batch, 0, mirror=True),
        total=10**7,
        options=Options(augmentation=Plain(), ema_nimg=4000.0, bfloat16=True),
        device=torch.device("cpu"),
    )
    sizes = num_parameters(trainer.generator), num_parameters(trainer.discriminator)
    return Program(trainer.step, batch, sizes)


def plain(recipe: Recipe, batch: int) -> Program:
    """The loop that tutorials show, around the same networks: fp32, one thing after another."""
    generator, discriminator = recipe.generator(SIDE), recipe.discriminator(SIDE)
    adam_g = torch.optim.Adam(generator.parameters(), 2e-4, (0.5, 0.999))
    adam_d = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.5, 0.999))
    average = [item.detach().clone() for item in generator.parameters()]
    pixels = _images()
    numbers = itertools.count()

    def step() -> None:
        nimg = next(numbers) * batch
        chosen = pixels[np.arange(nimg, nimg + batch) % len(pixels)]
        real = torch.from_numpy(chosen).permute(0, 3, 1, 2).float() / 127.5 - 1
        fake = generator(recipe.latents(torch.randn(batch, recipe.num_latents)))
        adam_d.zero_grad()
        loss = recipe.discriminator_loss(discriminator(real), discriminator(fake.detach()))
        where = Step(nimg, 10**7, batch)
        penalty = recipe.discriminator_penalty(discriminator, real, fake.detach(), where)
        (loss if penalty is None else loss + penalty).backward()
        adam_d.step()
        adam_g.zero_grad()
        judged = discriminator(real) if recipe.generator_sees_reals else None
        recipe.generator_loss(discriminator(fake), judged).backward()
        adam_g.step()
        with torch.no_grad():
            for mean, item in zip(average, generator.parameters(), strict=True):
                mean.lerp_(item, 0.01)

    return Program(step, batch, (num_parameters(generator), num_parameters(discriminator)))


def stylegan2_pytorch(batch: int) -> Program | None:
    """The peer's networks, hinge loss, penalty every 4th update and moving average."""
    peer = _import_peer()
    if peer is None:
        return None
    styles, generator = peer.StyleVectorizer(512, 8, lr_mul=0.1), peer.Generator(SIDE, 512, 16)
    discriminator = peer.Discriminator(SIDE, 16)
    networks = nn.ModuleList([styles, generator])
    adam_g = torch.optim.Adam(networks.parameters(), 1e-4, (0.5, 0.9))
    adam_d = torch.optim.Adam(discriminator.parameters(), 2e-4, (0.5, 0.9))
    average = [item.detach().clone() for item in networks.parameters()]
    real_images = torch.from_numpy(_images()).permute(0, 3, 1, 2).float() / 255
    numbers = itertools.count()

    def draw() -> Tensor:
        w = styles(torch.randn(batch, 512))[:, None].expand(-1, generator.num_layers, -1)
        made: Tensor = generator(w, torch.rand(batch, SIDE, SIDE, 1))
        return made

    def step() -> None:
        number = next(numbers)
        punished = number % 4 == 0
        real = real_images[torch.arange(number * batch, (number + 1) * batch) % len(real_images)]
        real.requires_grad_(punished)
        fake = draw().detach().requires_grad_(punished)
        adam_d.zero_grad()
        fake_logits, real_logits = discriminator(fake)[0], discriminator(real)[0]
        loss = (F.relu(1 + real_logits) + F.relu(1 - fake_logits)).mean()
        if punished:
            loss = loss + peer.gradient_penalty(real, real_logits)
            loss = loss + peer.gradient_penalty(fake, fake_logits)
        loss.backward()
        adam_d.step()
        adam_g.zero_grad()
        discriminator(draw())[0].mean().backward()
        adam_g.step()
        with torch.no_grad():
            for mean, item in zip(average, networks.parameters(), strict=True):
                mean.lerp_(item, 0.005)

    return Program(step, batch, (num_parameters(networks), num_parameters(discriminator)))


def _import_peer() -> Any:
    """The package asserts a GPU and imports a logger when it is imported; neither is used here."""
    import ganime.vision  # noqa: F401  first: the peer imports torchvision as it is

    sys.modules.setdefault("aim", types.ModuleType("aim"))
    available, torch.cuda.is_available = torch.cuda.is_available, lambda: True
    try:
        from stylegan2_pytorch import stylegan2_pytorch as peer
    except ImportError:
        return None
    finally:
        torch.cuda.is_available = available
    return peer


def _images() -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.random.default_rng(0).integers(0, 256, (512, SIDE, SIDE, 3), dtype=np.uint8)


# The peer has 13.3M + 22.7M parameters at 64 px with its own capacity of 16; this 15.5M + 20.9M.
STYLEGAN2 = '{"channel_base": 4096, "channel_max": 704}'
_PAPER = Dcgan.parse(PAPER)
_EXACT = R3gan(penalty_method="exact", penalty_share=1.0)
# Titles, what is compared, ours first, and the ratio wanted.
COMPARISONS: list[tuple[str, dict[str, Callable[[], Program | None]], float]] = [
    (
        "DCGAN of the paper's size, batch 64",
        {"ours": lambda: ours(_PAPER, 64), "plain": lambda: plain(_PAPER, 64)},
        2.7,
    ),
    (
        "R3GAN, batch 32",
        {"ours": lambda: ours(R3gan(), 32), "plain": lambda: plain(_EXACT, 32)},
        5.0,
    ),
    (
        "R3GAN beside the plain DCGAN, batch 64",
        {"ours": lambda: ours(R3gan(), 64), "plain DCGAN": lambda: plain(_PAPER, 64)},
        0.8,
    ),
    (
        "FastGAN beside the plain DCGAN, batch 64",
        {"ours": lambda: ours(FastGan(), 64), "plain DCGAN": lambda: plain(_PAPER, 64)},
        0.8,
    ),
    (
        "StyleGAN2, batch 32",
        {
            "ours": lambda: ours(StyleGan2.parse(json.loads(STYLEGAN2)), 32),
            "stylegan2-pytorch": lambda: stylegan2_pytorch(32),
        },
        3.0,
    ),
]


if __name__ == "__main__":
    main()
