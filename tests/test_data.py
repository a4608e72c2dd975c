"Properties of the data room: what a batch holds depends on the seed, the epoch and the image, and on nothing else."
import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data import Dataset

from nas_workbench.batches import Images, batches, split
from nas_workbench.data import Shapes, Tensors, dataset
from nas_workbench.shapes import bits, uniforms

few = settings(max_examples=30, deadline=None)
seeds = st.integers(0, 2**63)


class Global(Dataset):
    "Items from the three global generators, as timm's augmentations are."
    def __init__(self, n): self.n = n
    def __len__(self): return self.n
    def __getitem__(self, i): return torch.tensor([i, random.gauss(0, 1), np.random.rand(), torch.randn(()).item()], dtype=torch.float64), i % 3


def sources(n):
    pixels = torch.from_numpy((uniforms(1, np.arange(n*192)).reshape(n, 3, 8, 8)*255).astype(np.uint8))
    return [Global(n), Shapes(n, 32, 10, .5, 3, 0, False), Tensors(pixels, np.arange(n) % 4, (.5,)*3, (.2,)*3, True, 'test')]


def draw(data, *args, **kw): return list(batches(data, *args, **kw))
def same(a, b): return len(a) == len(b) and all(torch.equal(p, q) for x, y in zip(a, b) for p, q in zip(x, y))


@few
@given(n=st.integers(2, 40), size=st.integers(1, 9), seed=seeds, epoch=st.integers(0, 300), kind=st.integers(0, 2), drop=st.booleans(), data=st.data())
def test_start_anywhere(n, size, seed, epoch, kind, drop, data):
    size = min(size, n)
    kw = dict(batch_size=size, seed=seed, epoch=epoch, drop_last=drop)
    source = sources(n)[kind]
    whole = draw(source, None, **kw)
    start = data.draw(st.integers(0, len(whole)))
    assert same(draw(source, None, start=start, **kw), whole[start:])
    assert len(batches(source, None, start=start, **kw)) == len(whole) - start
    assert sum(len(y) for _, y in whole) == (n//size*size if drop else n)


@few
@given(ranks=st.sampled_from([2, 3, 4]), per_rank=st.integers(1, 3), whole_batches=st.integers(1, 4), seed=seeds, epoch=st.integers(0, 300), kind=st.integers(0, 2))
def test_ranks_make_up_the_batch_of_one(ranks, per_rank, whole_batches, seed, epoch, kind):
    size = ranks*per_rank
    source = sources(size*whole_batches)[kind]
    alone = draw(source, None, size, seed=seed, epoch=epoch)
    shared = [draw(source, None, size, seed=seed, epoch=epoch, rank=r, world_size=ranks) for r in range(ranks)]
    assert all(len(y) == per_rank for part in shared for _, y in part)
    assert same([tuple(map(torch.cat, zip(*parts))) for parts in zip(*shared)], alone)


@pytest.mark.parametrize('kind', [0, 1, 2])
@pytest.mark.parametrize('workers', [1, 2])
def test_workers_change_nothing(kind, workers):
    source = sources(23)[kind]
    kw = dict(indices=np.arange(1, 22), batch_size=4, seed=5, drop_last=False)
    pooled = batches(source, epoch=0, num_workers=workers, **kw)
    before = torch.get_rng_state()
    for epoch, start in ((0, 0), (1, 2), (0, 6), (2, 5)):
        assert same(list(pooled.at(epoch, start)), draw(source, epoch=epoch, start=start, **kw))
    assert torch.equal(before, torch.get_rng_state())


@few
@given(n=st.integers(1, 30), seed=seeds, epoch=st.integers(0, 300), kind=st.integers(0, 2))
def test_every_image_once_and_no_trace(n, seed, epoch, kind):
    source = sources(n)[kind]
    states = random.getstate(), str(np.random.get_state()), torch.get_rng_state()
    plan = batches(source, None, 3, seed=seed, epoch=epoch, drop_last=False)
    assert sorted(np.concatenate(plan.plan())) == list(range(n))
    drawn = list(plan)
    assert states[0] == random.getstate() and states[1] == str(np.random.get_state()) and torch.equal(states[2], torch.get_rng_state())
    random.random()
    np.random.rand()
    torch.rand(3)
    assert same(list(plan), drawn)


@few
@given(rows=st.lists(st.integers(0, 199), min_size=1, max_size=150), side=st.sampled_from([32, 37, 48]), classes=st.integers(10, 100), difficulty=st.floats(0, 1), seed=seeds)
def test_a_shape_does_not_know_its_neighbours(rows, side, classes, difficulty, seed):
    source = Shapes(200, side, classes, difficulty, 3, 4, False)
    x, y = source.draw(np.array(rows), seed, 1)
    k = len(rows)//2
    alone = source.draw(np.array(rows[k:k+1]), seed, 1)
    assert torch.equal(alone[0][0], x[k]) and y.tolist() == [r % classes for r in rows]
    assert torch.isfinite(x).all() and x.abs().max() < 6


@few
@given(labels=st.lists(st.integers(0, 5), min_size=4, max_size=200), fraction=st.floats(.2, .8), seed=seeds)
def test_split_is_fair(labels, fraction, seed):
    y = np.array(labels)
    a, b = split(y, fraction, seed)
    assert sorted([*a, *b]) == list(range(len(y))) and len(a) == round(fraction*len(y))
    for c in np.unique(y): assert abs((y[a] == c).sum() - fraction*(y == c).sum()) < 1 + 1e-9
    again = split(y, fraction, seed)
    assert (again[0] == a).all() and (again[1] == b).all()


def test_split_depends_on_the_seed_and_favours_nobody():
    times = np.zeros(20)
    for seed in range(400): times[split(20, .8, seed)[0]] += 1
    assert abs(times/400 - .8).max() < .1  # five standard deviations


def test_order_differs_by_epoch_and_by_seed():
    plans = {tuple(batches(Global(50), None, 50, seed=s, epoch=e).plan()[0]) for s in range(6) for e in range(6)}
    assert len(plans) == 36
    first = np.bincount([batches(Global(4), None, 4, seed=0, epoch=e).plan()[0][0] for e in range(800)], minlength=4)
    assert abs(first/800 - .25).max() < .08


def test_bits_tell_their_keys_apart():
    keys = [(a, b, c) for a in range(8) for b in range(8) for c in range(8)]
    assert len({int(bits(*k)[0]) for k in keys} | {int(bits(*k[:2])[0]) for k in keys}) == 512 + 64


def test_epochs_differ_in_augmentation_and_validation_does_not():
    for source in sources(12): assert not same(draw(source, None, 12, seed=0, epoch=0, shuffle=False), draw(source, None, 12, seed=0, epoch=1, shuffle=False))
    for name in ('shapes', 'digits'):
        valid = dataset(name, resolution=32).valid
        assert isinstance(valid, Images)
        assert same(draw(valid, range(30), 10, seed=0, epoch=0, shuffle=False), draw(valid, range(30), 10, seed=3, epoch=9, shuffle=False))
