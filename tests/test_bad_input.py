"What goes wrong in the world: through the command itself, one sentence each, exit code 1, and nothing lost."
import errno
import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from nas_workbench.bench import StandIn
from nas_workbench.cli import app
from nas_workbench.costs.table import About, Entry, LatencyTable, write_table
from nas_workbench.space import space

QUICK = ('--preset', 'smoke', '--batch-size', '64')

@pytest.fixture(scope='module')
def home(tmp_path_factory):
    "A folder with images, a network to train, and a latency table, so that nothing has to be measured."
    home = tmp_path_factory.mktemp('bad')
    rng = np.random.default_rng(0)
    for part,n in (('train', 8), ('val', 2)):
        for kind in 'abcdefghij':
            (home/'images'/part/kind).mkdir(parents=True)
            for i in range(n): Image.fromarray(rng.integers(0, 255, (16, 16, 3), dtype=np.uint8)).save(home/'images'/part/kind/f'{i}.png')
    (home/'images/train/c/5.png').write_bytes(b'no image')
    (home/'empty').mkdir()
    s = space('prunet-tiny')
    (home/'small.json').write_text(space('prunet-tiny', resolution=16).smallest().to_json())
    (home/'tiny.json').write_text(space('prunet-tiny', resolution=4).to_json())
    write_table(LatencyTable(About(s.name, s.resolution, 'nowhere', 'none', '0'), {k: Entry(StandIn().latency(k)) for k in s.latency_keys()}), home/'table.sqlite')
    return home

@pytest.fixture
def nwb(home, monkeypatch):
    "`nwb …` in `home`, in this process."
    monkeypatch.chdir(home)
    monkeypatch.setenv('NWB_CLAIMS', str(home/'.claims'))
    return lambda *args: CliRunner(env={'COLUMNS': '80', 'TERM': 'dumb'}).invoke(app, [*map(str, args)], prog_name='nwb')

def files(home): return sorted(str(o.relative_to(home)) for o in home.rglob('*') if '.claims' not in o.parts)

@pytest.mark.parametrize('args, sentence', [
    (('search', *QUICK, '--data', 'folder:nowhere'), 'there is no data folder nowhere: give a folder'),
    (('search', *QUICK, '--data', 'folder:empty'), 'the data folder empty holds no image: put the images'),
    (('search', *QUICK, '--data', 'folder:images'), 'the image c/5.png cannot be read: repair or remove it, or leave such images out with skip_broken'),
    (('train', 'small.json', *QUICK, '--data', 'folder:images'), 'the image c/5.png cannot be read: repair or remove it, or leave such images out with skip_broken'),
    (('train', 'small.json', *QUICK, '--data', 'shapes'), 'resolution is 16: shapes are drawn at 32 pixels or more'),
    (('search', *QUICK, '--space', 'tiny.json'), 'resolution is 4: use a whole number of pixels from 8 up'),
    (('search', *QUICK, '--out-dir', 'images'), 'images is not empty and holds no run: use another out_dir'),
    (('search', *QUICK, '--out-dir', 'small.json/run'), 'no run can be made in small.json/run (Not a directory): use an out_dir that you may write to'),
    (('detect', 'small.json', 'nowhere', 'det'), 'there is no data folder nowhere'),
])
def test_one_sentence_and_nothing_written(nwb, home, args, sentence):
    before = files(home)
    out = nwb(*args)
    left = {'det', 'det/config.json', 'det/architecture.json'}  # a detector's folder says what was asked of it
    assert (out.exit_code, out.stdout, out.stderr.count('\n')) == (1, '', 1) and out.stderr.startswith(f'nwb: {sentence}'), out.stderr
    assert set(files(home)) - left == set(before)

def test_a_broken_image_is_skipped_when_asked(nwb, home):
    with pytest.warns(UserWarning, match='1 images cannot be read and are skipped: c/5.png'):
        out = nwb('train', 'small.json', *QUICK, '--epochs', 1, '--data', 'folder:images', '--skip-broken', '--runtime', 'none', '--out-dir', 'skipped')
    assert out.exit_code == 0 and json.loads((home/'skipped/config.json').read_text())['job']['skip_broken'] is True, out.stderr

def test_a_folder_of_another_run_stays_as_it_is(nwb, home):
    args = ('train', 'small.json', *QUICK, '--epochs', 1, '--data', 'digits', '--runtime', 'none', '--out-dir', 'mine')
    assert nwb(*args).exit_code == 0
    kept = {o: o.read_bytes() for o in (home/'mine').rglob('*') if o.is_file()}
    for more,sentence in (((), 'mine already holds a run: go on with it by resume'), (('--seed', 3, '--resume'), 'mine holds a run with seed 0, not 3')):
        out = nwb(*args, *more)
        assert out.exit_code == 1 and out.stderr.startswith(f'nwb: {sentence}') and out.stderr.count('\n') == 1, out.stderr
    out = nwb('search', *QUICK, '--out-dir', 'mine')
    assert out.exit_code == 1 and 'mine already holds a run' in out.stderr
    assert kept == {o: o.read_bytes() for o in (home/'mine').rglob('*') if o.is_file()}

# -- no space left --------------------------------------------------------------------------------------------------

def in_its_own_process(home, *args, room=None):
    "`nwb …` where no file may grow beyond `room` bytes."
    env = os.environ | {'OMP_NUM_THREADS': '1', 'NWB_CLAIMS': str(home/'.claims'), 'PYTHONPATH': os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get('PYTHONPATH', '')])}
    limit = (lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (room, room))) if room is not None else None
    return subprocess.run([sys.executable, '-c', 'from nas_workbench.cli import main; main()', *map(str, args)], cwd=home, env=env, preexec_fn=limit, capture_output=True, text=True, timeout=400)

TRAIN = ('train', 'small.json', *QUICK, '--epochs', 2, '--data', 'digits', '--runtime', 'none')

def test_no_room_before_and_during_the_work(home):
    none = in_its_own_process(home, 'search', *QUICK, '--table', 'table.sqlite', '--out-dir', 'full/search', room=100)
    assert (none.returncode, none.stdout) == (1, '')
    assert none.stderr.splitlines() == [f'nwb: config.json could not be written ({os.strerror(errno.EFBIG)}): what was there before is intact, make room or choose another folder']
    assert not any(o.is_file() for o in (home/'full').rglob('*')), files(home/'full')
    little = in_its_own_process(home, *TRAIN, '--out-dir', 'full/run', room=50_000)
    assert little.returncode == 1 and 'Traceback' not in little.stderr and little.stderr.splitlines()[-1].startswith('nwb: step-000000022-epoch-00002.safetensors could not be written'), little.stderr
    again,whole = (in_its_own_process(home, *TRAIN, '--out-dir', out, *more) for out,more in (('full/run', ('--resume',)), ('whole/run', ())))
    assert (again.returncode, whole.returncode) == (0, 0), again.stderr
    for name in ('architecture.json', 'network.safetensors', 'network.onnx'): assert (home/'full/run'/name).read_bytes() == (home/'whole/run'/name).read_bytes(), name
