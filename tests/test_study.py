"The study of found against random networks: what it does, and that it goes on where it was."
import json
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

if sys.platform == 'win32': pytest.skip('the study shares its work by file locks of Unix', allow_module_level=True)

REPORTS = Path(__file__).parent.parent/'reports'

def script(name):
    spec = spec_from_file_location(name, REPORTS/f'{name}.py')
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    return found

@pytest.fixture
def study(monkeypatch):
    found = script('search_study')
    class PerMac:
        def latency(self, key): return 5 + key.macs()/1e5
    monkeypatch.setattr(found, 'table', lambda out: PerMac())
    return found

def test_it_plans_what_was_promised(study):
    jobs = study.jobs()
    names = [study.name(o) for o in jobs]
    assert len(set(names)) == len(names)
    assert len(study.ALPHAS) >= 5 and len(study.SEEDS) >= 3 and sum(o['kind'] == 'random' for o in jobs) >= 30
    for o in jobs:
        if o['kind'] in ('found', 'enumerated'): study.recipe(o).check(study.SPACE if o['kind'] == 'found' else study.ENUMERATED)
    for o in jobs:
        if study.needs(o): assert study.needs(o) in names
    assert {study.trained_by(o).clip for o in jobs if o['kind'] == 'unclipped'} == {None} != {study.trained_by(o).clip for o in jobs if o['kind'] != 'unclipped'}
    assert study.ENUMERATED.largest() in study.SPACE  # what is found there is a network of the same space

def test_a_twin_is_as_fast_and_of_the_space(study, tmp_path):
    for name,a in (('large', study.SPACE.sample(3)), ('small', study.SPACE.scaled(.1, 0.))):
        job = dict(kind='twin', alpha=name, seed=0, k=0)
        (tmp_path/'done').mkdir(exist_ok=True)
        (tmp_path/'done'/f'found-{name}-0.json').write_text(json.dumps(dict(architecture=json.loads(a.to_json()))))
        twin = study.twin(job, tmp_path)
        assert twin in study.SPACE and twin == study.twin(job, tmp_path) != study.twin(job | {'k': 1}, tmp_path)
        assert abs(twin.latency(study.table(tmp_path))/a.latency(study.table(tmp_path)) - 1) <= .03

def test_it_goes_on_where_it_was(study, tmp_path, monkeypatch, capsys):
    done = []
    def do(job, out):
        done.append(study.name(job))
        if len(done) == 3: raise KeyboardInterrupt
        return dict(name=study.name(job), predicted_us=1., top1=50.)
    monkeypatch.setattr(study, 'do', do)
    with pytest.raises(KeyboardInterrupt): study.work(tmp_path, 'scaled')
    study.work(tmp_path, 'scaled')
    scaled = [study.name(o) for o in study.jobs() if o['kind'] == 'scaled']
    assert done == [*scaled[:3], *scaled[2:]]
    with study.alone(tmp_path/'locks'/study.name(study.jobs()[0])) as mine, study.alone(tmp_path/'locks'/study.name(study.jobs()[0])) as other: assert mine and not other

def test_a_network_is_trained_and_told(study, tmp_path, monkeypatch):
    monkeypatch.setattr(study, 'TRAIN_IMAGES', 64)
    monkeypatch.setattr(study, 'TRAIN', replace(study.TRAIN, batch_size=32))
    o = study.do(dict(kind='scaled', width=.05, depth=0., seed=1), tmp_path)
    assert o['name'] == 'scaled-0.05-0.0-1' and 0 <= o['top1'] <= 100 and json.loads(json.dumps(o)) == o
    assert study.Architecture.from_json(json.dumps(o['architecture'])) == study.SPACE.scaled(.05, 0.)

def test_trainings_of_a_network_are_gathered(study, tmp_path, monkeypatch):
    a = study.SPACE.scaled(.05, 0.)
    about = study.About('prunet-tiny', 32, 'a CPU', 'onnxruntime', '1')
    monkeypatch.setattr(study, 'table', lambda out: type('Table', (), {'about': about})())
    monkeypatch.setattr(study, 'timed', lambda networks, about, journal: dict.fromkeys(networks, 15.))
    monkeypatch.setattr(study, '__file__', str(tmp_path/'study.py'))
    some = dict(kind='scaled', seed=0, name='scaled-0.05-0.0-0', predicted_us=14., top1=50., architecture=json.loads(a.to_json()))
    again = [dict(kind='again', of=some['name'], seed=100+n, name=f"again-{some['name']}-{100+n}", top1=60.+n) for n in range(2)]
    plain = dict(kind='unclipped', of=some['name'], seed=0, name=f"unclipped-{some['name']}-0", top1=40.)
    for o in (some, *again, plain): study.write_whole(study.record(o['name'], tmp_path), json.dumps(o).encode())
    study.measure(tmp_path)
    kept = json.loads((tmp_path/'study.json').read_text())['networks']
    assert kept == [some | dict(measured_us=15., again=[60., 61.], unclipped=[40.], inherited=[])]
    study.adopt(tmp_path/'new')
    assert json.loads(study.record(again[1]['name'], tmp_path/'new').read_text()) == again[1]

@pytest.fixture
def sweep(monkeypatch):
    monkeypatch.syspath_prepend(str(REPORTS))
    return script('paper_sweep')

def test_the_small_sweep_holds_table_5(sweep):
    from nas_workbench.sweep import PAPER
    from nas_workbench.zoo import TABLE5
    jobs = [dict(alpha=a, lam=l) for a in PAPER['alpha'] for l in PAPER['lam']] + sweep.more()
    once = {(o['alpha'], o.get('phi', 1.1), o['lam']) for o in jobs if not {'seed', 'epochs'} & set(o)}
    assert once == {(o.alpha, o.phi, o.lam) for o in TABLE5}

def test_a_contest_is_read_from_the_record(sweep):
    from nas_workbench.events import Removed, SkipInserted, Trained
    class Told:
        insertions = SkipInserted(0, 3, 1, 2),SkipInserted(0, 3, 4, 0)
        removals = Removed(0, 3, 1, 0, 'k3', .1, .3),Removed(0, 5, 1, -1, 'skip', .4, .45),Removed(0, 4, 4, 0, 'k3', .3, .4)
        def all(self, kind): return [Trained(0, e, kind, 1., 1., 1.) for e in range(1, 7) for kind in ('weights', 'architecture', 'architecture')] if kind is Trained else []
    assert sweep.contests(Told()) == [dict(layer=1, since=3, until=5, steps=4, stayed='block', chance=.4), dict(layer=4, since=3, until=4, steps=2, stayed='skip', chance=.3)]
