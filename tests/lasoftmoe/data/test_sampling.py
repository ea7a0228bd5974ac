"""The order of an epoch: from the seed and its number alone, the same for any split of the work."""

import numpy as np
import pytest
import torch

from lasoftmoe.data import epoch_loader
from lasoftmoe.data.sampling import EpochBatches, epoch_order

LABELS = torch.tensor([True] * 21 + [False] * 9)


def rows(epoch=0, first=0, **arguments):
    order = EpochBatches(LABELS, **{"batch_size": 4, "seed": 0, **arguments})
    order.epoch, order.first = epoch, first
    return list(order)


def test_uniform_is_every_image_once_and_another_order_each_epoch():
    orders = [epoch_order(LABELS, seed, epoch, "uniform") for seed in (0, 1) for epoch in (0, 1)]
    assert all(sorted(order) == list(range(30)) for order in orders)
    assert len({tuple(order) for order in orders}) == 4
    assert np.array_equal(orders[0], epoch_order(LABELS, 0, 0, "uniform"))


def test_class_balanced_batches_hold_as_many_live_images_as_attacks():
    batches = rows(sampling="class_balanced")
    assert len(batches) == 7
    assert all(LABELS[batch].sum() == 2 for batch in batches)
    live = [row for batch in batches for row in batch if not LABELS[row]]
    attacks = [row for batch in batches for row in batch if LABELS[row]]
    assert len(set(attacks)) == len(attacks)  # the larger class is cut, not repeated
    assert set(live) == set(range(21, 30))  # the rarer one is used up before it is repeated
    assert {tuple(b) for b in batches} != {tuple(b) for b in rows(1, sampling="class_balanced")}


def test_class_balanced_needs_both_classes():
    with pytest.raises(ValueError, match="of 5 training images 5 are attacks"):
        epoch_order(torch.ones(5, dtype=torch.bool), 0, 0, "class_balanced")


@pytest.mark.parametrize("sampling", ["uniform", "class_balanced"])
def test_processes_share_out_the_batches_of_one(sampling):
    whole = rows(batch_size=6, sampling=sampling)
    parts = [
        rows(batch_size=2, processes=3, process=process, sampling=sampling) for process in range(3)
    ]
    together = [[row for part in batch for row in part] for batch in zip(*parts, strict=True)]
    assert together == whole


def test_going_on_in_the_middle_of_an_epoch_gives_the_rest_of_it():
    assert rows(epoch=2, first=3) == rows(epoch=2)[3:]
    assert len(EpochBatches(LABELS, 4, 0)) == len(rows(epoch=2)) == 7


def test_worker_processes_change_neither_order_nor_pixels(splits):
    def images(workers):
        order = EpochBatches(splits["train"].is_attack, 8, seed=3)
        order.epoch, order.first = 1, 1
        batches = list(epoch_loader(splits["train"], order, workers))
        return [b["id"] for b in batches], torch.cat([b["image"] for b in batches])

    (ids, pixels), (ids_of_workers, pixels_of_workers) = images(0), images(2)
    assert ids == ids_of_workers and len(ids) == 3
    assert torch.equal(pixels, pixels_of_workers)
