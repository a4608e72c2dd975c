"Reports of runs as files, and as a person sees them: in a browser that is offline."
import base64
import html
import json
import re
import shlex
import shutil
from dataclasses import replace
from functools import cache
from itertools import pairwise
from pathlib import Path

import pytest

pytest.importorskip('plotly', reason='reports need the extra lab')
pytest.importorskip('jinja2', reason='reports need the extra lab')

from lab import Browser

from nas_workbench.arch import Architecture
from nas_workbench.control import WORK, present
from nas_workbench.events import Cost, DetectionEpoch, DetectionFinished, Epoch, Failed, Finished, Resumed, Saved, TrainingEpoch, TrainingFinished, TrainingStarted
from nas_workbench.record import Recorder, follow, read
from nas_workbench.report import write_report
from nas_workbench.run_page import describe_run, front_panels, load_run, packed
from nas_workbench.sweep import AT_WORK, SWEEPING, Plan, job_folder, named, read_plan, write_plan
from nas_workbench.sweep_page import alike, load_sweep
from nas_workbench.sheet import describe
from nas_workbench.views import fig_losses, fig_masks, fig_probabilities

DATA = Path(__file__).parent/'data/search'

@cache
def recorded(): return tuple(follow(DATA)[0])

def trained(a, top1, epochs=6):
    "A training as its events tell it."
    yield TrainingStarted(0, {'epochs': epochs, 'lr': .01}, a.to_json(), {'torch': '0'})
    for e in range(1, epochs+1): yield TrainingEpoch(50*e, e, .01/e, 2/e, top1 - 30/e, 99., top1 - 30/e - 1, 3., 12.)
    yield TrainingFinished(50*epochs, epochs, 'done', top1, 99.)

def make_run(folder, events=None, upto=20, lat=43.4, top1=95., device='a machine', job=None, spent=1.):
    "A run folder as the main job leaves it, of the recorded search or of what is handed over."
    events = recorded() if events is None else events
    events = [replace(o, seconds=o.seconds*spent, weights_ms=o.weights_ms*spent) if isinstance(o, Cost) else o for o in events]
    record = read(DATA)
    a = record.architecture(upto)
    with Recorder(folder) as emit:
        for o in events: emit(replace(o, architecture=a.to_json(), lat=lat) if isinstance(o, Finished) else o)
        done = any(isinstance(o, Finished) for o in events)
        if done and top1 is not None:
            for o in trained(a, top1): emit(o)
    asked = dict(alpha=4., space='mini.toml', data='digits', preset='smoke', epochs=20, batch_size=64, table='', out_dir='', resume=False) | (job or {})
    (folder/'config.json').write_text(json.dumps(dict(job=asked, recipe=dict(record.config), space=json.loads(record.space.to_json()), data='digits-16')))
    if done:
        (folder/'architecture.json').write_text(a.to_json())
        result = dict(reason='done', predicted_us=lat, measured_us=lat*1.02*spent, sum_us=lat, params=a.params(), macs=a.macs(), top1_pct=90., trained_top1_pct=top1, trained_top5_pct=99., device=device,
                      runtime='onnxruntime 1', seed=0, versions=dict(nas_workbench='0', torch='0'))
        (folder/'result.json').write_text(json.dumps(result))
        for o in ('network.safetensors', 'network.onnx', 'infer.py', 'out.ipynb'): (folder/o).write_text('')
    return folder

def cut_off(events):
    "The same search killed in an epoch after a checkpoint, and gone on from there."
    at = [n for n,o in enumerate(events) if isinstance(o, Saved)][9]
    undone = events[at+1:next(n for n,o in enumerate(events) if isinstance(o, Epoch) and n > at)+1]
    assert any(isinstance(o, Epoch) for o in undone)
    return (*events[:at+1], *undone, Resumed(events[at].step, events[at].epoch), *events[at+1:])

@pytest.fixture(scope='module')
def run(tmp_path_factory): return make_run(tmp_path_factory.mktemp('runs')/'mini-alpha4-seed0')

def page_of(folder, **kw): return write_report(folder, **kw).read_text(encoding='utf-8')
def words_of(page): return re.sub(r'<script.*?</script>|<style.*?</style>|<[^>]+>', ' ', page, flags=re.DOTALL)

# -- as files -------------------------------------------------------------------------------------------------------

def test_a_run_has_its_page(run):
    page,record = page_of(run),read(run)
    assert len(page) < 3_000_000 and page == page_of(run), 'the second page knows of the first'
    assert not re.search(r'(?:src|href)="(?!#|data:|[\w./-]+")', page) and 'http-equiv="Content-Security-Policy" content="default-src \'none\'' in page
    text = words_of(page)
    for o in ('43.4', '44.27 µs', '95%', 'layer 5', 'alpha was changed', 'onnxruntime 1', 'network.safetensors', 'as a notebook'): assert o.lower() in text.lower(), o
    for f in (fig_probabilities, fig_masks, fig_losses): assert describe(f(record))[:80].replace("'", '&#39;') in page
    assert str(run.parent) not in page
    levels = [int(o) for o in re.findall(r'<h(\d)', page)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a,b in pairwise(levels))

def test_commands_say_what_was_asked(run):
    notebook,command = [shlex.split(re.sub('&#39;', "'", o)) for o in re.findall(r'<pre tabindex="0">(.*?)</pre>', page_of(run))]
    job = {k: v for k,v in json.loads((run/'config.json').read_text())['job'].items() if v not in ('', False)}
    assert notebook[:3] == ['papermill', 'nbs/search.ipynb', 'out.ipynb'] and command[:2] == ['nwb', 'search']
    assert dict(zip(notebook[4::3], notebook[5::3])) == {k: str(v) for k,v in job.items()} and set(notebook[3::3]) == {'-p'}
    assert dict(zip(command[2::2], command[3::2])) == {'--' + k.replace('_', '-'): str(v) for k,v in job.items()}

def test_downloads_are_the_files(run):
    files = {name: base64.b64decode(data).decode() for name,data in re.findall(r'download="([^"]+)" href="data:[\w/]+;base64,([^"]+)"', page_of(run))}
    assert set(files) == {'architecture.json', 'epochs.csv', 'training.csv'}
    assert Architecture.from_json(files['architecture.json']) == read(run).found and len(files['epochs.csv'].splitlines()) == 21
    assert [float(o.split(',')[3]) for o in files['training.csv'].splitlines()[1:]] == [o.top1 for o in read(run).training]

def test_links_lead_to_files(run, tmp_path):
    for dest in (None, tmp_path/'elsewhere.html'):
        at = write_report(run, dest)
        links = re.findall(r'<a href="(?!#|data:)([^"]+)"', at.read_text())
        assert len(links) == 8 and all((at.parent/o).exists() for o in links), links

def test_a_run_that_is_not_done_has_one_too(tmp_path):
    begun = make_run(tmp_path/'begun', recorded()[:1])
    part = make_run(tmp_path/'part', [o for o in recorded() if o.step < 150])
    failed = make_run(tmp_path/'failed', (*[o for o in recorded() if o.step < 150], Failed(150, 'the loss is not a number: lower weight_lr')))
    torn = make_run(tmp_path/'torn')
    (torn/'events.jsonl').write_text('{"event": "Nonsense"}\n' + (torn/'events.jsonl').read_text())
    asked = tmp_path/'asked'
    asked.mkdir()
    shutil.copy(begun/'config.json', asked)
    said = {o: words_of(page_of(o)) for o in (begun, part, failed, torn, asked)}
    assert 'not one epoch is over' in said[begun] and 'not begun' in said[asked] and 'mini' in said[asked]
    assert 'epochs are over' in said[part] and 'unfinished' in said[part] and 'Every block: how likely' in said[part]
    assert 'the loss is not a number: lower weight_lr' in said[failed] and 'Every block: how likely' in said[failed]
    assert 'events.jsonl, line 1' in said[torn] and str(tmp_path) not in said[torn] and '24.8 k' in said[torn]
    with pytest.raises(ValueError, match='is no run and no sweep'): write_report(DATA.parent)

def test_interrupted_or_not_the_page_is_the_same(tmp_path, run):
    again = make_run(tmp_path/run.name, cut_off(recorded()))
    assert (again/'events.jsonl').read_bytes() != (run/'events.jsonl').read_bytes() and page_of(again) == page_of(run)
    slower = make_run(tmp_path/'slow'/run.name, cut_off(recorded()), spent=1.7)
    assert page_of(slower) != page_of(run) and page_of(slower, costs=False) == page_of(run, costs=False)

def test_runs_beside_it_are_compared(tmp_path):
    for n,o in enumerate(('one', 'two', 'elsewhere')): make_run(tmp_path/o, lat=40. + n, top1=95. + n, device='a robot' if o == 'elsewhere' else 'a machine')
    text = words_of(page_of(tmp_path/'one'))
    assert 'two with 41.82 µs and 96%' in text and 'elsewhere' not in text and 'GPUNet-1 with 690 µs' in text

def test_twenty_eight_searches_of_the_paper_fit(tmp_path):
    "One search of the size of the paper's, as it would stand in the page 28 times."
    from test_views import synthetic
    r = synthetic()
    run = replace(load_run(make_run(tmp_path/'any')), record=r, architecture=r.found)
    one = len(packed(describe_run(run), r))
    assert one*28 + 2_100_000 + 28*60_000 < 8_000_000, one

# -- a sweep --------------------------------------------------------------------------------------------------------

WHY = 'lam is -1: use a number from 0 on'

def ended(folder, state, **more): (folder/'outcome.json').write_text(json.dumps(dict(state=state) | more))

def make_sweep(folder, events=None, spent=1., devices=('a machine',), done=4):
    "A sweep as its folder tells it: jobs that ended, one that failed at once, one that waits."
    plan = Plan(named([dict(alpha=a, lam=l, data='digits') for a in (.2, .8, 2.) for l in (.4, .85)]))
    write_plan(folder, plan)
    for n,(name,job) in enumerate([*plan.jobs.items()][:done]):
        home = make_run(job_folder(folder, name), events, upto=20 - 4*n, lat=60. - 5*n, top1=97.5 - .7*n - 3*(n == 2), device=devices[n % len(devices)], job=job, spent=spent)
        ended(home, 'done', trained=True)
    bad = job_folder(folder, [*plan.jobs][4])
    bad.mkdir(parents=True)
    ended(bad, 'failed', reason=WHY)
    return folder

@pytest.fixture(scope='module')
def sweep(tmp_path_factory):
    folder = make_sweep(tmp_path_factory.mktemp('sweeps')/'family')
    write_report(folder)
    return folder

def test_a_sweep_has_its_page(sweep):
    page = (sweep/'report.html').read_text(encoding='utf-8')
    text = words_of(page)
    assert len(page) < 3_200_000 and str(sweep.parent) not in page
    assert page.count('id="pack-plotly"') == 1 and not re.search(r'(?:src|href)="(?!#|data:|[\w./-]+")', page)
    again = 'nwb sweep family alpha=0.2,0.8,2.0 lam=0.4,0.85 data=digits'
    for o in (again, '4 ended with a network', '3 of these are worth having', 'from 45.9 µs with 95.4% to 61.2 µs with 97.5%', '1 of 6 failed', f'failed: {WHY}', 'waiting'): assert o in text, o
    assert page.count('<details class="job"') == 6 and text.count(WHY) >= 3
    a,b = (Architecture.from_json((sweep/'jobs'/o/'architecture.json').read_text()) for o in ('alpha0.8-lam0.85', 'alpha0.2-lam0.85'))
    assert all(o in text for o in a.diff(b)), 'what changes between neighbours of the front'
    levels = [int(o) for o in re.findall(r'<h(\d)', page)]
    assert levels[0] == 1 and levels.count(1) == 1 and all(b - a <= 1 for a,b in pairwise(levels))
    files = {name: base64.b64decode(data).decode() for name,data in re.findall(r'download="([^"]+)" href="data:[\w/]+;base64,([^"]+)"', page.split('<main')[1].split('id="searches"')[0])}
    assert [*files] == ['jobs.csv', 'architectures.json', 'front.json'] and len(files['jobs.csv'].splitlines()) == 7 and WHY in files['jobs.csv']
    assert {k: Architecture.from_json(json.dumps(v)) for k,v in json.loads(files['front.json']).items()}['alpha0.8-lam0.85'] == a and len(json.loads(files['architectures.json'])) == 4

def test_a_sweep_that_was_interrupted_has_the_same_page(tmp_path):
    one,again = (make_sweep(tmp_path/o/'family', *more, done=1) for o,more in (('a/runs', ()), ('b/runs', (cut_off(recorded()), 1.7))))
    assert page_of(again, costs=False) == page_of(one, costs=False) and page_of(again) != page_of(one)

def test_each_device_has_a_front(tmp_path):
    for o in ('here', 'there'): make_sweep(tmp_path/'several'/o, devices=(f'the one {o}',), done=1)
    page = page_of(tmp_path/'several')
    text = words_of(page)
    assert page.count('Along the front') == 2 and 'on 2 devices' in text and 'Latencies of different devices do not compare' in text
    assert all(f'the one {o}, onnxruntime 1 · digits' in text and f'{o}/alpha2-lam0.4' in text and f'nwb sweep {o} alpha' in text for o in ('here', 'there'))

    heads = re.findall(r'<h3 class="above">(.*?)</h3>\s*<div class="box">\s*<div class="scroll"><table class="sort', page)
    assert heads == ['the one here, onnxruntime 1 · digits', 'the one there, onnxruntime 1 · digits', 'Without a network'] and page.count('<table class="sort') == 3
    assert 'Fastest' not in text and text.count('61.2 µs – 61.2 µs') == 2, 'no card compares devices'
    csv = base64.b64decode(re.search(r'download="jobs.csv" href="data:text/csv;base64,([^"]+)"', page)[1]).decode().splitlines()
    at = csv[0].split(',').index('device')
    assert csv[1].split(',')[at:at+2] == ['"the one here', ' onnxruntime 1"']

def go_on(folder):
    "The commands that the page of a folder offers to go on with it."
    return [html.unescape(o) for o in re.findall(r'To go on with [^<]*</h2>\s*<div class="command"><pre tabindex="0">(.*?)</pre>', page_of(folder))]

def test_what_goes_on_is_named_from_where_it_was_begun(tmp_path):
    "A sweep, a folder of two of which one is done, and a job by itself; nothing where somebody is at it."
    runs = tmp_path/'runs'
    a,b = (make_sweep(runs/o, recorded()[:150], done=2) for o in 'ab')
    for o in (a, b): write_plan(o, replace(read_plan(o), home='../..'))
    for o in read_plan(b).jobs: ended(job_folder(b, o), 'done') if job_folder(b, o).exists() else make_run(job_folder(b, o)) and ended(job_folder(b, o), 'done')
    job = job_folder(a, 'alpha0.2-lam0.4')
    (job/'outcome.json').unlink()
    assert go_on(runs) == go_on(a) == go_on(job) == ['nwb sweep runs/a --retry'] and go_on(b) == []
    (a/'jobs'/'alpha2-lam0.4'/'outcome.json').unlink()
    assert go_on(a) == go_on(job) == ['nwb sweep runs/a']
    with present(job, AT_WORK): assert go_on(a) == go_on(job) == []
    with present(a, SWEEPING): assert go_on(runs) == go_on(job) == []
    alone = make_run(runs/'alone', recorded()[:150])
    assert '--out-dir runs/alone --resume' in go_on(alone)[0]
    with present(alone, WORK): assert go_on(alone) == []

def test_a_plan_that_cannot_be_read_leaves_the_other_sweeps(tmp_path):
    make_sweep(tmp_path/'several'/'good', done=1)
    (tmp_path/'several'/'odd').mkdir()
    (tmp_path/'several'/'odd'/'sweep.json').write_text('{')
    text = words_of(page_of(tmp_path/'several'))
    assert 'odd/sweep.json cannot be read' in text and '1 ended with a network' in text and str(tmp_path) not in text
    with pytest.raises(ValueError, match='cannot be read'): write_report(tmp_path/'several'/'odd')

def test_a_job_of_ones_own_notebook_names_it(tmp_path):
    folder = make_sweep(tmp_path/'family', done=1)
    write_plan(folder, replace(read_plan(folder), notebook='my own.ipynb'))
    for o in (folder, folder/'jobs'/'alpha0.2-lam0.4'):
        page = html.unescape(page_of(o))
        assert "papermill 'my own.ipynb' out.ipynb" in page and 'papermill nbs/search.ipynb' not in page and 'nwb search' not in page

def test_what_differs_is_not_told_as_what_all_share(tmp_path):
    "Of six jobs one has begun; and a sentence that several failed with is there once, with all their names."
    folder = make_sweep(tmp_path/'family', done=1)
    bad = job_folder(folder, 'alpha2-lam0.85')
    bad.mkdir(parents=True)
    ended(bad, 'failed', reason=WHY)
    found = load_sweep(folder)
    told = {k for _,rows in alike(found) for k,_ in rows}
    assert 'data' in told and told.isdisjoint(found.differ) and found.differ == ['alpha', 'lam']
    text = ' '.join(words_of(page_of(folder)).split())
    assert f'alpha2-lam0.4 , alpha2-lam0.85 failed: {WHY}' in text and text.count(f'failed: {WHY}') == 1

def test_references_are_told_of_in_words(tmp_path):
    "They beat what was found, and the first sentence says so; beside networks that are not trained they are left out."
    folder,known = make_sweep(tmp_path/'family'),[dict(name='thin', predicted_us=1., top1_pct=99.), dict(name='wide', predicted_us=900., top1_pct=50.)]
    for o in folder.glob('jobs/*/result.json'): o.write_text(json.dumps(json.loads(o.read_text()) | dict(references=known)))
    assert '1 of 2 references is faster than one of them and at least as accurate; all of these 3 networks are beaten so.' in words_of(page_of(folder))
    o = load_run(make_run(tmp_path/'untrained', top1=None))
    o = replace(o, result=o.result | dict(references=known))
    panel, = front_panels([o], 'front', 'Here', costs=False)
    assert 'thin' not in panel.alt and 'References, which are trained, are left out' in panel.note

GRID = [dict(alpha=a, lam=l, data='digits') for a in (.2, .8) for l in (.4, .85)]

@pytest.mark.parametrize(('jobs', 'train', 'mine'), [(GRID, 'chosen', False), (GRID[:1], 'all', False), (GRID[:3], 'none', True), ([dict(alpha=a, data='folder:a, b', epochs=None) for a in (.2, .4)], 'chosen', True)])
def test_the_command_of_a_sweep_begins_the_same_sweep(tmp_path, monkeypatch, jobs, train, mine):
    "As a person does: the files are saved beside each other, and the command is typed as it stands in the page."
    from typer.testing import CliRunner

    from nas_workbench.cli import app
    from nas_workbench.sweep import NOTEBOOK, begin, find_notebook, read_plan
    (tmp_path/'there').mkdir()
    monkeypatch.chdir(tmp_path/'there')
    shutil.copy(find_notebook(), 'my own.ipynb')
    plan = begin(tmp_path/'family', jobs, train, 'my own.ipynb' if mine else None)
    page = page_of(tmp_path/'family')
    files = [(name, base64.b64decode(data)) for name,data in re.findall(r'download="([^"]+)" href="data:[\w/]+;base64,([^"]+)"', page)]
    assert len({name for name,_ in files}) == len(files), 'a browser would rename the second'
    for name,data in files: Path(name).write_bytes(data)
    command = shlex.split(html.unescape(re.search(r'The whole sweep</h3>\s*<div class="command"><pre tabindex="0">(.*?)</pre>', page)[1]))
    assert command[:3] == ['nwb', 'sweep', 'family'] and not Path('family').exists()
    monkeypatch.setattr('nas_workbench.engines.run_sweep', lambda folder, place: [])
    told = CliRunner().invoke(app, command[1:], prog_name='nwb')
    assert told.exit_code == 0, told.output
    again = read_plan('family')
    assert (dict(again.jobs), again.train, again.notebook) == (dict(plan.jobs), train, 'my own.ipynb' if mine else '')
    assert (Path('family')/NOTEBOOK).read_bytes() == (tmp_path/'family'/NOTEBOOK).read_bytes()

def test_nothing_that_fails_is_hidden(tmp_path):
    broken = make_sweep(tmp_path/'broken', done=3)
    (broken/'jobs'/'alpha0.2-lam0.4'/'events.jsonl').write_text('{"event": "Nonsense"}\n')
    (broken/'shared').mkdir()
    ended(broken/'shared', 'failed', reason='the disk is full')
    ended(broken/'jobs'/'alpha0.8-lam0.4', 'failed', reason='')
    text = words_of(page_of(broken))
    for o in ('3 of 6 failed', 'what the jobs share could not be made: the disk is full', 'events.jsonl, line 1', 'ended without a word'): assert o in text, o
    empty = tmp_path/'empty'
    write_plan(empty, Plan(named([dict(alpha=.2), dict(alpha=.8)])))
    text = words_of(page_of(empty))
    assert 'none has ended with a network yet' in text and text.count('waiting') >= 4 and 'unfinished' in text

# -- as a person sees it --------------------------------------------------------------------------------------------

@pytest.fixture
def tab(chromium):
    context,asked,said = Browser(chromium, offline=True).context,[],[]
    context.set_default_timeout(60_000)
    page = context.new_page()
    page.on('request', lambda o: asked.append(o.url) if not o.url.startswith(('file:', 'data:', 'blob:')) else None)
    page.on('console', lambda o: said.append(o.text) if o.type in ('error', 'warning') else None)
    page.on('pageerror', lambda o: said.append(str(o)))
    yield page
    context.close()
    assert (asked, said) == ([], [])

def show(tab, file):
    tab.goto(file.as_uri())
    tab.wait_for_selector('html[data-ready]', state='attached')
    return tab

def test_every_figure_is_drawn(run, tab):
    show(tab, write_report(run))
    figures = tab.locator('.plotly-figure')
    assert figures.count() == tab.locator('.js-plotly-plot').count() == 9 and tab.locator('.plotly-figure > p').count() == 0
    for o in figures.all():
        box = o.bounding_box()
        assert box['width'] > 300 and box['height'] > 150 and len(o.get_attribute('aria-label')) > 60 and o.get_attribute('role') == 'img'
    assert tab.locator('.nwb-scrubber svg rect.box').count() == 5
    step = tab.locator('.step input')
    step.focus()
    tab.keyboard.press('ArrowRight')
    tab.wait_for_selector('h3:has-text("Layer 1: which block stays")')
    assert tab.locator('.step output').inner_text() == 'layer 1'
    point = tab.locator('#run-losses .point').nth(4)
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    for n in range(4): tab.mouse.move(box['x'] + n, box['y'] + 2)
    tab.wait_for_selector('#run-losses .hoverlayer .hovertext')
    assert 'epoch' in tab.locator('#run-losses .hoverlayer').text_content()

def test_a_detector_and_a_training_by_itself(tmp_path, tab):
    from PIL import Image
    a = read(DATA).found
    for name,events,job in (('detector', [DetectionEpoch(9*e, e, .1, 2/e, 20.*e, 40.*e, None, 3., 12.) for e in (1, 2)] + [DetectionFinished(18, 2, 'done', 40., 80., 35.)], dict(network='runs/one', data='boxes')),
                            ('training', [*trained(a, 95.)][1:], dict(source='runs/one', data='digits'))):
        folder = tmp_path/name
        with Recorder(folder) as emit:
            for o in (TrainingStarted(0, {'epochs': 2}, a.to_json(), {'torch': '0'}), *events): emit(o)
        (folder/'config.json').write_text(json.dumps(dict(job=job)))
        if name == 'detector': Image.new('RGB', (64, 32)).save(folder/'found.jpg')
        (folder/'architecture.json').write_text(a.to_json())
        show(tab, write_report(folder))
        assert tab.locator('.kind').inner_text().lower() == f'a {name}' and tab.locator('#run-training .js-plotly-plot, #run-training.js-plotly-plot').count() == 1
        assert f"nwb {'detect' if name == 'detector' else 'train'} runs/one" in tab.locator('.command pre').inner_text()
        assert name == 'training' or tab.locator('#pictures img').evaluate('o => o.naturalWidth') == 64

def test_a_sweep_is_alive(sweep, tab):
    show(tab, sweep/'report.html')
    assert tab.locator('.plotly-figure[data-drawn]').count() == 7 == tab.locator('.js-plotly-plot').count(), 'searches draw themselves when they are opened'
    point = tab.locator('#sweep-front0 .scatterlayer .trace').nth(1).locator('.point').first
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    for n in range(4): tab.mouse.move(box['x'] + n, box['y'] + 2)
    tab.wait_for_selector('#sweep-front0 .hoverlayer .hovertext')
    assert 'alpha0.' in tab.locator('#sweep-front0 .hoverlayer').text_content()
    names = tab.locator('table.sort tbody th')
    heads = [o.split('\n')[0] for o in tab.locator('table.sort thead th').all_inner_texts()]
    assert names.all_inner_texts()[0] == 'alpha0.2-lam0.4' and 'note' in heads[2]
    measured = tab.locator('table.sort thead button', has_text='measured')
    measured.click()
    assert names.all_inner_texts()[:4] == ['alpha0.8-lam0.85', 'alpha0.8-lam0.4', 'alpha0.2-lam0.85', 'alpha0.2-lam0.4']
    measured.click()
    assert names.all_inner_texts()[0] == 'alpha0.2-lam0.4' and names.all_inner_texts()[4:] == ['alpha2-lam0.4', 'alpha2-lam0.85'], 'what has no value stands last either way'
    tab.locator('table.sort tbody a', has_text='alpha0.8-lam0.4').click()
    tab.wait_for_selector('#job-2[open] .js-plotly-plot .point, #job-2[open] .js-plotly-plot .heatmaplayer')
    tab.wait_for_function("() => document.querySelectorAll('#job-2 .plotly-figure').length === document.querySelectorAll('#job-2 .js-plotly-plot').length")
    assert tab.locator('#job-2 .nwb-scrubber').count() == 1

LIE_OVER = """() => {
  const at = (o, q) => [...o.querySelectorAll(q)].map(o => [o.textContent, o.getBoundingClientRect()]);
  const svg = document.querySelector('.nwb-scrubber svg'), boxes = at(svg, '.box, .gone');
  return at(svg, '.chance').filter(([, a]) => boxes.some(([, b]) => a.left < b.right && b.left < a.right && a.top < b.bottom && b.top < a.bottom)).map(([text]) => text);
}"""

@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_narrow_dark_and_on_paper(run, sweep, tab, scheme):
    tab.emulate_media(color_scheme=scheme)
    for folder in (run, sweep):
        tab.set_viewport_size({'width': 390, 'height': 800})
        show(tab, folder/'report.html' if (folder/'report.html').exists() else write_report(folder))
        assert tab.evaluate('document.documentElement.scrollWidth') == 390
        tables = tab.locator('.scroll').evaluate_all("o => o.filter(o => o.offsetParent).map(o => o.scrollWidth - o.clientWidth)")
        assert len(tables) > 2 and max(tables) <= 1, 'no table is cut'
        if folder is run:
            for epoch in (7, 12):
                tab.locator('.nwb-scrubber input[type=range]').evaluate(f"o => {{ o.value = {epoch}; o.dispatchEvent(new Event('input')) }}")
                tab.wait_for_timeout(250)  # boxes glide to their places
                assert tab.evaluate(LIE_OVER) == [], 'no probability lies over a box'
        ink,ground = tab.evaluate("[getComputedStyle(document.body).color, getComputedStyle(document.body).backgroundColor].map(o => +/\\d+/.exec(o)[0])")
        assert (ink > 180 > 60 > ground) if scheme == 'dark' else (ink < 60 < 180 < ground)
        label = tab.locator('.plotly-figure .xtitle').first.evaluate("o => getComputedStyle(o).fill")
        assert abs(int(re.search(r'\d+', label)[0]) - ink) < 10
    tab.set_viewport_size({'width': 1280, 'height': 900})
    assert max(tab.locator('.scroll').evaluate_all("o => o.filter(o => o.offsetParent).map(o => o.scrollWidth - o.clientWidth)")) <= 1, 'no table is cut'
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.wait_for_function("() => [...document.querySelectorAll('.plotly-figure[data-drawn] .main-svg')].every(o => o.getBoundingClientRect().width <= 700)")
    inks = tab.locator('.plotly-figure[data-drawn] .xtitle').evaluate_all("o => o.map(o => +/\\d+/.exec(getComputedStyle(o).fill)[0])")
    assert len(inks) > 1 and max(inks) < 60, 'light ink on paper'
    tab.emulate_media(media='print')
    cut = tab.locator('.plotly-figure[data-drawn]').evaluate_all("o => o.filter(o => o.querySelector('.main-svg').getBoundingClientRect().width > o.getBoundingClientRect().width + 1).map(o => o.id)")
    assert cut == [] and tab.evaluate('document.documentElement.scrollWidth') <= 1280
    over = tab.locator('.scroll > table').evaluate_all("o => o.filter(o => o.offsetParent).map(o => o.getBoundingClientRect().right - o.parentElement.getBoundingClientRect().right)")
    assert over and max(over) <= 1, 'no table reaches beyond its sheet'
    tab.evaluate("dispatchEvent(new Event('afterprint'))")
    assert tab.pdf(prefer_css_page_size=True)[:5] == b'%PDF-' and tab.locator('html[data-print]').count() == 0

def test_without_a_script_and_in_an_old_browser_it_is_told_in_words(run, chromium, tab):
    file = write_report(run)
    tab.add_init_script('delete window.DecompressionStream')
    tab.goto(file.as_uri())
    tab.wait_for_selector('html[data-words]', state='attached')
    assert tab.locator('.plotly-figure > p').first.is_visible() and tab.locator('.step').first.is_hidden()
    plain = chromium.new_context(java_script_enabled=False, offline=True)
    page = plain.new_page()
    page.goto(file.as_uri())
    assert page.locator('.plotly-figure > p').count() == 9 and page.locator('.plotly-figure > p').first.is_visible()
    plain.close()

def test_nothing_that_is_written_into_a_run_runs(tmp_path, tab):
    evil = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>'
    name = "a<img src=x onerror='window.hacked=1'>"
    folder = make_run(tmp_path/name, [replace(o, name=evil) if hasattr(o, 'probability') else o for o in recorded()], job={'data': evil, 'space': '"><svg onload=window.hacked=1>'}, device=evil)
    make_run(tmp_path/(name + '2'), job={'data': evil}, device=evil)
    failed = make_run(tmp_path/'failed', (*recorded()[:300], Failed(300, evil)))
    for o in (folder, failed):
        page = show(tab, write_report(o, tmp_path/'page.html'))
        for d in page.locator('details').all(): d.evaluate('o => o.open = true')
        if o is folder: page.locator('#run-front .nsewdrag').first.hover(position={'x': 40, 'y': 40})
        page.wait_for_timeout(200)
        assert page.evaluate('window.hacked') is None and page.locator('img, body script:not([type]) img').count() == 0
        assert page.locator('.note.bad').count() == (o is failed) and (evil in page.inner_text('body'))
