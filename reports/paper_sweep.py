"""The paper's sweep, small: seven alphas by four ways of leaving layers out, the best of each alpha trained, and networks to compare them with.

    python reports/paper_sweep.py run OUT      # the searches as two sweeps, OUT/paper and OUT/more, then the trainings of random networks; goes on where it was
    python reports/paper_sweep.py measure OUT  # the latency of the networks that were trained, in turn, on a quiet machine; then writes paper_sweep.json

`papermill reports/layer_skipping.ipynb reports/layer_skipping.ipynb` and `papermill reports/pareto.ipynb reports/pareto.ipynb` draw what it wrote.
"""
import json
import platform
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import timm
import torch
from search_study import SPACE, publish, timed

from nas_workbench import __version__
from nas_workbench.arch import Architecture
from nas_workbench.costs.table import read_table
from nas_workbench.data import dataset
from nas_workbench.events import Trained
from nas_workbench.files import write_whole
from nas_workbench.record import Record
from nas_workbench.run_page import Run
from nas_workbench.sweep import PAPER, begin
from nas_workbench.sweep_page import load_sweep
from nas_workbench.train.config import train_preset
from nas_workbench.train.references import references
from nas_workbench.train.retrain import Training

DATA = PRESET = 'digits'
RANDOM = 12
LONG = 56  # epochs: three times the paper sweep's after the warm-up
BASE = dict(phi=1., lam=1.)
SOME = (*(dict(lam=o) for o in (.4, .85)), BASE)  # ways of leaving layers out that are repeated with other seeds

def more() -> list[dict[str, Any]]:
    "Searches besides the paper's sweep: table 5's baseline, other seeds, longer ones."
    base = [dict(alpha=a, **BASE) for a in PAPER['alpha']]
    seeds = [dict(alpha=2., **o, seed=n) for n in (1, 2) for o in SOME]
    return base + seeds + [dict(alpha=a, **o, epochs=LONG) for a in (2., 1.) for o in (*SOME, dict(lam=.55))]

def run(out:Path) -> None:
    "Everything but the timing."
    for name,jobs,train in (('paper', [dict(alpha=a, lam=l) for a in PAPER['alpha'] for l in PAPER['lam']], 'chosen'), ('more', more(), 'none')):
        begin(out/name, jobs, train)
        subprocess.run(['nwb', 'sweep', str(out/name)], check=True)
    rivals(out)

def rivals(out:Path) -> None:
    "Random networks, each trained once."
    for n in range(RANDOM):
        file = out/'random'/f'{n}.json'
        if not file.exists(): write_whole(file, json.dumps(trained(n, out)).encode())

def trained(n:int, out:Path) -> dict[str, Any]:
    "A random network, trained as the chosen ones are."
    recipe,a = train_preset(PRESET),SPACE.sample(n)
    data = dataset(DATA, resolution=SPACE.resolution, augment=recipe.augment, crop_pct=recipe.crop_pct)
    top1 = Training(recipe, a, data, out/'random'/str(n)).run().top1
    print(f'random {n}: {top1:.1f}%', flush=True)
    return dict(kind='random', seed=n, trained_pct=top1, architecture=json.loads(a.to_json()))

def contests(r:Record) -> list[dict[str, Any]]:
    "Each layer in which a skip stood beside a block: the epochs between which it was decided, the steps that this took, and what stayed."
    steps = [o.epoch for o in r.all(Trained) if o.kind == 'architecture']
    found = []
    for o in r.insertions:
        end = next(e for e in r.removals if e.layer == o.layer and e.epoch > o.epoch)
        found.append(dict(layer=o.layer, since=o.epoch, until=end.epoch, steps=sum(o.epoch < e <= end.epoch for e in steps), stayed='block' if end.block == -1 else 'skip', chance=end.probability))
    return found

def searched(o:Run, loss:float) -> dict[str, Any]:
    "A search in a line."
    a,r,c = o.architecture,o.record,o.record.config
    assert a
    return dict(kind='searched', name=o.name.split('/')[-1], alpha=c['alpha'], phi=c['phi'], lam=c['lam'], seed=c['seed'], epochs=c['epochs'], loss=loss, ce=r.epochs[-1].ce, predicted_us=o.result['predicted_us'],
                search_pct=o.result['top1_pct'], trained_pct=o.result.get('trained_top1_pct'), irbs=sum(b.kind in ('irb', 'fused_irb') for b in a.blocks), contests=contests(r), architecture=json.loads(a.to_json()))

def measure(out:Path) -> None:
    "The latency of what was trained, and the file that the pages read."
    sweep = load_sweep(out)
    rows = [searched(o, s.loss) for o,s in zip(sweep.runs, sweep.standings) if o.architecture and s.loss is not None]
    rows += [json.loads(o.read_text()) for o in sorted((out/'random').glob('*.json'))]
    rows += [dict(kind='scaled', name=o.name, trained_pct=o.mean, architecture=json.loads(o.of(SPACE).to_json())) for o in references(SPACE, DATA)]
    t = read_table(next((out/'paper'/'shared'/'tables').glob('*.sqlite')))
    chosen = [o for o in rows if o['trained_pct'] is not None]
    networks = [Architecture.from_json(json.dumps(o['architecture'])) for o in chosen]
    latency = timed(networks, t.about, out/'networks.journal')
    for o,a in zip(chosen, networks): o |= dict(predicted_us=a.latency(t), measured_us=latency[a])
    about = asdict(t.about) | dict(space=SPACE.name, data=DATA, search=dict(next(o for o in sweep.runs if o.begun).record.config), train=asdict(train_preset(PRESET)), planned=sum(len(o.jobs) for o in sweep.plans.values()),
                                   versions=dict(nas_workbench=__version__, torch=torch.__version__, timm=timm.__version__, python=platform.python_version()))
    publish(__file__, about, rows)
    print(f'{len(rows)} networks, {len(chosen)} of them trained and timed')

if __name__ == '__main__':
    torch.set_num_threads(1)
    {'run': run, 'measure': measure}[sys.argv[1]](Path(sys.argv[2]))
