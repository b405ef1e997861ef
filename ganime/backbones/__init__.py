"""Pretrained networks, frozen: images in, pooled features out.

They serve twice: the classifiers' heads and the evaluation's distances both stand on them.
"""

from ganime.backbones.backbone import Backbone, load_backbone
from ganime.backbones.config import Architecture, BackboneConfig, PretrainingConfig
from ganime.backbones.pretraining import open_backbone

__all__ = [
    "Architecture",
    "Backbone",
    "BackboneConfig",
    "PretrainingConfig",
    "load_backbone",
    "open_backbone",
]
