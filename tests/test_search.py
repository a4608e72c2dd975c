"A search in processes of its own: killed anywhere and taken up again, and shared by two ranks."
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest
import torch

from nas_workbench.arch import Block
from nas_workbench.data import dataset
from nas_workbench.events import Epoch, Failed, Finished, Masks, Removed, Resumed, SkipInserted, Trained, from_line
from nas_workbench.search.config import preset
from nas_workbench.search.run import Search
from nas_workbench.space import SearchSpace, Stage

MINI = SearchSpace('mini', 16, Block('conv', 3, 16, stride=2, act='swish'), (Stage('conv', 16, 1), Stage('fused_irb', 16, 2, expansion=3), Stage('irb', 24, 2, 2, expansion=2)),
                   features=32, classes=10, granularity=8)
RECIPE = preset('smoke', batch_size=64, epochs=5, warmup=1, arch_lr=.2)

class PerMac:
    "A stand-in for a latency table."
    def latency(self, key): return 5 + key.macs()/1e5

# One search; its record goes to a file line by line, as a command would write it. argv: folder, record
CHILD = '''
import sys, torch
torch.set_num_threads(1)
if len(sys.argv) > 3: torch.distributed.init_process_group('gloo')
sys.path.insert(0, sys.argv[3] if len(sys.argv) > 3 else '')
import test_search as t
from nas_workbench.events import to_line
rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
record = open(f'{sys.argv[2]}-{rank}', 'a', buffering=1)
s = t.Search(t.RECIPE, t.MINI, t.dataset('digits', resolution=16, augment='none'), t.PerMac(), sys.argv[1], lambda o: record.write(to_line(o) + '\\n'), save_every=7)
found = s.run()
torch.save({k: v for k,v in s.net.state_dict().items()}, f'{sys.argv[2]}-{rank}.pt')
'''

def child(tmp_path, name, *more, launcher=()):
    "Start a search in a process of its own."
    script = tmp_path/'child.py'
    script.write_text(CHILD)
    env = os.environ | {'PYTHONPATH': os.pathsep.join([os.path.dirname(__file__), os.environ.get('PYTHONPATH', '')]), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen([sys.executable, *launcher, str(script), str(tmp_path/name), str(tmp_path/f'{name}.jsonl'), *more], env=env, stderr=subprocess.PIPE, text=True)

def events(tmp_path, name, rank=0):
    "The record; a line that was being written when the process died is left out."
    lines = (tmp_path/f'{name}.jsonl-{rank}').read_text().split('\n')[:-1]
    return [from_line(o) for o in lines]

def last_of(record):
    "What happened after all, with what was undone by going back to a checkpoint left out."
    kept = []
    for o in record:
        if isinstance(o, Resumed): kept = [k for k in kept if k.step <= o.step and not (isinstance(k, (Epoch, Removed, SkipInserted)) and k.epoch >= o.epoch)]
        else: kept.append(o)
    return [o for o in kept if isinstance(o, (Trained, Masks, Epoch, Removed, SkipInserted, Finished))]

@pytest.fixture(scope='module')
def undisturbed(tmp_path_factory):
    "A search that nobody killed: its folder, record and weights."
    tmp_path = tmp_path_factory.mktemp('undisturbed')
    p = child(tmp_path, 'run')
    assert p.wait(120) == 0, p.stderr.read()
    return tmp_path, events(tmp_path, 'run'), torch.load(tmp_path/'run.jsonl-0.pt')

def test_a_killed_search_goes_on_bit_by_bit(undisturbed, tmp_path):
    _,record,weights = undisturbed
    rng,kills = random.Random(0),0
    steps = [o.step for o in record if isinstance(o, Trained)]
    for _ in range(12):
        p = child(tmp_path, 'run')
        line = tmp_path/'run.jsonl-0'
        goal = (line.stat().st_size if line.exists() else 0) + rng.randint(300, 9000)
        while p.poll() is None and not (line.exists() and line.stat().st_size > goal): time.sleep(.002)
        if p.poll() is None:
            p.send_signal(signal.SIGKILL)
            kills += 1
        code = p.wait()
        if line.exists() and not line.read_bytes().endswith(b'\n'): line.write_bytes(line.read_bytes().rpartition(b'\n')[0] + b'\n')  # as a record does that is opened again
        if code == 0: break
    if code != 0:
        p = child(tmp_path, 'run')
        assert p.wait(120) == 0, p.stderr.read()
    assert kills >= 3, (kills, steps)
    assert last_of(events(tmp_path, 'run')) == last_of(record)
    mine = torch.load(tmp_path/'run.jsonl-0.pt')
    assert mine.keys() == weights.keys() and all(torch.equal(mine[k], weights[k]) for k in weights)

def test_a_checkpoint_that_is_being_written_is_never_half_there(undisturbed):
    tmp_path = undisturbed[0]
    left = sorted(o.name for o in (tmp_path/'run').iterdir())
    assert len(left) == 4 and {o.rsplit('.', 1)[1] for o in left} == {'json', 'safetensors'} and len({o.rsplit('.', 1)[0] for o in left}) == 2

def test_a_run_of_200_epochs_stays_small(undisturbed):
    "A record's size per epoch and per step, at the size of the paper's search: 76 Prunodes, 130 epochs with 100 architecture steps each."
    record = undisturbed[1]
    nodes = max(len(o.layers) for o in record if isinstance(o, Masks))
    from nas_workbench.events import to_line
    mask = max(len(to_line(o)) for o in record if isinstance(o, Masks))*76/nodes
    epoch = max(len(to_line(o)) for o in record if isinstance(o, Epoch))*21/len(MINI.layers)
    step = max(len(to_line(o)) for o in record if isinstance(o, Trained))
    assert 1000*mask + 2000*step + 200*(epoch + 300) + 2000*300 < 50e6

def test_two_ranks_agree(tmp_path):
    p = child(tmp_path, 'two', os.path.dirname(__file__), launcher=('-m', 'torch.distributed.run', '--nproc-per-node=2', '--master-addr=127.0.0.1', f'--master-port={random.randint(20000, 40000)}'))
    assert p.wait(240) == 0, p.stderr.read()[-3000:]
    a,b = (events(tmp_path, 'two', rank) for rank in (0, 1))
    decided = (Epoch, Removed, SkipInserted, Masks, Finished)
    assert [o for o in a if isinstance(o, decided)] == [o for o in b if isinstance(o, decided)]
    assert any(isinstance(o, Removed) for o in a) and json.loads(next(o for o in a if isinstance(o, Finished)).architecture)
    x,y = (torch.load(tmp_path/f'two.jsonl-{rank}.pt') for rank in (0, 1))
    assert x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x)  # running statistics too: they are averaged at the end of an epoch

def test_a_failure_is_recorded_in_one_sentence(tmp_path):
    seen = []
    s = Search(preset('smoke', batch_size=64, weight_lr=1e30), MINI, dataset('digits', resolution=16, augment='none'), PerMac(), tmp_path/'run', seen.append)
    with pytest.raises(FloatingPointError, match=r'step 1 in epoch 1 is not finite .* there is no checkpoint yet; start again in another folder with a lower weight_lr'): s.run()
    assert isinstance(seen[-1], Failed)
