import numpy as np
import pytest
from PIL import Image, ImageOps

from ganime.practice.plan import PracticeConfig, plan_posts
from ganime.practice.scenes import render


@pytest.fixture(scope="session")
def drawings() -> np.ndarray:
    """Distinct standing characters, uint8 [300, 64, 64, 3]."""
    nuisances = dict.fromkeys(
        ("chibi", "multiple", "flashy", "viewpoint", "exact", "near", "broken"), 0.0
    )
    config = PracticeConfig(posts=300, height_min=160, height_max=200, **nuisances)
    pictures = [Image.fromarray(render(post.scene)[..., :3]) for post in plan_posts(config)]
    squares = [ImageOps.pad(picture, (64, 64), color="white") for picture in pictures]
    return np.stack([np.asarray(square) for square in squares])
