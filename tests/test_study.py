"The study of found against random networks: what it does, and that it goes on where it was."
import json
import sys
from dataclasses import replace
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

if sys.platform == 'win32': pytest.skip('the study shares its work by file locks of Unix', allow_module_level=True)

@pytest.fixture
def study(monkeypatch):
    spec = spec_from_file_location('search_study', Path(__file__).parent.parent/'reports/search_study.py')
    found = module_from_spec(spec)
    spec.loader.exec_module(found)
    class PerMac:
        def latency(self, key): return 5 + key.macs()/1e5
    monkeypatch.setattr(found, 'table', lambda out: PerMac())
    return found

def test_it_plans_what_was_promised(study):
    jobs = study.jobs()
    names = [study.name(o) for o in jobs]
    assert len(set(names)) == len(names)
    assert len(study.ALPHAS) >= 5 and len(study.SEEDS) >= 3 and sum(o['kind'] == 'random' for o in jobs) >= 30
    found = [study.recipe(o) for o in jobs if o['kind'] in ('found', 'enumerated')]
    for o in found[:-1]: o.check(study.SPACE)
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
