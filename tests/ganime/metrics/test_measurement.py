import json
from dataclasses import asdict
from importlib.metadata import version

import numpy as np

from ganime.metrics import METRICS, Sets
from ganime.metrics.extractors import EXTRACTORS
from ganime.metrics.measurement import measure


def test_each_number_says_all_that_decides_whether_it_may_be_compared() -> None:
    backbone = {"weights": "none", "size": 32}
    extractor = EXTRACTORS.build({"name": "backbone", "backbone": backbone}).open(None)
    rng = np.random.default_rng(0)
    real, fake = (rng.normal(size=(count, 8)).astype(np.float32) for count in (60, 50))
    metrics = [METRICS.build(name) for name in ("fd", "kid", "precision_recall")]

    found = measure(metrics, Sets(real, fake, seed=4), extractor, "set/1")

    assert [one.metric for one in found] == [
        f"{base}_resnet18_random" for base in ("fd", "kid", "precision", "recall")
    ]
    kid = found[1]
    assert (kid.num_real, kid.num_fake, kid.reference, kid.seed) == (60, 50, "set/1", 4)
    assert kid.weights == extractor.weights_digest
    assert kid.resize == "bicubic-antialias-uint8-32"
    assert json.loads(kid.settings)["name"] == "kid"
    assert kid.versions["torch"] == version("torch")
    assert kid.low is not None
    assert kid.low < kid.value
    json.dumps([asdict(one) for one in found])
