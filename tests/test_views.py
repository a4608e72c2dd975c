"Figures at the size of the paper's search, their size, and what stands in them."
import json
import random
import subprocess
import sys
import time
from dataclasses import asdict
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip('plotly', reason='the views need the extra lab')

from nas_workbench.arch import Architecture
from nas_workbench.events import Changed, Cost, Epoch, Finished, Masks, Removed, SkipInserted, Started, Trained, Warned
from nas_workbench.masks import MaskState, update_masks
from nas_workbench.record import Record, read
from nas_workbench.search.config import SearchConfig
from nas_workbench.search.prune import Candidates, Cut, judge
from nas_workbench.search.schedule import threshold
from nas_workbench.space import SKIP, space, strongest
from nas_workbench.views import (HOUSE, Point, describe, fig_architecture, fig_cost, fig_entropy, fig_losses, fig_masks, fig_network, fig_pareto, fig_probabilities, pareto,
                                 signs, words)
from nas_workbench.views import _name as kind_of

RUN = Path(__file__).parent/'data/search'

@cache
def synthetic(name='prunet', epochs=200, warmup=70, steps=(400, 100), seed=0, until=None):
    "A record as a search of this size leaves it: architecture weights that wander, judged and moved by the real rules."
    from math import exp, log
    s,rng,config = space(name),random.Random(seed),SearchConfig(epochs=epochs, warmup=warmup)
    theta = [{i: 0. for i,_ in enumerate(o.choices)} for o in s.layers]
    drift = [{i: rng.gauss(0, .05) for i in (SKIP, *o)} for o in theta]
    masks = {(l, i): MaskState.initial(c.block.hidden, c.granularity) for l,o in enumerate(s.layers) for i,c in enumerate(o.choices) if c.searched}
    events = [Started(0, asdict(config), json.loads(s.to_json()), {'nas_workbench': '0', 'torch': '0'})]
    step,done,total = 0,0,steps[1]*(epochs-warmup)
    every = [max(1, steps[0]*epochs//1000), max(1, total//1000)]
    def chances(o): return {i: exp(v)/sum(map(exp, o.values())) for i,v in o.items()}
    for e in range(1, (until or epochs)+1):
        share = e/epochs
        for n in range(steps[0]):
            step += 1
            if step % every[0] == 0: events.append(Trained(step, e, 'weights', 2.3 - 1.5*share + rng.gauss(0, .1), None, 2.3 - 1.5*share))
        if e > warmup:
            for n in range(steps[1]):
                step,done = step+1,done+1
                for (l, i),m in masks.items(): masks[l, i] = update_masks(m, rng.gauss(0, .03), done/total, s.layers[l].choices[i].block.hidden, granularity=s.layers[l].choices[i].granularity)
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
    return Record.of(events, name)

FIGURES = {'probabilities': fig_probabilities, 'layer 8': lambda r: fig_probabilities(r, 8), 'masks': fig_masks, 'mask of layer 8': lambda r: fig_masks(r, 8), 'start': lambda r: fig_architecture(r, 0),
           'SuperNet': lambda r: fig_architecture(r, 110 if len(r.epochs) > 110 else None), 'SuperNet at the end': fig_architecture, 'network': lambda r: fig_network(r.architecture()),
           'compared': lambda r: fig_network(r.architecture(), r.architecture(max(o.epoch for o in r.epochs)//2)), 'losses': fig_losses, 'cost': fig_cost, 'entropy': fig_entropy}
