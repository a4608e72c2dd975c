"""Whether the search searches: found networks against random ones, an enumerated space and scaled networks, all trained alike.

    python reports/search_study.py work OUT [KIND…]  # every search and training that OUT has no finished record of; may run several times at once
    python reports/search_study.py measure OUT         # the latency of every network, in turn, on a quiet machine; then writes search_study.json

`papermill reports/search_study.ipynb reports/search_study.ipynb` draws what it wrote.
"""
import fcntl
import json
import platform
import random
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

import timm
import torch

from nas_workbench import __version__
from nas_workbench.arch import Architecture
from nas_workbench.costs.measure import Journal, about_now, measure_networks, measure_table, reopen
from nas_workbench.costs.measure import open_runtime, usual
from nas_workbench.costs.table import LatencyTable, read_table
from nas_workbench.data import dataset
from nas_workbench.events import Cost, Epoch, Event, Warned
from nas_workbench.files import write_whole
from nas_workbench.search.config import SearchConfig, preset
from nas_workbench.search.run import Search
from nas_workbench.space import SearchSpace, space
from nas_workbench.train.config import train_preset
from nas_workbench.train.retrain import Training

SPACE = space('prunet-tiny')
ALPHAS = (.1, .2, .4, .8, 1.6)
SEEDS = (0, 1, 2)
RANDOM = 30
TWINS = 1  # random networks as fast as each found one
SEARCH = dict(epochs=11, warmup=3, arch_lr=.1)  # what arch_rate gives for its 176 steps
SEARCH_IMAGES,TRAIN_IMAGES = 3600,12000
TRAIN = train_preset('laptop', epochs=1, warmup_epochs=.1, batch_size=32, lr=.006)
ENUMERATED = replace(SPACE, granularity=72, enumerated=True)  # as many candidates as a laptop carries

def jobs() -> list[dict[str, Any]]:
    "Everything to be done, in an order in which what a job needs comes before it."
    found = [dict(kind='found', alpha=a, seed=s) for s in SEEDS for a in ALPHAS]
    scaled = [dict(kind='scaled', width=w, depth=d, seed=0) for w,d in ((.05, 0.), (.15, 0.), (.3, 0.), (.15, .5), (.3, .5), (.3, 1.), (.6, 1.), (1., 1.))]
    drawn = [dict(kind='random', seed=n) for n in range(RANDOM)]
    enumerated = [dict(kind='enumerated', alpha=a, seed=0) for a in (.8,)]
    twins = [dict(kind='twin', alpha=o['alpha'], seed=o['seed'], k=k) for k in range(TWINS) for o in found]
    return found + drawn + scaled + twins + enumerated

def name(job:dict[str, Any]) -> str: return '-'.join(str(o) for o in job.values())

def table(out:Path) -> LatencyTable:
    "This machine's latencies, measured once."
    file = out/'table.sqlite'
    return read_table(file) if file.exists() else measure_table(SPACE, open_runtime('onnxruntime', usual()), file, report=lambda o: print(o.line()))

def recipe(job:dict[str, Any]) -> SearchConfig:
    plain = dict(skips='first', phi=1., lam=1., prune_blocks=False) if job['kind'] == 'enumerated' else {}
    return preset('laptop', **SEARCH, **plain, alpha=job['alpha'], seed=job['seed'])

def searched(job:dict[str, Any], out:Path) -> tuple[Architecture, dict[str, Any]]:
    "A search, and what it cost."
    data = dataset('shapes', resolution=SPACE.resolution, images=SEARCH_IMAGES)
    told:list[Event] = []
    where = ENUMERATED if job['kind'] == 'enumerated' else SPACE
    began = process_time()
    s = Search(recipe(job), where, data, table(out), out/'searches'/name(job), told.append, warmups=out/'warmups')
    found = s.run()
    epochs,costs = [o for o in told if isinstance(o, Epoch)],[o for o in told if isinstance(o, Cost)]
    return found.architecture, dict(seconds=round(process_time()-began, 1), ce=[round(o.ce, 3) for o in epochs], lat=[round(o.lat, 1) for o in epochs], own_top1=found.top1,
                                    blocks=[sum(map(len, o.blocks)) for o in epochs], step_ms=[round(o.weights_ms, 1) for o in costs], said=[o.text for o in told if isinstance(o, Warned)])

def twin(job:dict[str, Any], out:Path) -> Architecture:
    "A random network that is predicted to be within 3% as fast as a found one: its widths are drawn below a cap that is drawn too, as uniform ones are never that fast."
    t = table(out)
    of = json.loads((out/'done'/f"found-{job['alpha']}-{job['seed']}.json").read_text())
    wanted = Architecture.from_json(json.dumps(of['architecture'])).latency(t)
    for n in range(200_000):
        a = capped(SPACE, f'{name(job)}-{n}')
        if abs(a.latency(t)/wanted - 1) <= .03: return a
    raise SystemExit(f"no random network within 3% of {wanted:.1f} µs in 200,000 draws")

def capped(s:SearchSpace, seed:str) -> Architecture:
    "A random network whose widths lie below a random share of the maximum, and whose layers are left out with a random chance."
    rng = random.Random(seed)
    cap,gone = rng.random(),rng.random()
    while True:
        blocks = []
        for layer in s.layers:
            plain = [b for b in layer.blocks if b.kind != 'skip' and b.hidden <= max(s.granularity, cap*max(o.block.hidden for o in layer.choices))]
            skip = [b for b in layer.blocks if b.kind == 'skip']
            blocks.append(skip[0] if skip and rng.random() < gone else rng.choice(plain))
        if any(b.kind != 'skip' for b in blocks): return s.architecture(blocks)

def network(job:dict[str, Any], out:Path) -> tuple[Architecture, dict[str, Any]]:
    kind = job['kind']
    if kind in ('found', 'enumerated'): return searched(job, out)
    if kind == 'random': return SPACE.sample(job['seed']), {}
    if kind == 'scaled': return SPACE.scaled(job['width'], job['depth']), {}
    return twin(job, out), {}

def do(job:dict[str, Any], out:Path) -> dict[str, Any]:
    "One network: found or drawn, trained, described."
    a,more = network(job, out)
    began = process_time()
    done = Training(replace(TRAIN, seed=job['seed']), a, dataset('shapes', resolution=SPACE.resolution, images=TRAIN_IMAGES), out/'trainings'/name(job)).run()
    return dict(**job, name=name(job), predicted_us=a.latency(table(out)), top1=done.top1, params=a.params(), macs=a.macs(), train_seconds=round(process_time()-began, 1), **more, architecture=json.loads(a.to_json()))

@contextmanager
def alone(file:Path) -> Iterator[bool]:
    "Whether nobody else works on it."
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open('w') as f:
        try: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError: yield False
        else: yield True

def work(out:Path, *kinds:str) -> None:
    "Whatever is not done yet, of some kinds or of all."
    table(out)
    for job in [o for o in jobs() if not kinds or o['kind'] in kinds]:
        record = out/'done'/f'{name(job)}.json'
        if record.exists(): continue
        with alone(out/'locks'/name(job)) as mine:
            if not mine or record.exists(): continue
            if job['kind'] == 'twin' and not (out/'done'/f"found-{job['alpha']}-{job['seed']}.json").exists(): continue
            o = do(job, out)
            write_whole(record, json.dumps(o).encode())
            left = sum(not (out/'done'/f'{name(j)}.json').exists() for j in jobs())
            print(f"{o['name']:24} {o['predicted_us']:6.1f} µs predicted  {o['top1']:5.1f}%  {left} to do", flush=True)

def measure(out:Path) -> None:
    "Every network's latency, and the file that the page reads."
    records = [json.loads(o.read_text()) for o in sorted((out/'done').glob('*.json'))]
    t = table(out)
    runtime = reopen(t.about)
    networks = list(dict.fromkeys(Architecture.from_json(json.dumps(o['architecture'])) for o in records))
    timed = dict(measure_networks(networks, runtime, Journal(out/'networks.journal', about_now(SPACE, runtime)), report=lambda o: print(o.line(), end='\r')))
    for o in records: o['measured_us'] = timed[Architecture.from_json(json.dumps(o['architecture']))]
    planned = Counter(o['kind'] for o in jobs())
    about = asdict(t.about) | dict(space=SPACE.name, planned=planned, search=asdict(recipe(dict(kind='found', alpha=ALPHAS[0], seed=0))), search_images=SEARCH_IMAGES, train=asdict(TRAIN), train_images=TRAIN_IMAGES,
                                   versions=dict(nas_workbench=__version__, torch=torch.__version__, timm=timm.__version__, python=platform.python_version()))
    off = median(abs(o['predicted_us']/o['measured_us']-1) for o in records)
    write_whole(Path(__file__).with_suffix('.json'), ('{"about": ' + json.dumps(about) + ',\n"networks": [\n' + ',\n'.join(json.dumps(o) for o in records) + ']}\n').encode())
    print(f'{len(records)} networks, predictions off by {off:.1%} in the median')

if __name__ == '__main__':
    torch.set_num_threads(1)
    {'work': work, 'measure': measure}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
