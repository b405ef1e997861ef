import torch

from ganime.training.device import isolated


def test_the_random_state_and_the_threads_are_left_as_they_were() -> None:
    threads, state = torch.get_num_threads(), torch.get_rng_state()
    with isolated(1):
        assert torch.get_num_threads() == 1
        torch.manual_seed(5)
    with isolated(0):
        assert torch.get_num_threads() == max(1, threads - 1)
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), state)
