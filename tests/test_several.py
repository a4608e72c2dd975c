"The command under torchrun: one run folder, one record, made by two processes."
import os
import subprocess
import sys
from pathlib import Path

from nas_workbench.bench import StandIn
from nas_workbench.costs.table import About, Entry, LatencyTable, write_table
from nas_workbench.record import read
from nas_workbench.space import space

def test_the_command_in_two_processes(tmp_path):
    s = space('prunet-tiny')
    write_table(LatencyTable(About(s.name, s.resolution, 'nowhere', 'none', '0'), {k: Entry(StandIn().latency(k)) for k in s.latency_keys()}), tmp_path/'table.sqlite')
    run = tmp_path/'nwb.py'
    run.write_text('from nas_workbench.cli import main\nmain()\n')
    env = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join([str(Path(__file__).parent.parent), os.environ.get('PYTHONPATH', '')])}
    args = ['search', '--preset', 'smoke', '--epochs', '5', '--warmup', '1', '--batch-size', '128', '--table', 'table.sqlite', '--out-dir', 'run']
    launch = [sys.executable, '-m', 'torch.distributed.run', '--nproc-per-node=2', '--standalone', str(run), *args]
    p = subprocess.run(launch, cwd=tmp_path, capture_output=True, text=True, timeout=400, env=env)
    assert p.returncode == 0, p.stderr[-3000:]
    record = read(tmp_path/'run')
    assert record.finished and len(record.epochs) == 5 and p.stdout.count('predicted') == 1 and p.stdout.count('epoch   5/5') == 1
