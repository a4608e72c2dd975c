"A training in processes of its own: killed anywhere and taken up again, and shared by two ranks."
import os
import random
import signal
import subprocess
import sys
import time

import torch

from nas_workbench.events import TrainingEpoch, TrainingFinished
from nas_workbench.record import follow, happened
from nas_workbench.train.config import train_preset

RECIPE = train_preset('smoke', batch_size=64, epochs=3, drop=.2, mixup=.2)

# One training; its record lies in a file of its own for every process. argv: folder, whether there are others
CHILD = '''
import sys, torch
torch.set_num_threads(1)
if len(sys.argv) > 2: torch.distributed.init_process_group('gloo')
import test_train as t
from nas_workbench.data import dataset
from nas_workbench.record import Recorder
from nas_workbench.space import space
from nas_workbench.train.retrain import Training
rank = torch.distributed.get_rank() if torch.distributed.is_initialized() else 0
run = Training(t.RECIPE, space('prunet-tiny', resolution=16).smallest(), dataset('digits', resolution=16), f'{sys.argv[1]}/checkpoints', Recorder(f'{sys.argv[1]}/{rank}'), save_every=7)
found = run.run()
torch.save([run.net.state_dict(), found.net.state_dict()], f'{sys.argv[1]}/{rank}.pt')
'''

def child(folder, *more, launcher=()):
    "Start a training in a process of its own."
    (folder/'0').mkdir(parents=True, exist_ok=True)
    script = folder/'child.py'
    script.write_text(CHILD)
    env = os.environ | {'PYTHONPATH': os.pathsep.join([os.path.dirname(__file__), os.environ.get('PYTHONPATH', '')]), 'OMP_NUM_THREADS': '1'}
    return subprocess.Popen([sys.executable, *launcher, str(script), str(folder), *more], env=env, stderr=subprocess.PIPE, text=True)

def weights(folder, rank=0): return [(k, v) for o in torch.load(folder/f'{rank}.pt') for k,v in o.items()]
def same(a, b): return len(a) == len(b) and all(j == k and torch.equal(v, w) for (j, v),(k, w) in zip(a, b))
def told(folder, rank=0): return [(o.step, o.epoch, o.top1, o.top5, getattr(o, 'loss', 0)) for o in happened(follow(folder/str(rank))[0]) if isinstance(o, (TrainingEpoch, TrainingFinished))]

def test_a_killed_training_goes_on_bit_by_bit(tmp_path):
    whole,killed,rng,kills = tmp_path/'whole',tmp_path/'killed',random.Random(0),0
    p = child(whole)
    assert p.wait(400) == 0, p.stderr.read()
    record = killed/'0'/'events.jsonl'
    for _ in range(2):
        p = child(killed)
        goal = (record.stat().st_size if record.exists() else 0) + rng.randint(100, 900)
        while p.poll() is None and not (record.exists() and record.stat().st_size > goal): time.sleep(.002)
        if p.poll() is not None: break
        p.send_signal(signal.SIGKILL)
        p.wait()
        kills += 1
    p = child(killed)
    assert p.wait(400) == 0, p.stderr.read()
    assert kills
    assert told(killed) == told(whole) and len(told(whole)) == 4
    assert same(weights(killed), weights(whole))

def test_two_ranks_agree(tmp_path):
    p = child(tmp_path/'two', 'ranks', launcher=('-m', 'torch.distributed.run', '--nproc-per-node=2', '--master-addr=127.0.0.1', f'--master-port={random.randint(20000, 40000)}'))
    assert p.wait(400) == 0, p.stderr.read()[-3000:]
    assert told(tmp_path/'two') == told(tmp_path/'two', 1) and len(told(tmp_path/'two')) == 4
    assert same(weights(tmp_path/'two'), weights(tmp_path/'two', 1))  # running statistics too, and the averaged weights
