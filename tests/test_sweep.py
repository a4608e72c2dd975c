"Sweeps as a user runs them: whole, killed half-way, with jobs that fail; and on other engines."
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from nas_workbench.bench import StandIn
from nas_workbench.control import who
from nas_workbench.costs.table import About, Entry, LatencyTable, write_table
from nas_workbench.engines import NO_ROOM, QUIET, Room, on_ray
from nas_workbench.events import Cost, Epoch, Resumed, Saved, TrainingStarted, WarmupReused
from nas_workbench.record import read
from nas_workbench.report import write_report
from nas_workbench.space import SearchSpace, space
from nas_workbench.sweep import AT_WORK, Plan, status, sweep_timing, write_plan

ROOT = Path(__file__).parent.parent
SMALL = ['space=small.json', 'table=table.sqlite', 'preset=smoke', 'epochs=6', 'warmup=2', 'batch_size=64']
SIX = ['alpha=0.2,0.8', 'lam=0.4,0.55,0.85', *SMALL]
JOBS = [f'alpha{a}-lam{lam}' for a in (.2, .8) for lam in (.4, .55, .85)]

@pytest.fixture(scope='module')
def home(tmp_path_factory):
    "A folder with a space so small that a search takes seconds, and a latency table from elsewhere."
    home = tmp_path_factory.mktemp('sweeps')
    d = json.loads(space('prunet-tiny').to_json())
    d |= dict(name='small', resolution=16, features=32, stages=[dict(kind='irb', channels=c, layers=n, stride=2, kernels=[3], expansion=4) for c,n in ((16, 2), (24, 1))])
    s = SearchSpace.from_dict(d)
    (home/'small.json').write_text(s.to_json())
    write_table(LatencyTable(About(s.name, s.resolution, 'nowhere', 'none', '0'), {k: Entry(StandIn().latency(k)) for k in s.latency_keys()}), home/'table.sqlite')
    return home

def begin(home, *args, **env):
    env = os.environ | env | {'OMP_NUM_THREADS': '1', 'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])}
    command = [sys.executable, '-c', 'from nas_workbench.cli import main; main()', 'sweep', *map(str, args)]
    return subprocess.Popen(command, cwd=home, env=env, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
                            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # which whoever began these tests in the background has switched off

def nwb(home, *args):
    "Exit code, what was printed, and what was complained of."
    p = begin(home, *args)
    out,err = p.communicate(timeout=900)
    assert 'Traceback' not in err, err
    return p.returncode, out, err

@contextmanager
def running(home, *args, **env):
    "A sweep that ends with the test, and its jobs with it."
    p = begin(home, *args, **env)
    try: yield p
    finally:
        p.kill()
        p.communicate()

def until(true, what, seconds=240):
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, f'waited in vain for {what}'
        time.sleep(.05)
    return found

def states(folder): return {o.name: o.state for o in status(folder)} if (folder/'sweep.json').exists() else {}

def at_it(folder):
    "Jobs with a process in their folder."
    return [o for o in states(folder) if who(folder/'jobs'/o, AT_WORK).state == 'alive']

def halfway(folder):
    "A job that has a checkpoint behind the warm-up and is not at its end."
    def events(o): return f.read_text() if (f := folder/'jobs'/o/'events.jsonl').exists() else ''
    return next((o for o in at_it(folder) if '"phase":"search"' in (t := events(o)) and t.rfind('"Saved"') > t.find('"phase":"search"') and '"Finished"' not in t), None)

def deeds(folder, job):
    "What happened in the search of a job, whoever was interrupted."
    events = read(folder/'jobs'/job).events
    return [o for o in itertools.takewhile(lambda o: not isinstance(o, TrainingStarted), events) if not isinstance(o, (Cost, Resumed, Saved))]

def same(a, b, pairs, files=('config.json', 'architecture.json', 'result.json', 'network.safetensors')):
    "Whether jobs of two sweeps came to the same."
    def kept(folder, o): return [(folder/'jobs'/o/f).read_bytes() for f in files]
    return all(kept(a, m) == kept(b, n) and deeds(a, m) == deeds(b, n) for m,n in pairs)

@pytest.fixture(scope='module')
def whole(home):
    "A sweep of six jobs that nobody disturbed."
    code,out,err = nwb(home, 'runs/whole', *SIX)
    assert (code, err) == (0, ''), out
    assert '6 jobs: 6 waiting' in out and out.endswith('6 jobs: 6 done\n')
    return home/'runs'/'whole'

def test_the_warm_up_ran_once_and_every_job_has_its_outputs(home, whole):
    assert states(whole) == dict.fromkeys(JOBS, 'done')
    warm, = [o for o in (whole/'shared'/'warmups').iterdir() if o.is_dir()]
    assert [(o.epoch, o.phase) for o in read(warm).epochs] == [(1, 'warmup'), (2, 'warmup')]
    for o in JOBS:
        record = read(whole/'jobs'/o)
        assert [w.fingerprint for w in record.all(WarmupReused)] == [warm.name]
        assert record.finished.reason == 'done' and [e.epoch for e in record.all(Epoch)] == [1, 2, 3, 4, 5, 6]
        assert {'out.ipynb', 'outcome.json', 'config.json', 'events.jsonl', 'architecture.json', 'network.onnx', 'result.json'} <= {f.name for f in (whole/'jobs'/o).iterdir()}
        config = json.loads((whole/'jobs'/o/'config.json').read_text())['job']
        assert f"alpha{config['alpha']}-lam{config['lam']}" == o and config['out_dir'] == ''
        cells = json.loads((whole/'jobs'/o/'out.ipynb').read_text())['cells']
        assert not any(out['output_type'] == 'error' for c in cells for out in c.get('outputs', []))
    assert not (whole/'jobs'/'shared').exists()

def test_of_each_alpha_the_best_search_was_trained(whole):
    rows = status(whole)
    best = {min((o for o in rows if o.alpha == a), key=lambda o: o.loss).name for a in (.2, .8)}
    assert {o.name for o in rows if o.trained} == best
    for o in rows: assert (o.result['trained_top1_pct'] is not None) == (o.name in best) == bool(read(whole/'jobs'/o.name).trained)

def test_it_says_what_it_took(home, whole):
    "Of six searches and two trainings, by the clock and by the cells that do the work."
    t = sweep_timing(whole)
    assert (t.executions, 1 <= t.at_once <= 2) == (8, True)
    assert 0 < t.own < t.seconds and max(t.seconds/t.at_once, t.own/t.at_once) <= t.wall <= t.seconds + 1
    assert nwb(home, 'status', 'runs/whole')[1].splitlines()[-1] == t.words()

def test_a_finished_sweep_has_nothing_left_to_do(home, whole):
    before = {o: (whole/'jobs'/o/'out.ipynb').stat().st_mtime for o in JOBS}
    assert nwb(home, 'runs/whole')[0] == nwb(home, 'runs/whole', *SIX)[0] == nwb(home, 'status', 'runs/whole')[0] == 0
    assert before == {o: (whole/'jobs'/o/'out.ipynb').stat().st_mtime for o in JOBS}
    code,_,err = nwb(home, 'runs/whole', 'alpha=0.3', *SMALL)
    assert code == 1 and 'holds another sweep, of 6 jobs' in err

def page(folder, at):
    "The report of a sweep, as it stands in a folder of its own, without what is another at any time: seconds, memory and measured latencies."
    shutil.copytree(folder, at/'runs'/'sweep')  # two parts of its path stand on the page
    return write_report(at/'runs'/'sweep', costs=False).read_text()

def test_killed_half_way_it_goes_on_and_comes_to_the_same(home, whole, tmp_path):
    folder = home/'runs'/'killed'
    with running(home, folder, *SIX) as p:
        killed = until(lambda: p.poll() is not None or ('done' in states(folder).values() and halfway(folder)), 'a job to be half-way')
        assert p.poll() is None, p.communicate()
        os.kill(p.pid, signal.SIGKILL)
    until(lambda: not at_it(folder), 'the jobs to end with their sweep', 30)
    finished = {o: (folder/'jobs'/o/'events.jsonl').read_text() for o,s in states(folder).items() if s == 'done'}
    written = {o: (folder/'jobs'/o/'out.ipynb').stat().st_mtime for o in finished}
    assert finished and states(folder)[killed] == 'unfinished'
    code,out,err = nwb(home, folder)
    assert (code, err) == (0, ''), out
    assert all((folder/'jobs'/o/'events.jsonl').read_text().startswith(t) for o,t in finished.items()), 'what is finished is not searched again'
    assert {o for o,t in written.items() if (folder/'jobs'/o/'out.ipynb').stat().st_mtime != t} == {o for o in finished if read(folder/'jobs'/o).trained}
    assert '"Resumed"' in (folder/'jobs'/killed/'events.jsonl').read_text()
    assert same(folder, whole, [(o, o) for o in JOBS])
    assert page(folder, tmp_path/'a') == page(whole, tmp_path/'b')

def test_what_jobs_share_cannot_be_made(home):
    "A file stands where the warm-ups shall go."
    folder = home/'runs'/'lost'
    write_plan(folder, Plan({'job': dict(space='small.json', table='table.sqlite', preset='smoke', epochs=6, warmup=2)}, 'none', '../..'))
    shutil.copy(ROOT/'nbs'/'search.ipynb', folder)
    (folder/'shared').mkdir()
    (folder/'shared'/'warmups').write_text('')
    code,out,err = nwb(home, folder)
    said = 'what the jobs share could not be made: '
    assert code == 1 and err.startswith(said) and f'1 job waits still: `nwb sweep {folder}` goes on' in err, (out, err)
    code,told,_ = nwb(home, 'status', folder)
    assert code == 1 and said in told and said in (folder/'report.html').read_text()
    assert not (folder/'jobs').exists()
    (folder/'shared'/'warmups').unlink()
    code,out,err = nwb(home, folder)
    assert (code, err) == (0, '') and said not in (folder/'report.html').read_text()

def test_a_full_memory_is_told(home):
    "The kernel may have no more than it has and a little; the batch needs far more."
    nb = json.loads((ROOT/'nbs'/'search.ipynb').read_text())
    work = next(o for o in nb['cells'] if 'work' in o['metadata'].get('tags', []))
    less = ['import resource\n', "have = int(open('/proc/self/statm').read().split()[0])*resource.getpagesize()\n", 'resource.setrlimit(resource.RLIMIT_AS, (have + 8*2**20,)*2)\n']
    nb['cells'].insert(nb['cells'].index(work), dict(work, source=less, id='less', metadata={}))
    (home/'less.ipynb').write_text(json.dumps(nb))
    (home/'large.json').write_text('[{"epochs": 3, "warmup": 1, "batch_size": 256}]')
    folder = home/'runs'/'full'
    code,_,err = nwb(home, folder, '--list', home/'large.json', '--notebook', home/'less.ipynb', '--train', 'none', *SMALL[:3])
    assert (code, err) == (1, f'job failed: {NO_ROOM}\n')
    code,told,_ = nwb(home, 'status', folder)
    assert code == 1 and NO_ROOM in told and NO_ROOM in (folder/'report.html').read_text()

def test_what_fails_shows_and_is_tried_again_when_asked(home):
    "A bad parameter, and a kernel that the system kills as it does when the memory is full."
    (home/'two.csv').write_text('alpha, epochs\n-1, 6\n0.4, 60\n')
    folder = home/'runs'/'fails'
    with running(home, folder, '--train', 'none', '--list', home/'two.csv', *(o for o in SMALL if o != 'epochs=6')) as p:
        until(lambda: p.poll() is not None or halfway(folder) or states(folder).get('alpha0.4-epochs60') == 'failed', 'the good job to search')
        kernel = who(folder/'jobs'/'alpha0.4-epochs60').process.pid
        psutil.Process(kernel).kill()
        out,err = p.communicate(timeout=120)
    assert p.returncode == 1
    code,told,_ = nwb(home, 'status', folder)
    assert code == 1
    for said in (err, told):
        assert 'alpha is -1.0: use a number from 0 up' in said or 'alpha is -1: use a number from 0 up' in said
        assert 'the kernel of the notebook was killed, most likely because the memory is full' in said
    assert states(folder) == {'alpha-1-epochs6': 'failed', 'alpha0.4-epochs60': 'failed'}
    plan = json.loads((folder/'sweep.json').read_text())
    plan['jobs']['alpha-1-epochs6']['alpha'] = .6
    (folder/'sweep.json').write_text(json.dumps(plan))
    code,out,_ = nwb(home, folder, '--retry')
    assert code == 0 and states(folder) == {'alpha-1-epochs6': 'done', 'alpha0.4-epochs60': 'done'}, out
    assert '"Resumed"' in (folder/'jobs'/'alpha0.4-epochs60'/'events.jsonl').read_text()

def test_jobs_are_interrupted_and_called_off(home):
    folder = home/'runs'/'long'
    (home/'one.json').write_text('[{"epochs": 9999}]')
    with running(home, folder, '--list', home/'one.json', *(o for o in SMALL if o != 'epochs=6')) as p:
        until(lambda: p.poll() is not None or halfway(folder), 'the job to search')
        os.kill(p.pid, signal.SIGINT)
        _,err = p.communicate(timeout=60)
    assert p.returncode == 130 and 'interrupted: 1 job: 1 ' in err and f'`nwb sweep {folder}` goes on with the rest' in err, err
    until(lambda: not at_it(folder), 'the job to end with its sweep', 30)
    with running(home, folder) as p:
        until(lambda: p.poll() is not None or halfway(folder), 'the job to search on')
        code,_,err = nwb(home, folder)
        assert code == 1 and 'is in use, process' in err
        assert nwb(home, folder, '--cancel', 'nobody')[0] == 2
        assert nwb(home, folder, '--cancel')[1] == 'job: cancelled\n'
        _,err = p.communicate(timeout=60)
    assert p.returncode == 1 and 'cancelled' in err and not at_it(folder)
    assert nwb(home, 'status', folder)[0] == 1

def test_on_ray_a_worker_that_is_killed_is_replaced(home, whole, tmp_path):
    "Two workers, on loopback alone, and nothing of Ray in the home folder."
    pytest.importorskip('ray', reason="this test needs ray: pip install 'nas_workbench[ray]'")
    folder,names = home/'runs'/'ray',('alpha0.2', 'alpha0.8')
    with running(home, folder, 'alpha=0.2,0.8', 'lam=0.4', *SMALL, '--train', 'none', '--engine', 'ray', '--jobs', 2, HOME=str(tmp_path)) as p:
        job = until(lambda: p.poll() is not None or halfway(folder), 'a job to be half-way')
        assert p.poll() is None, p.communicate()
        family = {p.pid, *(o.pid for o in psutil.Process(p.pid).children(recursive=True))}
        doors = {o.laddr.ip for o in psutil.net_connections('tcp') if o.status == 'LISTEN' and o.pid in family}
        nursery = psutil.Process(who(folder/'jobs'/job, AT_WORK).process.pid).parent()
        worker = nursery.parent()
        assert worker.pid != p.pid and worker.pid in family
        worker.kill()
        out,err = p.communicate(timeout=600)
    assert p.returncode == 0, (out, err)
    assert doors and all(o.removeprefix('::ffff:') in ('127.0.0.1', '::1') for o in doors), doors
    assert not [o for o in tmp_path.rglob('*') if 'ray' in o.name.lower().split('.')[-1]]
    assert '"Resumed"' in (folder/'jobs'/job/'events.jsonl').read_text()
    assert same(folder, whole, [(o, f'{o}-lam0.4') for o in names], ['architecture.json'])

def given(folder, step, train, threads):
    "In place of `work`: writes down what Ray gave to a step, and how long it had it."
    import ray
    began = time.time()
    time.sleep(1)
    got = ray.get_runtime_context().get_assigned_resources()
    told = dict(gpus=ray.get_gpu_ids(), env=os.environ.get('CUDA_VISIBLE_DEVICES'), got=got, threads=threads, began=began, ended=time.time())
    Path(folder, f'{step}.given').write_text(json.dumps(told))

@pytest.fixture
def gpu_sweep(tmp_path, monkeypatch):
    "A plan of four jobs that want a GPU each, and a machine that says that it has two."
    pytest.importorskip('ray', reason="this test needs ray: pip install 'nas_workbench[ray]'")
    folder = tmp_path/'sweep'
    write_plan(folder, Plan({f'job{n}': dict(device='cuda', seed=n) for n in range(4)}))
    monkeypatch.setattr('nas_workbench.engines.work', given)
    monkeypatch.setattr('nas_workbench.engines.Room.here', lambda: Room(4, 8000., 2))
    for k,v in QUIET.items(): monkeypatch.setenv(k, v)
    monkeypatch.setenv('PYTHONPATH', os.pathsep.join([str(ROOT), str(ROOT/'tests'), os.environ.get('PYTHONPATH', '')]))  # the workers have to find `given`
    monkeypatch.setenv('HOME', str(tmp_path))
    return folder

def test_ray_counts_gpus_and_gives_one_to_each_job(gpu_sweep):
    "Every job one GPU and its threads; two jobs that ran at the same time another one each."
    with on_ray(str(gpu_sweep)) as place: place([f'job{n}' for n in range(4)], False)
    told = [json.loads((gpu_sweep/f'job{n}.given').read_text()) for n in range(4)]
    for o in told: assert (len(o['gpus']), o['env'], o['got']['GPU'], o['got']['CPU'], o['threads']) == (1, str(o['gpus'][0]), 1, 2, 2), o
    assert {o['env'] for o in told} == {'0', '1'}
    for a,b in itertools.combinations(told, 2): assert a['ended'] <= b['began'] or b['ended'] <= a['began'] or a['env'] != b['env']

SBATCH = """#!/bin/sh
echo "$@" >> calls
while [ $# -gt 1 ]; do case $1 in --array=*) last=${1##*-} last=${last%%%*};; --wrap) command=$2;; esac; shift; done
if [ -n "$last" ]; then for i in $(seq 0 $last); do SLURM_ARRAY_TASK_ID=$i sh -c "$command" >> said 2>&1; done; else sh -c "$command" >> said 2>&1; fi
echo $(wc -l < calls)
"""

def test_the_script_for_slurm_does_the_whole_sweep(home, whole, tmp_path):
    "A stand-in for sbatch runs what it is given, at once and in order; of the six jobs one is missing."
    folder = home/'runs'/'slurm'
    shutil.copytree(whole, folder)
    shutil.rmtree(folder/'jobs'/JOBS[0])
    code,out,_ = nwb(home, folder, '--engine', 'slurm', '--jobs', 2)
    assert code == 0 and out == f'sh {folder/"submit.sh"}\n'
    (tmp_path/'sbatch').write_text(SBATCH)
    (tmp_path/'sbatch').chmod(0o755)
    env = os.environ | {'PYTHONPATH': os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')]), 'PATH': os.pathsep.join([str(tmp_path), os.environ['PATH']])}
    subprocess.run(['sh', folder/'submit.sh'], cwd=tmp_path, env=env, check=True, timeout=300, capture_output=True)
    calls = (home/'calls').read_text().splitlines()
    assert ['--job-name=nwb-shared' in calls[0], '--dependency=afterok:1 --kill-on-invalid-dep=yes --array=0-5%2' in calls[1], '--dependency=afterany:2' in calls[2]] == [True]*3
    said = (home/'said').read_text().splitlines()
    assert said[:7] == ['shared: done', *(f'{o}: done' for o in JOBS)] and said[-1] == '6 jobs: 6 done'
    assert same(folder, whole, [(o, o) for o in JOBS])
