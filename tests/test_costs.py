"Latencies end to end: random blocks on every runtime that is here, random tables, random machines."
import os
import random
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytest.importorskip('onnxruntime', reason="onnxruntime is not installed: pip install 'nas_workbench[onnx]'")

from nas_workbench.arch import Key
from nas_workbench.blocks import build_block
from nas_workbench.costs.analytic import Macs, live, peak_activations
from nas_workbench.costs.calibrate import calibrate, choose, report
from nas_workbench.costs import measure as room
from nas_workbench.costs.measure import Journal, Noisy, Pulse, explore, interpolate, journal_of, measure, measure_table, open_runtime
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

class Made:
    "A runtime made of numbers, on a machine that is `slower` than at its quietest; it breaks down after `lasts` compilations."
    name,version,device,where,takes,settings = 'made','1','a toy','cpu','module',Settings()
    def __init__(self, slower=1., lasts=10**9): self.slower,self.lasts,self.n = slower,lasts,0
    def keeping(self, folder): return nullcontext()
    def compile(self, module, shape):
        self.n += 1
        if self.n > self.lasts: raise KeyboardInterrupt
        us = 5. + sum(p.numel() for p in module.parameters())/1e3
        return SimpleNamespace(precision='fp32', sample=lambda: us*self.slower)

@pytest.fixture
def little(monkeypatch, tmp_path):
    "Measures a small space with a runtime into a file, without waiting."
    monkeypatch.setenv('NWB_CLAIMS', str(tmp_path/'claims'))
    monkeypatch.setattr(room, 'pulse_of', lambda rt, space, **kw: Pulse(lambda: 100*rt.slower, wait=lambda s: None, **kw))
    tiny,said = space('prunet-tiny'),[]
    small = replace(tiny, name='small', stages=tiny.stages[:2])
    def run(rt, **kw): return measure_table(small, rt, tmp_path/'t.sqlite', plan=QUICK, say=said.append, **{'networks': 0} | kw)
    return SimpleNamespace(run=run, said=said, file=tmp_path/'t.sqlite', space=small)

def medians(table): return {k: e.median for k,e in table.entries.items()}

def test_who_goes_on_compares_the_machine_with_what_it_was(little):
    calm = medians(little.run(Made()))
    little.file.unlink()
    with pytest.raises(KeyboardInterrupt): little.run(Made(lasts=20))
    with pytest.raises(Noisy, match='40% longer now than when the 20 timings'): little.run(Made(1.4))
    rest = Made()
    assert medians(little.run(rest)) == calm
    assert little.said == ['going on with 20 timings, taken on a machine as quiet as now']
    little.file.unlink()
    with pytest.raises(KeyboardInterrupt): little.run(Made(1.4, lasts=20))
    table = little.run(Made())
    assert 'taken when a fixed computation took 40% longer than now' in little.said[-1]
    assert medians(table) == calm and max(e.error for e in table.entries.values() if e.measured) < .01

def test_a_table_that_is_there_is_completed(little):
    begun = Made()
    first = little.run(begun)
    timed = {k for k,e in first.entries.items() if e.measured}
    assert 0 < len(timed) < len(first.entries) - 10
    again = Made()
    assert little.run(again) == first and again.n == 0
    assert little.said == [f'{little.file} is whole already and nothing was measured: --anew begins from nothing, --exhaustive times the {len(first.entries) - len(timed)} widths that are interpolated']
    rest = Made()
    every = little.run(rest, exhaustive=True)
    assert rest.n == 2*(len(first.entries) - len(timed)) and all(e.measured for e in every.entries.values())
    assert {k: every.entries[k] for k in timed} == {k: first.entries[k] for k in timed}
    whole = little.run(Made(), exhaustive=True, networks=6, held_out=3)
    assert len(whole.networks) == 9 and whole.calibrated
    more = Made()
    held = [o for o in little.run(more, exhaustive=True, networks=6, held_out=5).networks if o.role == 'held out']
    assert (len(held), more.n) == (5, 2*2)
    assert little.run(Made(), exhaustive=True, networks=6, held_out=5) == read_table(little.file) and len(little.said) == 2
    with pytest.raises(KeyboardInterrupt): little.run(Made(lasts=5), anew=True)
    assert read_table(little.file).calibrated  # which stays until the new one is whole
    new = Made()
    assert {k for k,e in little.run(new, anew=True).entries.items() if e.measured} == timed and new.n == begun.n - 5  # it goes on

def test_a_table_may_have_any_name(little):
    table = measure_table(little.space, Made(), little.file.with_name('z.journal'), plan=QUICK, networks=0)
    assert read_table(little.file.with_name('z.journal')) == table

@pytest.mark.skipif(not Path('/dev/full').exists(), reason='there is no /dev/full here')
def test_a_full_disk_is_named():
    with pytest.raises(OSError, match='/dev/full could not be written'): Journal(Path('/dev/full'), ABOUT)
    assert journal_of(Path('a/t.sqlite')) == Path('a/t.sqlite.journal')

WITHIN = ('Relu', 'Clip', 'Sigmoid', 'HardSwish', 'Div', 'Erf', 'Mul', 'Add', 'Flatten')

def followed(model):
    "The most numbers alive at once, following every tensor through an ONNX graph; elementwise nodes write into their first input."
    import onnx
    g = onnx.shape_inference.infer_shapes(onnx.load_from_string(model)).graph
    size = {o.name: int(np.prod([d.dim_value for d in o.type.tensor_type.shape.dim])) for o in (*g.input, *g.output, *g.value_info)}
    buffer,last = {g.input[0].name: g.input[0].name},{}
    for n,node in enumerate(g.node):
        mine = [buffer[o] for o in node.input if o in buffer]
        last |= dict.fromkeys(mine, n)
        buffer[node.output[0]] = mine[0] if node.op_type in WITHIN else node.output[0]
        last.setdefault(buffer[node.output[0]], n)
    made = {b: min(n for n,node in enumerate(g.node) if buffer[node.output[0]] == b) if b != g.input[0].name else 0 for b in last}
    return max(sum(size[b] for b in last if made[b] <= n <= last[b]) for n in range(len(g.node)))

@pytest.mark.parametrize('preset', ['prunet-tiny', 'prunet'])
def test_peak_activations_are_what_the_graph_holds(preset):
    found = [replace(space(preset).sample(i), resolution=64) for i in range(6)]
    for a in found: assert peak_activations(a, bytes_each=1) == followed(network_graph(a))
    for k in {k for a in found for k in a.keys() if k.block.kind != 'skip'}: assert live(k) == followed(block_graph(k.block, k.resolution)), k
    small = [Key(k.block, 1) for a in found for k in a.keys() if k.block.se and k.block.padded]
    assert small
    for k in small: assert live(k) == followed(block_graph(k.block, 1)), k
