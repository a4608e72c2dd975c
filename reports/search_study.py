"""Whether the search searches: found networks against random ones, an enumerated space and scaled networks, all trained alike.

    python reports/search_study.py work OUT [NAME…]   # every search and training that OUT has no finished record of; may run several times at once
    python reports/search_study.py measure OUT         # the latency of every network, in turn, on a quiet machine; then writes search_study.json
    python reports/search_study.py adopt OUT           # what search_study.json holds counts as done in OUT, an empty folder

`papermill reports/search_study.ipynb reports/search_study.ipynb` draws what it wrote.
"""
import fcntl
import json
import platform
import random
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
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
from nas_workbench.costs.measure import Journal, about_now, measure_networks, measure_table, open_runtime, pulse_of, reopen, usual
from nas_workbench.costs.table import About, LatencyTable, read_table
from nas_workbench.data import dataset
from nas_workbench.events import Cost, Emit, Epoch, Event, Warned
from nas_workbench.files import write_whole
from nas_workbench.resumable import ignore
from nas_workbench.search.config import SearchConfig, preset
from nas_workbench.search.run import Search
from nas_workbench.space import SearchSpace, space
from nas_workbench.train.config import TrainConfig, train_preset
from nas_workbench.train.retrain import Training

SPACE = space('prunet-tiny')
ALPHAS = (.1, .2, .4, .8, 1.6)
SEEDS = (0, 1, 2)
RANDOM = 30
TWINS = 1  # random networks as fast as each found one
SEARCH = dict(epochs=11, warmup=3, arch_lr=.1)  # what arch_rate gives for its 176 steps
SEARCH_IMAGES,TRAIN_IMAGES = 3600,12000
TRAIN = train_preset('laptop', epochs=1, warmup_epochs=.1, batch_size=32, lr=.006)
PLAIN = dict(skips='first', phi=1., lam=1., prune_blocks=False)  # FBNet's way
TRIED = {'longer': dict(epochs=22), 'cooler': dict(tau=1.), 'slower': dict(arch_lr=.03)}  # other searches
MORE = {'found': 2, 'enumerated': 2, **dict.fromkeys(TRIED, 2)}  # trainings of a network with other seeds
UNCLIPPED = ('found', 'scaled')  # and one of these without a limit on the gradients
ENUMERATED = replace(SPACE, granularity=72, enumerated=True)  # as many candidates as a laptop carries

def jobs() -> list[dict[str, Any]]:
    "Everything to be done, in an order in which what a job needs comes before it."
    found = [dict(kind='found', alpha=a, seed=s) for s in SEEDS for a in ALPHAS]
    scaled = [dict(kind='scaled', width=w, depth=d, seed=0) for w,d in ((.05, 0.), (.15, 0.), (.3, 0.), (.15, .5), (.3, .5), (.3, 1.), (.6, 1.), (1., 1.))]
    drawn = [dict(kind='random', seed=n) for n in range(RANDOM)]
    enumerated = [dict(kind='enumerated', alpha=a, seed=n) for a in (.8,) for n in SEEDS]
    twins = [dict(kind='twin', alpha=o['alpha'], seed=o['seed'], k=k) for k in range(TWINS) for o in found]
    tried = [dict(kind=k, alpha=.8, seed=n) for k in TRIED for n in SEEDS]
    first = found + drawn + scaled + twins + enumerated + tried
    again = [dict(kind='again', of=name(o), seed=100+n) for o in first for n in range(MORE.get(o['kind'], 0))]
    return first + again + [dict(kind=k, of=name(o), seed=o['seed']) for k,some in (('unclipped', UNCLIPPED), ('inherited', ('found',))) for o in first if o['kind'] in some]

def name(job:dict[str, Any]) -> str: return '-'.join(str(o) for o in job.values())

def record(name:str, out:Path) -> Path: return out/'done'/f'{name}.json'

def known(name:str, out:Path) -> Architecture:
    "The network of a finished job."
    return Architecture.from_json(json.dumps(json.loads(record(name, out).read_text())['architecture']))

def needs(job:dict[str, Any]) -> str|None:
    "The job whose network this one is about."
    return f"found-{job['alpha']}-{job['seed']}" if job['kind'] == 'twin' else job.get('of')

def table(out:Path) -> LatencyTable:
    "This machine's latencies, measured once."
    file = out/'table.sqlite'
    return read_table(file) if file.exists() else measure_table(SPACE, open_runtime('onnxruntime', usual()), file, report=lambda o: print(o.line()))

def recipe(job:dict[str, Any]) -> SearchConfig:
    change = PLAIN if job['kind'] == 'enumerated' else TRIED.get(job['kind'], {})
    return preset('laptop', **(SEARCH | change), alpha=job['alpha'], seed=job['seed'])

def searched(job:dict[str, Any], out:Path) -> tuple[Architecture, dict[str, Any]]:
    "A search, and what it cost; made once, however often what it found is trained."
    file = out/'searches'/f'{name(job)}.json'
    if not file.exists(): write_whole(file, json.dumps(search(job, out)).encode())
    more = json.loads(file.read_text())
    return Architecture.from_json(json.dumps(more.pop('architecture'))), more

def prepared(job:dict[str, Any], out:Path, emit:Emit=ignore) -> Search:
    "A search that begins, goes on, or reads out what it found."
    data = dataset('shapes', resolution=SPACE.resolution, images=SEARCH_IMAGES)
    return Search(recipe(job), ENUMERATED if job['kind'] == 'enumerated' else SPACE, data, table(out), out/'searches'/name(job), emit, warmups=out/'warmups')

def search(job:dict[str, Any], out:Path) -> dict[str, Any]:
    told:list[Event] = []
    began = process_time()
    found = prepared(job, out, told.append).run()
    epochs,costs = [o for o in told if isinstance(o, Epoch)],[o for o in told if isinstance(o, Cost)]
    return dict(seconds=round(process_time()-began, 1), ce=[round(o.ce, 3) for o in epochs], lat=[round(o.lat, 1) for o in epochs], own_top1=found.top1,
                blocks=[sum(map(len, o.blocks)) for o in epochs], step_ms=[round(o.weights_ms, 1) for o in costs], said=[o.text for o in told if isinstance(o, Warned)],
                architecture=json.loads(found.architecture.to_json()))

def inherited(job:dict[str, Any], out:Path) -> dict[str, torch.Tensor]|None:
    "Weights that a training begins with: those of the search where that is what is tried."
    if job['kind'] != 'inherited': return None
    of = next(o for o in jobs() if name(o) == job['of'])
    return prepared(of, out).run().net.state_dict()

def twin(job:dict[str, Any], out:Path) -> Architecture:
    "A random network that is predicted to be within 3% as fast as a found one: its widths are drawn below a cap that is drawn too, as uniform ones are never that fast."
    t = table(out)
    wanted = known(f"found-{job['alpha']}-{job['seed']}", out).latency(t)
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
    if 'alpha' in job and kind != 'twin': return searched(job, out)
    if kind == 'random': return SPACE.sample(job['seed']), {}
    if kind == 'scaled': return SPACE.scaled(job['width'], job['depth']), {}
    if 'of' in job: return known(job['of'], out), {}
    return twin(job, out), {}

def trained_by(job:dict[str, Any]) -> TrainConfig: return replace(TRAIN, seed=job['seed'], clip=None if job['kind'] == 'unclipped' else TRAIN.clip)

def do(job:dict[str, Any], out:Path) -> dict[str, Any]:
    "One network: found or drawn, trained, described."
    a,more = network(job, out)
    began = process_time()
    done = Training(trained_by(job), a, dataset('shapes', resolution=SPACE.resolution, images=TRAIN_IMAGES), out/'trainings'/name(job), start=inherited(job, out)).run()
    return dict(**job, name=name(job), predicted_us=a.latency(table(out)), top1=done.top1, params=a.params(), macs=a.macs(), train_seconds=round(process_time()-began, 1), **more, architecture=json.loads(a.to_json()))

@contextmanager
def alone(file:Path) -> Iterator[bool]:
    "Whether nobody else works on it."
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open('w') as f:
        try: fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError: yield False
        else: yield True

def work(out:Path, *some:str) -> None:
    "Whatever is not done yet, of all jobs or of those whose names begin like this."
    table(out)
    for job in [o for o in jobs() if not some or name(o).startswith(some)]:
        file,of = record(name(job), out),needs(job)
        if file.exists() or (of and not record(of, out).exists()): continue
        with alone(out/'locks'/name(job)) as mine:
            if not mine or file.exists(): continue
            o = do(job, out)
            write_whole(file, json.dumps(o).encode())
            left = sum(not record(name(j), out).exists() for j in jobs())
            print(f"{o['name']:24} {o['predicted_us']:6.1f} µs predicted  {o['top1']:5.1f}%  {left} to do", flush=True)

def adopt(out:Path) -> None:
    "Begin with what was published."
    def keep(o:dict[str, Any]) -> None: write_whole(record(o['name'], out), json.dumps(o).encode())
    for o in json.loads(Path(__file__).with_suffix('.json').read_text())['networks']:
        keep(o)
        for kind,seed in (('again', 100), ('unclipped', o['seed']), ('inherited', o['seed'])):
            for n,top1 in enumerate(o[kind]): keep((job := dict(kind=kind, of=o['name'], seed=seed+n)) | dict(name=name(job), top1=top1))

def timed(networks:Iterable[Architecture], about:About, journal:Path) -> dict[Architecture, float]:
    "Latencies of whole networks, in turn and in one session; microseconds."
    runtime,some = reopen(about),list(dict.fromkeys(networks))
    return dict(measure_networks(some, runtime, Journal(journal, about_now(SPACE, runtime)), pulse_of(runtime, SPACE), report=lambda o: print(o.line(), end='\r')))

def measure(out:Path) -> None:
    "Every network's latency, and the file that the page reads."
    every = [json.loads(o.read_text()) for o in sorted((out/'done').glob('*.json'))]
    records,again = [o for o in every if 'of' not in o],defaultdict(list)
    for o in every:
        if 'of' in o: again[o['kind'], o['of']].append(o['top1'])
    t,networks = table(out),[Architecture.from_json(json.dumps(o['architecture'])) for o in records]
    latency = timed(networks, t.about, out/'networks.journal')
    for o,a in zip(records, networks): o |= dict(measured_us=latency[a]) | {k: again[k, o['name']] for k in ('again', 'unclipped', 'inherited')}
    planned = Counter(o['kind'] for o in jobs())
    about = asdict(t.about) | dict(space=SPACE.name, planned=planned, search=asdict(recipe(dict(kind='found', alpha=ALPHAS[0], seed=0))), search_images=SEARCH_IMAGES, tried=TRIED, train=asdict(TRAIN), train_images=TRAIN_IMAGES,
                                   versions=dict(nas_workbench=__version__, torch=torch.__version__, timm=timm.__version__, python=platform.python_version()))
    off = median(abs(o['predicted_us']/o['measured_us']-1) for o in records)
    publish(__file__, about, records)
    print(f'{len(records)} networks, predictions off by {off:.1%} in the median')

def publish(script:str, about:dict[str, Any], networks:list[dict[str, Any]]) -> None:
    "Write the file beside a script, a network on each line."
    write_whole(Path(script).with_suffix('.json'), ('{"about": ' + json.dumps(about) + ',\n"networks": [\n' + ',\n'.join(map(json.dumps, networks)) + ']}\n').encode())

if __name__ == '__main__':
    torch.set_num_threads(1)
    {'work': work, 'measure': measure, 'adopt': adopt}[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
