"The main job's notebook, executed by papermill as a user would, and the same from the command line."
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nas_workbench.bench import StandIn
from nas_workbench.costs.table import About, Entry, LatencyTable, write_table
from nas_workbench.record import read
from nas_workbench.space import space

NOTEBOOK = Path(__file__).parent.parent/'nbs'/'search.ipynb'

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
    env = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join([str(NOTEBOOK.parent.parent), os.environ.get('PYTHONPATH', '')])}
    p = subprocess.run([sys.executable, '-m', 'papermill', str(NOTEBOOK), 'out.ipynb', '-k', 'python3', '--no-progress-bar', *args], cwd=home, capture_output=True, text=True, timeout=500, env=env)
    return p.returncode, p.stderr, json.loads((home/'out.ipynb').read_text())

def test_the_notebook_is_a_report_and_leaves_a_run_folder(home):
    code,err,nb = papermill(home, alpha=.4, preset='smoke', epochs=5, warmup=1, batch_size=64, table='table.sqlite', out_dir='runs/here')
    assert code == 0, err[-2000:]
    run = home/'runs'/'here'
    assert {o.name for o in run.iterdir()} == {'config.json', 'events.jsonl', 'checkpoints', 'architecture.json', 'network.safetensors', 'network.onnx', 'network.fp16.onnx', 'infer.py', 'result.json', 'report.html'}
    record,result = read(run),json.loads((run/'result.json').read_text())
    assert record.finished and result['measured_us'] is None and result['predicted_us'] == pytest.approx(record.finished.lat)
    assert json.loads((run/'config.json').read_text())['recipe']['alpha'] == .4
    outputs = [o for c in nb['cells'] for o in c.get('outputs', [])]
    assert sum('application/vnd.plotly.v1+json' in o.get('data', {}) for o in outputs) == 5
    assert list((home/'runs'/'shared'/'warmups').iterdir())

@pytest.mark.parametrize(('parameters', 'sentence'), [
    (dict(alhpa=.4), "unknown parameter 'alhpa': this notebook takes alpha, beta"),
    (dict(alpha=-1), 'alpha is -1: use a number from 0 up'),
    (dict(space='prunett'), "there is no search space 'prunett'"),
])
def test_a_bad_parameter_ends_before_any_work(home, parameters, sentence):
    code,err,_ = papermill(home, out_dir='runs/bad', **parameters)
    assert code == 1 and sentence in err and not (home/'runs'/'bad').exists()

def test_the_same_from_the_command_line(home):
    args = [sys.executable, '-c', 'from nas_workbench.cli import main; main()', 'search', '--preset', 'smoke', '--epochs', '5', '--warmup', '1', '--batch-size', '64', '--table', 'table.sqlite', '--out-dir', 'runs/cli']
    env = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join([str(NOTEBOOK.parent.parent), os.environ.get('PYTHONPATH', '')])}
    p = subprocess.run([*args, '--alpha', '0.4'], cwd=home, capture_output=True, text=True, timeout=300, env=env)
    assert p.returncode == 0, p.stderr
    assert read(home/'runs'/'cli').finished and 'predicted' in p.stdout
    again = subprocess.run([*args, '--alpha', '0.4'], cwd=home, capture_output=True, text=True, timeout=300, env=env)
    assert again.returncode == 1 and 'already holds a run' in again.stderr and 'Traceback' not in again.stderr
