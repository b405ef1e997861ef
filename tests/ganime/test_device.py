import pytest
import torch

from ganime.device import choose_device, uses_bfloat16
from ganime.errors import ConfigError


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_asking_for_a_device_that_is_not_there_says_what_to_do() -> None:
    assert choose_device("auto").type == "cpu"
    with pytest.raises(ConfigError, match="device is cuda but torch sees no CUDA device"):
        choose_device("cuda")


def test_a_precision_that_was_asked_for_is_used() -> None:
    cpu = torch.device("cpu")
    assert uses_bfloat16("bf16", cpu)
    assert not uses_bfloat16("fp32", cpu)
    assert uses_bfloat16("auto", cpu) in (True, False)
