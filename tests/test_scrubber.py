"The scrubber's JavaScript, by the node that playwright brings along: what it computes is what Python computes."
import json
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

pytest.importorskip('anywidget', reason='the scrubber needs the extra lab')

from test_views import BIG, record

from nas_workbench.files import asset
from nas_workbench.scrubber import film, scrubber_html
from nas_workbench.story import boxes, differences

def node():
    playwright = pytest.importorskip('playwright', reason='there is no node to run JavaScript with: install playwright')
    found = Path(playwright.__file__).parent/'driver'/'node'
    return str(found) if found.exists() else shutil.which('node') or pytest.skip('there is no node to run JavaScript with')

@cache
def javascript(name, code):
    "What `code` prints as JSON, with `film` at hand and the scrubber's functions as `s`."
    out = subprocess.run([node(), '--input-type=module', '-e', f"const s = await import('data:text/javascript;base64,' + Buffer.from({json.dumps(asset('scrubber.js'))}).toString('base64'));"
                          f"const film = JSON.parse((await import('node:fs')).readFileSync(0, 'utf8'));\nconsole.log(JSON.stringify({code}))"], input=json.dumps(film(record(name))), capture_output=True, text=True)
    assert out.returncode == 0, out.stderr
    return json.loads(out.stdout)

@pytest.mark.parametrize('name', (BIG[0], BIG[2], BIG[3]))
def test_every_frame_holds_what_the_record_holds(name):
    r,columns = record(name),film(record(name))['columns']
    reel = javascript(name, 's.frames(film)')
    assert len(reel) == len(r.epochs) + 1
    for e in range(0, len(reel), max(1, len(reel)//9)):
        here = [(o.layer, o.kind, o.small, o.large, None if o.chance is None else round(o.chance, 3)) for o in boxes(r, e)]
        assert [(l, columns[c], small, large, p) for l,row in enumerate(reel[e]) for c,small,large,p in row] == here

@pytest.mark.parametrize('name, a, b', [(BIG[0], 100, 200), (BIG[0], 0, 71), (BIG[3], 20, 9), (BIG[3], 5, 5)])
def test_the_difference_is_the_one_that_the_figure_tells(name, a, b):
    found = javascript(name, f's.differences(s.frames(film)[{a}], s.frames(film)[{b}], film.columns)')
    assert sorted(found.values()) == sorted(differences(boxes(record(name), a), boxes(record(name), b)).values())

def test_boxes_keep_their_scale_and_their_place():
    r,shown = record(BIG[3]),film(record(BIG[3]))
    rects = [o for o in javascript(BIG[3], 's.scene(film, s.frames(film)[9])') if o['role'] in ('box', 'box se')]
    here = {f'{o.layer}|{shown["columns"].index(o.kind)}': o for o in boxes(r, 9) if o.chance is not None and o.kind != 'skip'}
    assert {o['key'] for o in rects} == set(here)
    scale = {round(o['width']/(here[o['key']].large/here[o['key']].c_in), 6) for o in rects}
    assert len(scale) == 1 and all((o['role'] == 'box se') == here[o['key']].se for o in rects)
    middles = {}
    for o in rects: middles.setdefault(o['key'].partition('|')[2], set()).add(round(o['x'] + o['width']/2, 6))
    assert all(len(o) == 1 for o in middles.values())
    assert all(0 <= o['x'] and o['x'] + o['width'] <= 100 for o in rects)

def test_words_tell_every_box():
    r = record(BIG[3])
    text = javascript(BIG[3], 's.described(film, s.frames(film)[20], 20)')
    for l,b in enumerate(r.found.blocks): assert f'layer {l} holds ' + ('skip' if b.kind == 'skip' else f'k{b.kernel}') in text
    told = javascript(BIG[3], 's.frames(film)[9].flatMap((row, l) => row.map(b => s.told(film, l, b)))')
    for a,b in zip(told, [o.text for o in boxes(r, 9)]): assert b.startswith(a.partition(' channels')[0])

@pytest.mark.parametrize('asked, frame', [('-3', 0), ('999', 20), ('"7"', 7), ('NaN', 0), ('3.4', 3), ('undefined', 0)])
def test_an_epoch_that_is_not_there(asked, frame): assert javascript(BIG[3], f's.clamp({asked}, film)') == frame

def test_runs_that_cannot_be_compared():
    assert javascript(BIG[3], '(() => { try { s.differences([[]], [[], []], []) } catch (e) { return e.message } })()') == '1 layers cannot be compared with 2: use runs over spaces of as many layers'

def test_200_epochs_are_small():
    "Of 21 layers with 2 or 4 blocks each."
    assert len(json.dumps(film(record(BIG[0])), separators=(',', ':'))) < 300_000 and len(scrubber_html(record(BIG[0]))) < 320_000

def test_a_page_keeps_what_ends_a_script():
    from nas_workbench.record import Record
    r = Record(record(BIG[3]).events, '</script><b>')
    assert '</script><b>' not in scrubber_html(r)
