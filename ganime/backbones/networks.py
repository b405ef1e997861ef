"""torchvision networks without their heads, and how their weights are found."""

import hashlib
import itertools
import os
from collections.abc import Mapping
from pathlib import Path
from urllib.error import URLError

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ganime import vision
from ganime.backbones.config import Architecture, BackboneConfig
from ganime.errors import WeightsError

StateDict = Mapping[str, torch.Tensor]
OPTION = "--backbone-weights "
_HEADS = ("fc.", "classifier.")
# Layers up to the map in the middle, of those that are one sequence.
_MIDDLE = {"vgg16": 24, "mobilenet_v2": 14}
_COUNTER = ".num_batches_tracked"  # of batch norms; takes no part in the features


class Trunk(nn.Module):
    """A network up to its last feature map, then averaged over the map.

    VGG16's fully connected layers, which fix the input's size and hold 90 % of its weights, are
    left out: its features are the averaged last map too.

    Args:
        architecture: Name at torchvision.

    Attributes:
        dim: D, length of a feature vector.
        middle_channels: C, channels of the map in the middle.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        network = vision.torchvision.models.get_model(architecture, weights=None)
        if architecture.startswith("resnet"):
            self.dim = int(network.fc.in_features)
            self.middle_channels = self.dim // 2
            network.avgpool = network.fc = nn.Identity()
        else:
            self.dim = 512 if architecture == "vgg16" else int(network.last_channel)
            self.middle_channels = 512 if architecture == "vgg16" else 96
            network.avgpool = network.classifier = nn.Identity()
        self.architecture: Architecture = architecture
        self.network = network

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Normalised images [B, 3, H, W] to float32 features [B, D]."""
        return pooled(self.maps(images)[1])

    def maps(self, images: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Normalised images [B, 3, H, W] to the map in the middle [B, C, 2h, 2w] and the last.

        The middle is where the side is a sixteenth of the image's: parts of figures and their
        places, which the last map has given up for what the whole is.
        """
        net = self.network
        if self.architecture.startswith("resnet"):
            stem = net.maxpool(net.relu(net.bn1(net.conv1(images))))
            middle = net.layer3(net.layer2(net.layer1(stem)))
            return middle, net.layer4(middle)
        place = _MIDDLE[self.architecture]
        middle = net.features[:place](images)
        return middle, net.features[place:](middle)


def described(middle: torch.Tensor, last: torch.Tensor) -> torch.Tensor:
    """Both maps as one vector: means of the last, then of the middle and of each quarter of it.

    Args:
        middle: [B, C, 2h, 2w].
        last: [B, D, h, w].

    Returns:
        float32 [B, D + 5·C].
    """
    parts = [F.adaptive_avg_pool2d(middle.float(), cells).flatten(1) for cells in (1, 2)]
    return torch.cat([pooled(last), *parts], dim=1)


def pooled(maps: torch.Tensor) -> torch.Tensor:
    """Mean of maps [B, D, h, w], float32 [B, D]; bfloat16 would lose half of its few digits."""
    return maps.float().mean(dim=(2, 3))


def pretrained_trunk(
    config: BackboneConfig, learned: Path | None = None, option: str = OPTION
) -> Trunk:
    """A trunk with the weights that a config asks for, its norms not folded in.

    Args:
        config: Architecture and weights.
        learned: For `weights="tags"`: what `ganime.backbones.pretraining` saved.
        option: How people say which weights, for the message.

    Raises:
        WeightsError: the weights are missing or do not fit; says how to give them.
    """
    if config.weights == "none":
        return build_trunk(config.architecture, config.seed)
    if config.weights == "download":
        state, where = download_state_dict(config.architecture, option), "the download"
        return load_trunk(config.architecture, state, where)
    path = learned if config.weights == "tags" else Path(config.weights).expanduser()
    if path is None:
        raise WeightsError(
            "weights learned from tags belong to a workspace: classify a crawl there first, or "
            f"give a path with {option}PATH"
        )
    return load_trunk(config.architecture, read_state_dict(path), str(path))


def build_trunk(architecture: Architecture, seed: int) -> Trunk:
    """A trunk with torchvision's random initialisation, the same for equal seeds."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Trunk(architecture)


def load_trunk(architecture: Architecture, state: StateDict, where: str) -> Trunk:
    """A trunk with these weights.

    Args:
        architecture: Name at torchvision.
        state: torchvision's state dict; the head's entries may be missing.
        where: Where it came from, for the message.

    Raises:
        WeightsError: names or shapes are not those of the architecture.
    """
    trunk = build_trunk(architecture, 0)
    wanted = trunk.network.state_dict()
    given = {name: value for name, value in state.items() if not name.startswith(_HEADS)}
    lacks = [name for name in wanted if name not in given and not name.endswith(_COUNTER)]
    extra = [name for name in given if name not in wanted]
    differs = [name for name in given if name in wanted and given[name].shape != wanted[name].shape]
    if lacks or extra or differs:
        raise WeightsError(
            f"{where} does not fit torchvision's {architecture}: {len(lacks)} entries are missing, "
            f"{len(extra)} unknown, {len(differs)} of another shape "
            f"(the first: {(lacks + extra + differs)[0]}); give the state dict of {architecture}, "
            "or choose the architecture that it belongs to"
        )
    trunk.network.load_state_dict(given, strict=False)
    return trunk


def read_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """Read a state dict from a `.safetensors` or PyTorch file, running none of its code.

    Raises:
        WeightsError: it is missing or is not a state dict.
    """
    if not path.is_file():
        raise WeightsError(
            f"there is no weights file {path}: give the path of a torchvision state dict, or the "
            "words download, tags or none"
        )
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state = torch.load(path, map_location="cpu", weights_only=True)
    # torch.load fails in as many ways as there are broken files.
    except Exception as error:
        raise WeightsError(f"{path} cannot be read as network weights: {_first(error)}") from error
    if not isinstance(state, Mapping) or not all(
        isinstance(name, str) and isinstance(value, torch.Tensor) for name, value in state.items()
    ):
        raise WeightsError(f"{path} holds no state dict (tensors by name): save model.state_dict()")
    return dict(state)


def download_state_dict(
    architecture: Architecture, option: str = OPTION
) -> dict[str, torch.Tensor]:
    """torchvision's ImageNet weights, from its cache folder or the network.

    Args:
        architecture: Name at torchvision.
        option: How people say which weights, for the message.

    Raises:
        WeightsError: they cannot be had; names the file and the ways to give it.
    """
    weights = vision.torchvision.models.get_model_weights(architecture).DEFAULT
    try:
        state: dict[str, torch.Tensor] = weights.get_state_dict(progress=False, check_hash=True)
    except (URLError, OSError, RuntimeError) as error:
        name = str(weights.url).rsplit("/", 1)[1]
        cache = os.path.join(torch.hub.get_dir(), "checkpoints")  # noqa: PTH118
        raise WeightsError(
            f"cannot download {name} from {weights.url} ({_first(error)}): give its path with "
            f"{option}PATH, put it into {cache}, learn features from the posts with {option}tags, "
            f"or use random ones with {option}none"
        ) from error
    return state


def digest_of_weights(state: StateDict) -> str:
    """First 12 hex digits of the SHA-256 of the tensors by name, whatever file they came in."""
    digest = hashlib.sha256()
    for name in sorted(state):
        if not name.endswith(_COUNTER):
            value = state[name].detach().cpu().contiguous()
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()[:12]


def fuse_norms(module: nn.Module) -> None:
    """Fold each batch norm into the convolution before it, in place and in float32.

    Running a folded network in bfloat16 then rounds only weights, never running statistics.
    """
    names = [name for name, _ in module.named_children()]
    children = dict(module.named_children())
    for first, second in itertools.pairwise(names):
        conv, norm = children[first], children[second]
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            setattr(module, first, fuse_conv_bn_eval(conv, norm))
            setattr(module, second, nn.Identity())
    for child in module.children():
        fuse_norms(child)


def _first(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
