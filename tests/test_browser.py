"In a real browser, against a real JupyterLab on loopback."
import pytest
from lab import Browser, Notebook, notebook

from nas_workbench.record import read
from nas_workbench.scrubber import scrubber_html
from nas_workbench.story import boxes

QUIET = ('favicon', 'source map', 'SourceMap')  # what a browser says of files that nobody misses

@pytest.fixture(scope='module')
def lab(jupyter, chromium):
    "A browser that has been told of the server."
    o = Browser(chromium)
    yield o
    o.context.close()

@pytest.fixture(scope='module')
def tour(jupyter, lab):
    address,token,_ = jupyter
    opened = Notebook(lab.page(), address, token, 'nbs/tour.ipynb')
    opened.run_all()
    opened.page.wait_for_selector('.nwb-scrubber:not(.nwb-workbench *) svg rect.box')
    opened.page.wait_for_function("() => document.querySelectorAll('.js-plotly-plot:not(.nwb-workbench *) .gtitle').length >= 8")
    return opened

def test_every_figure_is_drawn(tour):
    plots = tour.page.locator('.js-plotly-plot:not(.nwb-workbench *)')
    wait_for(lambda: plots.count() == 8, tour.page)  # an output that is moved stands twice for a moment
    assert tour.faults() == []
    sizes = [o.bounding_box() for o in plots.all()]
    assert all(o['width'] > 400 and o['height'] > 200 for o in sizes), sizes
    assert tour.page.locator('.js-plotly-plot:not(.nwb-workbench *) .heatmaplayer image').count() == 1 and tour.page.locator('.js-plotly-plot:not(.nwb-workbench *) .scatterlayer .trace').count() > 20
    names = tour.page.locator('.js-plotly-plot:not(.nwb-workbench *) .gtitle').all_text_contents()
    assert 'Layer 2: which block stays' in names and len(set(names)) == 8

def test_scrubbing_shows_the_boxes_of_an_epoch(tour, jupyter):
    page,record = tour.page,read(jupyter[2]/'tests/data/search')
    slider = page.locator('.nwb-scrubber:not(.nwb-workbench *) input[type=range]')
    assert slider.input_value() == '4'
    slider.focus()
    page.keyboard.press('ArrowLeft')
    page.wait_for_selector('.nwb-scrubber:not(.nwb-workbench *) .where:has-text("epoch 3 of 20")')
    here = [o for o in boxes(record, 3) if o.chance is not None]
    found = page.locator('.nwb-scrubber:not(.nwb-workbench *) svg rect.box title').all_text_contents()
    assert len(found) == len(here) and {o.partition(': ')[0] for o in found} == {f'layer {o.layer}, {o.kind}' for o in here}
    assert page.locator('.nwb-scrubber:not(.nwb-workbench *) svg rect.gone').count() == 0
    assert 'After epoch 3: layer 0 holds k3, k5; layer 1 holds k3 with' in page.locator('.nwb-scrubber:not(.nwb-workbench *) svg').get_attribute('aria-label')
    wait_for(lambda: tour.ask('print(scrubber.epoch)').strip() == '3', page)

def test_dragging_comparing_and_choosing(tour):
    page = tour.page
    page.locator('.nwb-scrubber:not(.nwb-workbench *) input[type=range]').fill('20')
    assert page.locator('.nwb-scrubber:not(.nwb-workbench *) svg rect.box').count() == 5 and page.locator('.nwb-scrubber:not(.nwb-workbench *) svg rect.gone').count() > 12
    page.locator('.nwb-scrubber:not(.nwb-workbench *) select').select_option('9')
    assert page.locator('.nwb-scrubber:not(.nwb-workbench *) svg rect.other').count() > 5 and 'differences' in page.locator('.nwb-scrubber:not(.nwb-workbench *) .log').inner_text()
    page.locator('.nwb-scrubber:not(.nwb-workbench *) svg rect.row').nth(3).click(position={'x': 6, 'y': 8})
    wait_for(lambda: tour.ask('print(scrubber.epoch, scrubber.layer)').strip() == '20 3', page)
    page.locator('.nwb-scrubber:not(.nwb-workbench *) select').select_option('')
    assert page.locator('.nwb-scrubber:not(.nwb-workbench *) svg rect.other').count() == 0

def test_playing_reaches_the_end(tour):
    page = tour.page
    page.locator('.nwb-scrubber:not(.nwb-workbench *) input[type=range]').fill('16')
    page.locator('.nwb-scrubber:not(.nwb-workbench *) .play[aria-label="Play the search"]').click()
    page.locator('.nwb-scrubber:not(.nwb-workbench *) .play[aria-label="Pause"]').wait_for()
    page.wait_for_selector('.nwb-scrubber:not(.nwb-workbench *) .where:has-text("epoch 20 of 20")')
    page.locator('.nwb-scrubber:not(.nwb-workbench *) .play[aria-label="Play the search"]').wait_for()

def test_the_tour_ends_in_the_workbench(tour):
    "On the record, and as a form that only needs to be started."
    page = tour.page
    page.wait_for_selector('.nwb-workbench .nwb-state.done')
    assert page.locator('.nwb-workbench').count() == 2 and page.locator('.nwb-workbench .nwb-log li').count() > 20
    assert page.locator('.nwb-workbench button:has-text("Start")').last.is_enabled() and 'nwb search' in page.locator('.nwb-command').last.inner_text()
    page.wait_for_selector('.nwb-workbench .js-plotly-plot .heatmaplayer image')

def test_python_moves_the_slider(tour):
    tour.ask('scrubber.epoch = 7')
    tour.page.wait_for_selector('.nwb-scrubber:not(.nwb-workbench *) .where:has-text("epoch 7 of 20")')

def test_a_page_without_a_kernel(lab, jupyter, tmp_path):
    record = read(jupyter[2]/'tests/data/search')
    (tmp_path/'page.html').write_text(f'<!doctype html><meta charset="utf-8"><h1>Twice</h1>{scrubber_html(record)}{scrubber_html(record, other=record)}', encoding='utf-8')
    page = lab.page()
    page.goto((tmp_path/'page.html').as_uri())
    assert page.locator('.nwb-scrubber').count() == 2 and page.locator('.nwb-scrubber svg').count() == 2
    page.locator('input[type=range]').first.focus()
    page.keyboard.press('Home')
    assert page.locator('.where').all_inner_texts() == ['epoch 0 of 20', 'epoch 20 of 20']
    assert page.locator('svg').first.get_attribute('aria-label').startswith('At the start: layer 0 holds k3, k5;')
    page.close()

LIVE = """from nas_workbench.figure import Figure
from nas_workbench.record import Record, read
from nas_workbench.views import fig_losses, fig_probabilities
r = read('../tests/data/search')
def until(n): return Record(tuple(o for o in r.events if getattr(o, 'epoch', 0) <= n and type(o).__name__ != 'Finished'))
w = Figure(fig_probabilities(until(5), 3))
send,late = w.send,[]
w.send = lambda *o: late.append(o)  # plotly comes when the test lets it
w"""

def test_a_figure_that_is_refreshed_stays_the_same_figure(lab, jupyter):
    "It grows where it stands, keeps what was zoomed into, and may become another view."
    address,token,folder = jupyter
    notebook(folder/'nbs'/'live.ipynb', LIVE)
    live = Notebook(lab.page(), address, token, 'nbs/live.ipynb')
    page = live.page
    live.run_all()
    wait_for(lambda: live.ask('print(len(late))').strip() == '1', page)
    live.ask('w.become(fig_probabilities(until(4), 3)); w.become(fig_probabilities(until(5), 3)); w.become(fig_probabilities(until(6), 3))')
    page.wait_for_timeout(2500)  # longer than anywidget waits for a widget to begin
    assert page.locator('.js-plotly-plot').count() == 0
    live.ask('send(*late[0])')
    page.wait_for_selector('.js-plotly-plot .scatterlayer .trace')
    def told(what): return page.evaluate(f"(() => {{ const o = document.querySelector('.js-plotly-plot'); return {what}; }})()")
    page.evaluate("document.querySelector('.js-plotly-plot').mark = 'the first'")
    assert told('o.data[0].x.length') == 6  # what came while it was not there is not lost
    live.ask('w.become(fig_probabilities(until(9), 3))')
    wait_for(lambda: told('o.data[0].x.length') == 9, page)
    live.ask('w.layout.xaxis.range = [4, 8]; w.become(fig_probabilities(r, 3))')
    wait_for(lambda: max(told('o.data.map(t => t.x.length)')) == 20, page)
    assert told('o.layout.xaxis.range') == [4, 8] and told('o.mark') == 'the first'
    live.ask('w.become(fig_losses(r))')
    page.wait_for_selector('.js-plotly-plot .gtitle:has-text("What it learns")')
    assert told('o.data.length') == 7 and told('o.mark') == 'the first' and page.locator('.js-plotly-plot').count() == 1 and live.faults() == []
    page.close()

def test_nothing_was_complained_of_and_nothing_went_out(tour, lab):
    assert [o for o in lab.errors if not any(q in o for q in QUIET)] == [] and lab.outside == []

def wait_for(what, page, seconds=10):
    for _ in range(seconds*10):
        if what(): return
        page.wait_for_timeout(100)
    assert what()
