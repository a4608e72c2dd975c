"Figures at the size of the paper's search, their size, and what stands in them."
import json
import random
import subprocess
import sys
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip('plotly', reason='the views need the extra lab')

from nas_workbench.events import Changed, Cost, Epoch, Finished, Masks, Removed, SkipInserted, Started, Trained, Warned, to_line
from nas_workbench.masks import MaskState, update_masks
from nas_workbench.record import Record, read
from nas_workbench.search.config import SearchConfig
from nas_workbench.search.prune import Candidates, Cut, judge
from nas_workbench.search.schedule import threshold
from nas_workbench.space import SKIP, SearchSpace, space
from nas_workbench.story import kind as kind_of
from nas_workbench.gallery import Point, fig_architecture, fig_network, fig_pareto, pareto
from nas_workbench.sheet import HOUSE, describe
from nas_workbench.views import fig_cost, fig_entropy, fig_losses, fig_masks, fig_probabilities, fig_runs, signs, words

RUN = Path(__file__).parent/'data/search'

@cache
def synthetic(which='prunet', epochs=200, warmup=70, steps=(400, 100), seed=0, until=None):
    "A record as a search of this size leaves it: architecture weights that wander, judged and moved by the real rules."
    from math import exp, log
    s,rng,config = which if isinstance(which, SearchSpace) else space(which),random.Random(seed),SearchConfig(epochs=epochs, warmup=warmup)
    theta = [{i: 0. for i,_ in enumerate(o.choices)} for o in s.layers]
    drift = [{i: rng.gauss(0, .05) for i in (SKIP, *o)} for o in theta]
    masks = {(l, i): MaskState.initial(c.block.hidden, c.granularity) for l,o in enumerate(s.layers) for i,c in enumerate(o.choices) if c.searched}
    aim = {o: rng.random() for o in masks}
    events = [Started(0, asdict(config), json.loads(s.to_json()), {'nas_workbench': '0', 'torch': '0'})]
    step,done,total = 0,0,steps[1]*(epochs-warmup)
    every = [max(1, steps[0]*epochs//1000), max(1, total//1000)]
    def chances(o): return {i: exp(v)/sum(map(exp, o.values())) for i,v in o.items()}
    for e in range(1, (until or epochs)+1):
        share = e/epochs
        for _ in range(steps[0]):
            step += 1
            if step % every[0] == 0: events.append(Trained(step, e, 'weights', 2.3 - 1.5*share + rng.gauss(0, .1), None, 2.3 - 1.5*share))
        if e > warmup:
            for _ in range(steps[1]):
                step,done = step+1,done+1
                for (l, i),m in masks.items(): masks[l, i] = update_masks(m, .02*(aim[l, i] - (m.s + m.l)/2) + rng.gauss(0, .003), done/total, s.layers[l].choices[i].block.hidden, granularity=s.layers[l].choices[i].granularity)
                if done % every[1] == 0:
                    events.append(Trained(step, e, 'architecture', 2.4 - 1.5*share, 900 - 400*share, 6. - 2*share))
                    if masks:
                        rows = [(l, i, round(m.s, 5), round(m.l, 5), m.small, m.large, round(m.weight, 5)) for (l, i),m in masks.items()]
                        events.append(Masks(step, e, *zip(*rows)))
            for o,d in zip(theta, drift):
                for i in o: o[i] += d[i] + rng.gauss(0, .02)
        t = threshold(e, warmup=warmup, total=epochs) if e > warmup else None
        p = [chances(o) for o in theta]
        events.append(Epoch(step, e, 'search' if t else 'warmup', t, tuple(tuple(o) for o in p), tuple(tuple(o.values()) for o in p), 2.3 - 1.5*share, 900 - 400*share, (6. if t else 2.3) - 1.5*share,
                            90*share, 88*share, int(3e8*(1.2-share)), sum(-v*log(v) for o in p for v in o.values())/len(p)))
        events.append(Cost(step, e, 60., 150*(1.3-share), 160*(1.3-share) if t else None, 9000*(1.2-share)))
        if t is not None:
            for d in judge([Candidates(o, layer.skippable) for o,layer in zip(p, s.layers)], t, last=e == epochs):
                if isinstance(d, Cut):
                    events.append(Removed(step, e, d.layer, d.block, 'skip' if d.block == SKIP else kind_of(s.layers[d.layer].choices[d.block].block), d.chance, t))
                    theta[d.layer].pop(d.block)
                    masks.pop((d.layer, d.block), None)
                else:
                    theta[d.layer] = {SKIP: 0., d.beside: 0.}
                    events.append(SkipInserted(step, e, d.layer, d.beside))
        if e == warmup + 30: events.append(Changed(step, 'alpha', .8, 1.2))
        if e == warmup: events.append(Warned(step, e, 'phase 2 begins while the cross entropy is still high'))
    if not until:
        found = Record(tuple(events)).architecture()
        events.append(Finished(step, epochs, 'done', found.to_json(), 480.))
    return Record.of(events, s.name)

FIGURES = {'probabilities': fig_probabilities, 'layer 8': lambda r: fig_probabilities(r, 8), 'masks': fig_masks, 'mask of layer 8': lambda r: fig_masks(r, 8), 'start': lambda r: fig_architecture(r, 0),
           'SuperNet': lambda r: fig_architecture(r, 110 if len(r.epochs) > 110 else None), 'SuperNet at the end': fig_architecture,
           'SuperNet compared': lambda r: fig_architecture(r, len(r.epochs)//2, other=0), 'network': lambda r: fig_network(r.architecture()),
           'compared': lambda r: fig_network(r.architecture(), r.architecture(len(r.epochs)//2)), 'losses': fig_losses, 'cost': fig_cost, 'entropy': fig_entropy, 'runs': lambda r: fig_runs([r]*10)}

BIG = ('prunet at the end', 'prunet in epoch 100', 'prunet in warm-up', 'a real one')

@cache
def record(name): return {BIG[0]: synthetic, BIG[1]: lambda: synthetic(until=100), BIG[2]: lambda: synthetic(until=3), BIG[3]: lambda: read(RUN)}[name]()

def drawn(name, figure):
    r = record(name)
    return figure(r) if len(r.space.layers) > 8 else (fig_probabilities(r, 2) if figure is FIGURES['layer 8'] else fig_masks(r, 2) if figure is FIGURES['mask of layer 8'] else figure(r))

def numbers(o):
    if isinstance(o, dict): return [n for v in o.values() for n in numbers(v)]
    if isinstance(o, list): return [n for v in o for n in numbers(v)]
    return [o] if isinstance(o, float) else []

@pytest.mark.parametrize('name', BIG)
@pytest.mark.parametrize('figure', FIGURES)
def test_small_and_told_in_words(name, figure):
    "200 epochs of 21 layers with 2 or 4 blocks: under a megabyte, with a text that says what is there, on the page's own ground."
    fig = drawn(name, FIGURES[figure])
    text = fig.to_json()
    layout = json.loads(text)['layout']
    assert len(text) < 400_000 and len(describe(fig)) > 60 and layout['title']['text']
    assert layout['template']['layout']['paper_bgcolor'] == layout['template']['layout']['plot_bgcolor'] == 'rgba(0,0,0,0)' and len(HOUSE.to_plotly_json()['layout']) < 12
    assert 'nan' not in describe(fig).lower() and '..' not in describe(fig)
    assert not [o for o in numbers(json.loads(text)['data']) if len(repr(abs(o))) > 10]

def test_the_map_holds_what_the_record_holds():
    r = record(BIG[0])
    z = {y: dict(zip(t.x, row)) for t in fig_probabilities(r).data[:1] for y,row in zip(t.y, t.z)}
    for e in r.epochs[::17]:
        for l,(ids,ps) in enumerate(zip(e.blocks, e.probabilities)):
            shown = {k.partition(', ')[2]: v[e.epoch] for k,v in z.items() if k.startswith(f'layer {l},') and v[e.epoch] is not None}
            assert shown == {('skip' if i == SKIP else kind_of(r.space.layers[l].choices[i].block)): round(p, 3) for i,p in zip(ids, ps)}
    gone = fig_probabilities(r).data[1]
    assert list(gone.text) == [words(o) for o in r.removals] and len(gone.text) > 40
    assert [z[y][x] for x,y in zip(gone.x, gone.y)] == [round(o.probability, 3) for o in r.removals]

def bars(fig, fill=None): return [(round(b + w/2, 3), y, w, t) for o in fig.data if o.type == 'bar' for b,w,y,t in zip(o.base, o.x, o.y, o.hovertext)]

@pytest.mark.parametrize('epoch', [0, 71, 100, 140, 200])
def test_the_boxes_are_what_is_held(epoch):
    r = record(BIG[0])
    fig = fig_architecture(r, epoch)
    held = {(l, i) for l,o in enumerate(r.held(epoch)) for i in o}
    lost = {(o.layer, o.block) for o in r.removals if o.epoch <= epoch}
    texts = {t for *_,t in bars(fig)}
    assert len([t for t in texts if ': probability ' in t]) == len(held) and len([t for t in texts if ' lost ' in t]) == len(lost - held)
    assert {words(o) for o in r.removals if o.epoch <= epoch} == {t for t in texts if ' lost ' in t}
    assert [float(t) for o in fig.data if o.type == 'scatter' and o.mode == 'text' for t in o.text] == [round(p, 2) for o in map(dict, r.held(epoch)) if len(o) > 1 for i,p in sorted(o.items(), key=lambda o: (o[0] == SKIP, o[0]))]

def test_boxes_stand_in_their_column_and_row():
    "Small and large widths, around the same middle, in the row of their layer; layer 0 on top."
    r,e = record(BIG[0]),100
    fig = fig_architecture(r, e)
    columns,rows = dict(zip(fig.layout.xaxis.ticktext, fig.layout.xaxis.tickvals)),dict(zip(map(int, fig.layout.yaxis.ticktext), fig.layout.yaxis.tickvals))
    found = {}
    for x,y,w,t in bars(fig):
        if ': probability ' in t: found.setdefault((y, round(x, 2)), []).append(w)
    for l,o in enumerate(r.held(e)):
        for i in o:
            b = None if i == SKIP else r.space.layers[l].choices[i].block
            widths = found.pop((rows[l], round(columns['skip' if b is None else kind_of(b)], 2)))
            if b is None or not b.hidden: continue
            small,large,_ = r.width(l, i, e)
            assert max(widths) == pytest.approx(.58*large/b.c_in/8, rel=1e-3) and min(widths)/max(widths) == pytest.approx(small/large, rel=1e-3)
    assert not found and fig.layout.yaxis.range[0] > rows[20] > rows[0] > fig.layout.yaxis.range[1]
    whole = fig_probabilities(r).layout.yaxis
    assert whole.categoryarray[0] == 'layer 0, k3' and whole.range[0] > whole.range[1]

def test_a_network_is_drawn_to_scale():
    r = record(BIG[3])
    a = r.found
    boxes = [w for _,_,w,_ in bars(fig_network(a))]
    real = [b for b in (a.stem, *a.blocks, a.tail) if b.kind != 'skip']
    assert boxes == [float(f'{b.hidden/b.c_in if b.hidden else 1:.4g}') for b in real]
    bordered = [w > 2 for o in fig_network(a).data if o.type == 'bar' for w in o.marker.line.width]
    shades = [c for o in fig_network(a).data if o.type == 'bar' for c in o.marker.color]
    assert bordered == [b.se for b in real] and len(set(shades)) == len({b.kernel for b in real})
    assert len(bars(fig_network(a, r.architecture(10)))) == len(real) + sum(b != o and o.kind != 'skip' for b,o in zip(a.blocks, r.architecture(10).blocks))
    fig,old = fig_network(a, r.architecture(10)),r.architecture(10)
    assert {(fig.layout.yaxis.tickvals[l+1], f'layer {l} there: {o.describe()}') for l,(b,o) in enumerate(zip(a.blocks, old.blocks)) if b != o and o.kind != 'skip'} == {(y, t) for _,y,_,t in bars(fig) if ' there: ' in t}
    assert {x for x,*_ in bars(fig)} == {0}
    assert all(o in describe(fig_network(a, r.architecture(10))) for o in r.architecture(10).diff(a))
    with pytest.raises(ValueError, match='use networks of one space'): fig_network(a, record(BIG[0]).found)

def test_a_band_ends_at_the_chosen_width():
    for name in (BIG[0], BIG[3]):
        r = record(name)
        for l,o in enumerate(r.held()):
            i = next(iter(o))
            if i == SKIP or not r.space.layers[l].choices[i].searched: continue
            large,small,chosen = (t for t in fig_masks(r, l).data[:3])
            assert (small.y[-1], large.y[-1], chosen.y[-1]) == r.width(l, i) and chosen.y[-1] == r.found.blocks[l].hidden
            assert (small.y[0], large.y[0]) == r.width(l, i, 0)[:2] and large.x[0] == r.config['warmup'] and all(a <= b for a,b in zip(small.y, large.y))

def test_widths_as_blocks_of_their_own_share_a_row():
    tiny = replace(space('prunet-tiny'), enumerated=True)
    r = synthetic(tiny, epochs=12, warmup=4, steps=(4, 2))
    assert max(len(o.choices) for o in tiny.layers) > 50
    rows = [y for y in fig_probabilities(r).data[0].y if y.strip()]
    assert len(rows) == sum(len({kind_of(c.block) for c in o.choices}) + o.skippable for o in tiny.layers)
    assert [z for z in fig_probabilities(r).data[0].z if z[0] is not None][2][0] == .25
    for f in (lambda: fig_probabilities(r, 3), lambda: fig_architecture(r, 0), lambda: fig_architecture(r)): assert describe(f())
    with pytest.raises(ValueError, match='every block has one width'): fig_masks(r)

def test_before_anything_happened():
    "A search that has just begun can be watched."
    r = Record(record(BIG[0]).events[:1])
    for name,f in FIGURES.items(): assert describe(f(r)) and (name in ('start', 'SuperNet', 'SuperNet at the end', 'SuperNet compared', 'network', 'compared') or not any(len(o.x or ()) for o in f(r).data))
    with pytest.raises(ValueError, match='it has no beginning yet'): fig_probabilities(Record(()))

def test_numbers_that_are_none():
    r = record(BIG[3])
    bad = Record(tuple(replace(o, ce=None, loss=None, lat=None) if isinstance(o, Epoch) and o.epoch > 5 else o for o in r.events))
    assert 'cross entropy 2.27 to' in describe(fig_losses(bad)) and fig_losses(bad).data[1].y[7] is None

@pytest.mark.parametrize('call, match', [(lambda r: fig_probabilities(r, 21), 'has the layers 0 to 20'), (lambda r: fig_probabilities(r, -1), 'has the layers 0 to 20'), (lambda r: fig_masks(r, 0), 'none of this layer has'),
                                         (lambda r: fig_masks(r, 2, 7), 'use one of 0, 1, 2, 3'), (lambda r: fig_architecture(r, 201), 'it has 0 to 200')])
def test_what_does_not_exist_is_said(call, match):
    with pytest.raises(ValueError, match=match): call(record(BIG[0]))

def test_the_front_is_what_nobody_beats():
    rng = random.Random(0)
    for _ in range(50):
        points = [Point(str(n), rng.randrange(8), rng.randrange(8)) for n in range(rng.randrange(1, 12))]
        def beaten(p, points=points): return any(o.latency <= p.latency and o.accuracy >= p.accuracy and (o.latency, o.accuracy) != (p.latency, p.accuracy) for o in points)
        assert {(o.latency, o.accuracy) for o in pareto(points)} == {(o.latency, o.accuracy) for o in points if not beaten(o)} and len(pareto(points)) == len({(o.latency, o.accuracy) for o in pareto(points)})
    assert describe(fig_pareto([])) and 'GPUNet-1 with 820' in describe(fig_pareto(points, [Point('GPUNet-1', 820, 80.5)]))

def test_signs_of_a_collapse():
    "Nothing moves only where nothing does, and most layers are not all."
    r = record(BIG[3])
    def still(n, p): return replace(r.epochs[4], epoch=n, threshold=.16, blocks=((0, 1),)*6, probabilities=((.5, .5),)*5 + ((p, 1-p),))
    assert [n for n,_ in signs(Record((r.events[0], *(still(n, .4) for n in range(1, 15)))))] == [11]
    assert not signs(Record((r.events[0], *(still(n, .4 + n*.01) for n in range(1, 15)))))
    def skips(n): return Record((r.events[0], replace(still(1, .5), blocks=((SKIP, 0),)*6, probabilities=((.6, .4),)*n + ((.4, .6),)*(6-n))))
    may = [o.skippable for o in r.space.layers]
    assert may == [True, True, True, False, True, True] and [bool(signs(skips(n))) for n in range(7)] == [False]*5 + [True]*2

def test_warnings_are_shown():
    r = record(BIG[0])
    text = [t for o in fig_entropy(r).data if o.name == 'warning' for t in o.text]
    assert any('phase 2 begins' in t for t in text) and len(text) == 1 + len(signs(r))

def test_ink_can_be_read_on_white_and_on_dark():
    from nas_workbench.sheet import COLOURS, INK
    def light(c):
        return sum(k*(v/12.92 if v <= .03928 else ((v+.055)/1.055)**2.4) for k,v in zip((.2126, .7152, .0722), (int(c[n:n+2], 16)/255 for n in (1, 3, 5))))
    def contrast(a, b): return (max(light(a), light(b)) + .05)/(min(light(a), light(b)) + .05)
    assert min(contrast(INK, '#ffffff'), contrast(INK, '#111111')) > 3.9
    for c in COLOURS: assert min(contrast(c, '#ffffff'), contrast(c, '#111111')) > 2

def test_without_torch_and_without_plotly():
    "Drawn where there is no torch; without plotly one sentence says what to install."
    code = f"import sys; sys.modules['torch'] = None\nfrom nas_workbench.record import read\nfrom nas_workbench.views import fig_losses\nfig_losses(read({str(RUN)!r}))"
    subprocess.run([sys.executable, '-c', code], check=True)
    code = "import sys\nclass Gone:\n    def find_spec(self, name, *_):\n        if name.startswith('plotly'): raise ModuleNotFoundError(f'No module named {name!r}', name=name)\nsys.meta_path.insert(0, Gone())\nimport nas_workbench.views"
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True)
    assert out.returncode == 1 and "pip install 'nas_workbench[lab]'" in out.stderr.splitlines()[-1]

if __name__ == '__main__':  # what nbs/howto/performance.ipynb tells: python tests/test_views.py
    import tempfile
    from time import perf_counter

    from nas_workbench.scrubber import film
    from nas_workbench.workbench import Workbench
    def opened(_): return Workbench(folder)
    def overlaid(_):
        bench.views.beside([replace(record(BIG[0]), name=str(n)) for n in range(9)])
        bench.views.which.value = 'Runs'
        return bench
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder)/'events.jsonl'
        file.write_text(''.join(to_line(o) + '\n' for o in record(BIG[0]).events))
        for name,f in {'reading the record': lambda _: read(folder), **FIGURES, 'film of the scrubber': film, 'opened in the workbench': opened, 'ten runs overlaid there': overlaid}.items():
            r = Record(record(BIG[0]).events)  # nothing is remembered from the figure before
            start = perf_counter()
            made = f(r)
            if isinstance(made, Workbench): bench,made = made,made.views.figure
            ms = 1000*(perf_counter() - start)
            size = file.stat().st_size if isinstance(made, Record) else len(json.dumps(made)) if isinstance(made, dict) else len(made.to_json())
            print(f'{name:22} {ms:6.0f} ms {size/1000:6.0f} kB')

@pytest.mark.parametrize('layer', [0, 8, 20])
def test_the_crosses_of_a_layer_are_its_own(layer):
    r = record(BIG[0])
    cross = next(o for o in fig_probabilities(r, layer).data if o.name == 'removed')
    gone = [o for o in r.removals if o.layer == layer]
    assert gone and [*cross.text] == [words(o) for o in gone] and [*cross.x] == [o.epoch for o in gone]
