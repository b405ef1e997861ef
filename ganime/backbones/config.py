"""Settings of a backbone."""

from typing import Literal

from pydantic import Field

from ganime.config import Config
from ganime.device import Device, Precision

Architecture = Literal["resnet18", "resnet34", "resnet50", "vgg16", "mobilenet_v2"]


class PretrainingConfig(Config):
    """How a backbone learns to predict the posts' tags."""

    size: int = Field(64, ge=32, le=256, description="Side of the training images [px].")
    epochs: int = Field(12, ge=1, description="How often each image is shown.")
    batch: int = Field(128, ge=2, description="Images per step.")
    learning_rate: float = Field(2e-3, gt=0, description="Peak, of AdamW under a cosine.")
    weight_decay: float = Field(0.05, ge=0, description="Decoupled, of AdamW.")
    min_frequency: float = Field(
        0.02, ge=0, le=0.5, description="Tags rarer than this share of the images are not learned."
    )
    max_frequency: float = Field(
        0.98, ge=0.5, le=1, description="Tags more common than this share are not learned."
    )
    min_positives: int = Field(8, ge=1, description="Images a tag must have to be learned.")
    max_images: int = Field(20_000, ge=2, description="More images than this are not shown.")


class BackboneConfig(Config):
    """A torchvision network as a frozen feature extractor."""

    architecture: Architecture = Field("resnet18", description="Which network.")
    weights: str = Field(
        "download",
        min_length=1,
        description="Path of a torchvision state dict (.pth or .safetensors), download, tags "
        "(learn them from the posts' tags) or none (random).",
    )
    size: int = Field(
        128, ge=32, le=512, description="Side that the padded images are resized to [px]."
    )
    batch: int = Field(64, ge=1, description="Images per forward pass.")
    precision: Precision = Field(
        "auto", description="auto takes bf16 on CUDA and on processors with AMX, else fp32."
    )
    device: Device = Field("auto", description="auto is cuda where there is one.")
    seed: int = Field(0, ge=0, description="Of random weights and of training on tags.")
    pretraining: PretrainingConfig = PretrainingConfig()
