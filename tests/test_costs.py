"Latencies end to end: random blocks on every runtime that is here, random tables, random machines."
import os
import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip('onnxruntime', reason="onnxruntime is not installed: pip install 'nas_workbench[onnx]'")

from nas_workbench.arch import Key
from nas_workbench.blocks import build_block
from nas_workbench.costs.analytic import Macs
from nas_workbench.costs.calibrate import calibrate, choose, report
from nas_workbench.costs.measure import Journal, explore, interpolate, measure, open_runtime
from nas_workbench.costs.table import About, Entry, LatencyTable, read_table, series, write_table
from nas_workbench.network import build_network
from nas_workbench.runtime.base import Plan, Settings, Timing, time_runs
from nas_workbench.runtime.onnx import block_graph, network_graph
from nas_workbench.runtime.tensorrt import find_trtexec
from nas_workbench.space import PRESETS, space

QUICK = Plan(warmup=1, warm_us=0, least=4, most=8)
ABOUT = About('prunet-tiny', 32, 'a toy', 'none', '0')
KEYS = space('prunet-tiny').latency_keys()

def lively(module):
    for m in module.modules():
        if isinstance(m, torch.nn.BatchNorm2d): torch.nn.init.uniform_(m.weight, .5, 1.5), torch.nn.init.uniform_(m.bias, -.3, .3), torch.nn.init.uniform_(m.running_mean, -.3, .3), torch.nn.init.uniform_(m.running_var, .5, 2)
    return module.eval()

def agrees(runtime, module, graph, shape, tol):
    "The compiled block computes what the module does."
    o = runtime.settings
    weights = {k: v.numpy() for k,v in module.state_dict().items()}
    made = runtime.compile(module if runtime.takes == 'module' else graph(o, weights), shape)
    x = np.random.default_rng(0).standard_normal((o.batch, *shape), dtype='float32')
    with torch.inference_mode(): y = module(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(made.run(x), y, rtol=tol, atol=tol*max(1, np.abs(y).max()))
    assert o.precision in made.precision
    assert time_runs(made.sample, QUICK).median > 0

def blocks(name, n): return random.Random(name).sample([k for k in space(name).latency_keys() if k.resolution <= 72], n)

HERE = [('onnxruntime', Settings(2), 'cpu', 1e-3), ('torch', Settings(2), 'cpu', 1e-3), ('torch', Settings(2, precision='bf16'), 'cpu', 6e-2)]

@pytest.mark.parametrize('name, how, device, tol', HERE)
@pytest.mark.parametrize('preset', ['prunet-tiny', 'prunet'])
def test_random_blocks_compute_what_torch_computes(preset, name, how, device, tol):
    runtime = open_runtime(name, how, device)
    for k in blocks(preset, 6):
        torch.manual_seed(0)
        agrees(runtime, lively(build_block(k.block)), lambda o, w, k=k: block_graph(k.block, k.resolution, o, w), (k.block.c_in, k.resolution, k.resolution), tol)

@pytest.mark.parametrize('preset', PRESETS)
def test_networks_of_every_preset_compute_what_torch_computes(preset):
    a = replace(space(preset).sample(5), resolution=64)
    torch.manual_seed(0)
    agrees(open_runtime(), lively(build_network(a)), lambda o, w: network_graph(a, o, w), (3, 64, 64), 1e-3)

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason='torch sees no GPU here')

@needs_gpu
@pytest.mark.parametrize('precision, tol', [('fp32', 1e-2), ('fp16', 3e-2), ('bf16', 1e-1)])
def test_torch_on_a_gpu(precision, tol):
    runtime = open_runtime('torch', Settings(2, precision=precision), 'cuda')
    for k in blocks('prunet', 6): agrees(runtime, lively(build_block(k.block)), None, (k.block.c_in, k.resolution, k.resolution), tol)

@needs_gpu
@pytest.mark.parametrize('precision, tol', [('fp32', 1e-2), ('fp16', 3e-2)])
def test_tensorrt_on_a_gpu(precision, tol):
    pytest.importorskip('tensorrt', reason="tensorrt is not installed: pip install 'nas_workbench[tensorrt]'")
    runtime = open_runtime('tensorrt', Settings(precision=precision))
    for k in blocks('prunet', 3): agrees(runtime, lively(build_block(k.block)), lambda o, w, k=k: block_graph(k.block, k.resolution, o, w), (k.block.c_in, k.resolution, k.resolution), tol)

@needs_gpu
@pytest.mark.skipif(not find_trtexec(), reason='there is no program trtexec here')
def test_trtexec_on_a_gpu():
    runtime = open_runtime('trtexec', Settings(precision='fp16'))
    k = blocks('prunet', 1)[0]
    agrees(runtime, lively(build_block(k.block)), lambda o, w: block_graph(k.block, k.resolution, o, w), (k.block.c_in, k.resolution, k.resolution), 3e-2)

@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(KEYS), st.tuples(st.floats(1e-3, 1e9), st.booleans(), st.none() | st.floats(1e-3, 1e9)), max_size=30))
def test_any_table_survives_its_file(tmp_path, d):
    t = LatencyTable(ABOUT, {k: Entry(m, .1, measured, .02, 3, c) for k,(m,measured,c) in d.items()})
    assert read_table(write_table(t, tmp_path/'t.sqlite')) == t
    assert t.missing(KEYS) == [k for k in KEYS if k not in d]

def invented(rng, widths):
    "Latency over width, in microseconds, as devices have it: lines, bends, kinks, jumps, and staircases with steps of 8 to 96 channels, whole or half of the slope."
    a,b,at,n,off = rng.uniform(1, 50),rng.uniform(.06, .6),rng.choice(widths),rng.choice(range(8, 97, 8)),rng.randrange(96)
    def stairs(w): return n*-(-(w+off)//n)
    return rng.choice([lambda w: a + b*w, lambda w: a + b*w**2/(widths[-1] or 1), lambda w: a + b*w + 2*b*max(0, w-at), lambda w: a*(1 + (w > at)) + b*w,
                       lambda w: a + b*stairs(w), lambda w: a + b*n*-(-w//n), lambda w: a + b*(w + stairs(w))/2])

@pytest.mark.parametrize('preset', ['prunet-tiny', 'prunet'])
@pytest.mark.parametrize('noise', [0, .01, .02])
def test_nine_in_ten_interpolated_entries_are_within_their_errors(preset, noise):
    keys,found = [k for k in space(preset).latency_keys() if k.block.kind != 'skip'],[]
    for seed in range(3):
        rng,truth,rows,known = random.Random(seed),{},{},{}
        for row in series(keys):
            of = invented(rng, [k.block.hidden for k in row])
            truth |= {k: of(k.block.hidden) for k in row}
            rows |= dict.fromkeys(row, row)
        def time(k, rng=rng, truth=truth, known=known):
            us = truth[k]*(1 + rng.gauss(0, noise))
            known[k] = min(us, known.get(k, us))
            return us
        errors = explore(keys, time, .03, seed)
        assert set(errors) == set(keys)
        found += [(abs(interpolate(rows[k], known, k)/truth[k] - 1), e) for k,e in errors.items() if e is not None]
    assert np.mean([off <= e + 1e-9 for off,e in found]) >= .88
    assert np.median([off for off,_ in found]) <= .03
    assert len(found) > len(keys)

def test_a_series_that_its_judges_find_wrong_is_explored_further():
    block,off = next(k.block for k in KEYS if k.block.kind == 'irb'),[]
    for seed in range(40):
        rng = random.Random(seed)
        n,start = rng.choice(range(24, 97, 8)),rng.randrange(96)
        row = [Key(replace(block, hidden=8*i), 8) for i in range(1, 49)]
        truth = {k: 5. + -(-(k.block.hidden + start)//n)*n/10 for k in row}
        known = {k: truth[k] for k,e in explore(row, truth.__getitem__, .03, seed).items() if e is None}
        off.append(float(np.median([abs(interpolate(row, known, k)/truth[k] - 1) for k in row if k not in known] or [0.])))
    assert np.mean([o > .03 for o in off]) < .25, off

def test_a_smooth_device_is_timed_at_a_quarter_of_its_widths():
    keys = [k for k in space('prunet').latency_keys() if k.block.kind != 'skip']
    errors = explore(keys, lambda k: 5 + k.macs()/1e6, .03)
    assert list(errors.values()).count(None) < len(keys)/4

def test_noise_is_what_two_measurements_differ_by():
    def machine(seed):
        rng = random.Random(seed)
        def time(k):
            t = 10.*(1 + .2*rng.random())
            return Timing(t, t, t, 0, 0, 9)
        return time
    keys = KEYS[:60]
    (a,noise),(b,_) = (measure(keys, machine(seed), Journal(None, ABOUT), limit=.9, exhaustive=True) for seed in (1, 2))
    differ = float(np.median([abs(a[k].median-b[k].median)/min(a[k].median, b[k].median) for k in a]))
    assert .5 < noise/differ < 2.5, (noise, differ)

def test_a_table_of_macs_calibrates_to_a_device_that_counts_macs():
    tiny = space('prunet-tiny')
    t = LatencyTable(ABOUT, {k: Entry(Macs(1e4).latency(k)) for k in KEYS})
    def device(a): return 30 + 2*a.latency(t)
    some = choose(t, tiny, 20)
    done = calibrate(t, [(a, device(a)) for a in some], [(a, device(a)) for a in map(tiny.sample, range(900, 930))])
    assert report(done)[1].median < .01 and report(done)[1].tau > .99

def test_an_interrupted_write_leaves_the_old_table(tmp_path, monkeypatch):
    old = LatencyTable(ABOUT, {KEYS[0]: Entry(1.)})
    file = write_table(old, tmp_path/'t.sqlite')
    monkeypatch.setattr(os, 'replace', lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt): write_table(LatencyTable(ABOUT, {KEYS[1]: Entry(2.)}), file)
    monkeypatch.undo()
    assert read_table(file) == old and [o.name for o in tmp_path.iterdir()] == ['t.sqlite']
