import pytest
import torch

from ganime.errors import ConfigError
from ganime.training.device import choose_device, isolated, uses_bfloat16


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


def test_the_random_state_and_the_threads_are_left_as_they_were() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with isolated(1):
        assert torch.get_num_threads() == 1
        torch.manual_seed(5)
    with isolated(0):
        assert torch.get_num_threads() == max(1, threads - 1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
