"The main job's notebook, executed by papermill as a user would, and the same from the command line."
import json
import os
import subprocess
import sys
from dataclasses import fields
from inspect import signature
from pathlib import Path

import numpy as np
import pytest
import torch

from nas_workbench.bench import StandIn
from nas_workbench.cli import search_command
from nas_workbench.costs.table import About, Entry, LatencyTable, write_table
from nas_workbench.data import dataset
from nas_workbench.deploy import read_network, session
from nas_workbench.job import Job
from nas_workbench.record import read
from nas_workbench.space import space
from nas_workbench.train.references import references

NOTEBOOK = Path(__file__).parent.parent/'nbs'/'search.ipynb'
ENV = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join([str(NOTEBOOK.parent.parent), os.environ.get('PYTHONPATH', '')]), 'PYTHONUNBUFFERED': '1'}
SMALL = dict(alpha=.4, preset='smoke', epochs=5, warmup=1, batch_size=64, table='table.sqlite')
FILES = {'config.json', 'events.jsonl', 'checkpoints', 'architecture.json', 'network.safetensors', 'network.onnx', 'network.fp16.onnx', 'infer.py', 'result.json', 'report.html'}

@pytest.fixture(scope='module')
def home(tmp_path_factory):
    "A folder with a latency table from elsewhere, so that nothing has to be measured on a busy machine."
    home = tmp_path_factory.mktemp('job')
    s = space('prunet-tiny')
    table = LatencyTable(About(s.name, s.resolution, 'nowhere', 'none', '0'), {k: Entry(StandIn().latency(k)) for k in s.latency_keys()})
    write_table(table, home/'table.sqlite')
    return home

def papermill(home, **parameters):
    "Run the notebook in `home`; its exit code, what it printed, and the executed notebook."
    args = [o for k,v in parameters.items() for o in ('-p', k, str(v))]
    p = subprocess.run([sys.executable, '-m', 'papermill', str(NOTEBOOK), 'out.ipynb', '-k', 'python3', '--no-progress-bar', *args], cwd=home, capture_output=True, text=True, timeout=500, env=ENV)
    return p.returncode, p.stderr, json.loads((home/'out.ipynb').read_text())

@pytest.fixture(scope='module')
def executed(home):
    "(run folder, executed notebook): one for all tests."
    code,err,nb = papermill(home, **SMALL, out_dir='runs/here')
    assert code == 0, err[-2000:]
    return home/'runs'/'here', nb

def test_the_run_folder_holds_everything_and_nothing_is_elsewhere(executed, home):
    run,_ = executed
    assert {o.name for o in run.iterdir()} == FILES
    assert {o.relative_to(home).parts[0] for o in home.rglob('*')} == {'runs', 'out.ipynb', 'table.sqlite'} and {o.name for o in (home/'runs').iterdir()} == {'here', 'shared'}
    record,result = read(run),json.loads((run/'result.json').read_text())
    assert record.finished and result['measured_us'] is None and result['predicted_us'] == pytest.approx(record.finished.lat)
    assert record.trained and result['trained_top1_pct'] == pytest.approx(record.trained.top1) and result['trained_top1_pct'] > 80
    assert json.loads((run/'config.json').read_text())['recipe']['alpha'] == .4
    assert list((home/'runs'/'shared'/'warmups').iterdir())
    _,net = read_network(run)
    images,_ = dataset('digits', resolution=32).valid.draw(np.arange(4))
    with torch.no_grad(): found = net(images).numpy()
    assert abs(session((run/'network.onnx').read_bytes()).run(None, {'input': images.numpy()[:1]})[0] - found[:1]).max() < 1e-4

def test_the_executed_notebook_is_a_report(executed):
    _,nb = executed
    outputs = [o for c in nb['cells'] for o in c.get('outputs', [])]
    assert sum('application/vnd.plotly.v1+json' in o.get('data', {}) for o in outputs) == 7
    text = ' '.join(''.join(o.get('text', o.get('data', {}).get('text/markdown', ''))) for o in outputs)
    for said in ('search with', 'networks for 32×32 pixels', 'train   loss', 'µs predicted', 'result.json'): assert said in text
    names = [p['text'] for o in outputs for p in o.get('data', {}).get('application/vnd.plotly.v1+json', {}).get('data', []) if p.get('name') == 'reference']
    assert names == [[o.name for o in references(space('prunet-tiny'), 'digits')]]

def test_its_page_needs_no_network(executed, tmp_path, chromium):
    "As `jupyter nbconvert --to html` writes it, without the two libraries that its template asks for and nothing here uses."
    import nbformat
    from nbconvert import HTMLExporter
    (tmp_path/'out.html').write_text(HTMLExporter(mathjax_url='', require_js_url='').from_notebook_node(nbformat.reads(json.dumps(executed[1]), 4))[0])
    tab,asked,said = chromium.new_context(offline=True).new_page(), [], []
    tab.on('request', lambda o: asked.append(o.url) if not o.url.startswith(('file:', 'data:', 'blob:')) else None)
    tab.on('console', lambda o: said.append(o.text) if o.type == 'error' else None)
    tab.on('pageerror', lambda o: said.append(str(o)))
    tab.goto((tmp_path/'out.html').as_uri(), timeout=120_000)
    tab.wait_for_function("document.querySelectorAll('.js-plotly-plot .main-svg').length >= 7", timeout=120_000)
    assert [o for o in asked if o] == [] and said == [] and tab.locator('.nwb-scrubber svg rect').count() > 5
    tab.context.close()

def test_the_notebook_and_the_command_take_what_a_job_takes():
    cell = next(c for c in json.loads(NOTEBOOK.read_text())['cells'] if 'parameters' in c['metadata'].get('tags', []))
    asked = {o.split(':')[0]: o for o in cell['source'] if o.strip()}
    assert list(asked) == [f.name for f in fields(Job)] and set(asked) == set(signature(search_command).parameters)
    assert all('  # ' in o for o in asked.values())
    given = {}
    exec(''.join(cell['source']), given)
    assert Job(**{k: given[k] for k in asked}) == Job(alpha=.8) and Job(**{k: o.default for k,o in signature(search_command).parameters.items()}) == Job()

def test_a_bad_parameter_ends_before_any_work(home):
    "The other refusals: nbs/40_job.ipynb."
    code,err,_ = papermill(home, out_dir='runs/bad', alhpa=.4)
    assert code == 1 and "unknown parameter 'alhpa' (did you mean alpha?): this notebook takes alpha, beta" in err and not (home/'runs'/'bad').exists()

def nwb(home, *args):
    return subprocess.Popen([sys.executable, '-c', 'from nas_workbench.cli import main; main()', 'search', *args], cwd=home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENV)

def test_killed_anywhere_and_resumed_is_the_same_run(executed, home):
    "By the command, killed once in the search and once in the training."
    args = [o for k,v in SMALL.items() for o in (f"--{k.replace('_', '-')}", str(v))] + ['--out-dir', 'runs/cli']
    for seen in ('epoch   2/5 search', 'epoch   1/2 train'):
        p = nwb(home, *args)
        for line in p.stdout:
            if line.startswith(seen): break
        else: pytest.fail(p.stderr.read())
        p.kill()
        p.wait()
        args += ['--resume']*('--resume' not in args)
    out,err = nwb(home, *args).communicate(timeout=300)
    run,whole = home/'runs'/'cli',executed[0]
    assert {o.name for o in run.iterdir()} == FILES, err
    for name in ('architecture.json', 'network.safetensors', 'network.onnx'): assert (run/name).read_bytes() == (whole/name).read_bytes(), name
    assert 'epoch   1/5' not in out and 'predicted' in out
    out,err = nwb(home, *args[:-1]).communicate(timeout=100)
    assert 'already holds a run' in err and 'Traceback' not in err and out == ''
