"""The order of training images."""

import numpy as np
import torch

from mien.training.batches import FaceSampler

LABELS = torch.tensor([0] * 90 + [1] * 10)


def test_every_image_comes_once_in_an_order_of_seed_and_epoch():
    sampler = FaceSampler(LABELS, seed=3)
    first = list(sampler)
    assert sorted(first) == list(range(100))
    assert first == list(sampler)
    sampler.set_epoch(1)
    assert first != list(sampler)
    assert first != list(FaceSampler(LABELS, seed=4))
    assert list(sampler) != list(FaceSampler(LABELS, seed=4))  # and seeds do not share orders of other epochs


def test_processes_share_the_batches_of_one():
    whole = list(FaceSampler(LABELS))
    shares = [list(FaceSampler(LABELS, rank=rank, world_size=2)) for rank in range(2)]
    for start in range(0, 50, 4):
        together = shares[0][start : start + 4] + shares[1][start : start + 4]
        assert sorted(together) == sorted(whole[2 * start : 2 * start + 8])


def test_a_remainder_is_left_out():
    samplers = [FaceSampler(LABELS, rank=rank, world_size=3) for rank in range(3)]
    assert [len(sampler) for sampler in samplers] == [33, 33, 33]
    assert [len(list(sampler)) for sampler in samplers] == [33, 33, 33]


def test_balance_draws_classes_by_their_power():
    def share_of_rare(balance):
        draws = []
        sampler = FaceSampler(LABELS, class_balance=balance)
        for epoch in range(50):
            sampler.set_epoch(epoch)
            draws += list(sampler)
        return np.mean(LABELS.numpy()[draws])

    assert abs(share_of_rare(1.0) - 0.5) < 0.03
    assert abs(share_of_rare(0.5) - 0.25) < 0.03  # sqrt(10) : sqrt(90) = 1 : 3
