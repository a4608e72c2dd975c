"Builds the documentation of this project and opens every page of it in a browser that is offline."
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parent.parent

def notebook(*cells):
    return {'cells': [{'cell_type': k, 'id': f'c{i}', 'metadata': {}, 'source': s} | ({'outputs': o, 'execution_count': None} if k == 'code' else {}) for i,(k,s,*o) in enumerate(cells)],
            'metadata': {'kernelspec': {'display_name': 'python3', 'language': 'python', 'name': 'python3'}}, 'nbformat': 4, 'nbformat_minor': 5}

FIGURE = {'data': [{'type': 'scatter', 'y': [1, 3, 2], 'name': 'falling'}], 'layout': {'height': 320, 'title': {'text': 'Three points'}}}
PLANTED = notebook(  # what a page may hold, whether or not a notebook of ours does at the moment
    ('markdown', '# Planted\n> A page of the test\n\nIntroduction of the quokka.'), ('markdown', '## Equation\n\nOf $\\sqrt{x}$ and `Architecture.diff`:\n\n$$\\sum_l p_l = 1$$'),
    ('code', 'fig', {'output_type': 'display_data', 'metadata': {}, 'data': {'application/vnd.plotly.v1+json': FIGURE, 'text/plain': 'Figure'}}),
    ('markdown', '[back](01_arch.ipynb#a-block), [front](index.ipynb)'))

@pytest.fixture(scope='session')
def site(tmp_path_factory):
    "The pages of a copy of this project with one more notebook, in a folder too, named as Sphinx names its own search page."
    pytest.importorskip('sphinx', reason="sphinx is not installed: pip install 'nas_workbench[docs]'")
    from nas_workbench.docs import build
    root = tmp_path_factory.mktemp('project')
    for o in ('nbs', 'nas_workbench', 'reports'): shutil.copytree(ROOT/o, root/o, ignore=shutil.ignore_patterns('__pycache__', '.ipynb_checkpoints'))
    for o in ('settings.ini', 'CONTRIBUTING.md', 'CHANGELOG.md'): shutil.copy(ROOT/o, root)
    (root/'nbs'/'howto').mkdir(exist_ok=True)
    for name in ('98_planted.ipynb', 'howto/search.ipynb'):
        text = json.dumps(PLANTED)
        (root/'nbs'/name).write_text(text.replace('01_arch', '../01_arch').replace('(index', '(../index') if '/' in name else text)
    ours = lambda: {o for f in ('nbs', 'nas_workbench') for o in (ROOT/f).rglob('*') if '__pycache__' not in o.parts}
    before = ours()
    front = build(root, tmp_path_factory.mktemp('site')/'docs')
    assert ours() == before, 'building left something in the project'
    return front.parent

def test_every_notebook_and_room_has_a_page(site):
    from nas_workbench.docs import page_name
    notebooks = [o.relative_to(ROOT/'nbs').as_posix() for o in (ROOT/'nbs').rglob('*.ipynb') if not any(p[0] in '._' for p in o.relative_to(ROOT/'nbs').parts)]
    assert notebooks
    for o in notebooks:
        assert (site/('index.html' if o == 'index.ipynb' else f'pages/{page_name(o)}.html')).exists(), o
    for o in (ROOT/'nas_workbench').rglob('*.py'):
        if o.name not in ('__init__.py', '_modidx.py'): assert (site/'sources'/o.relative_to(ROOT/'nas_workbench').with_suffix('.html')).exists(), o
    for o in (ROOT/'reports').glob('*.ipynb'): assert (site/'pages'/'reports'/f'{o.stem}.html').exists(), o
    assert (site/'pages'/'howto'/'search.html').exists() and (site/'search.html').read_text() != (site/'pages'/'howto'/'search.html').read_text()

def test_the_api_is_described(site):
    text = (site/'pages'/'arch.html').read_text()
    for o in ('id="architecture"', 'class="source"', 'frozen data', 'Channels inside an irb'): assert o in text, o
    assert '<a id="Architecture.diff">' in (site/'sources'/'arch.html').read_text()
    assert 'Architecture.diff' in (site/'pages'/'names.html').read_text()

def test_there_is_one_plotly(site):
    copies = [o for o in site.rglob('*') if o.is_file() and o.stat().st_size > 1_000_000]
    assert [o.name for o in copies] == ['plotly.min.js']

class Page(HTMLParser):
    "The anchors of a page, the links to follow by a click, and what loads by itself."
    def __init__(self, text):
        super().__init__()
        self.ids,self.links,self.loads = {'', 'top'},[],[]
        self.feed(text)
    def handle_starttag(self, tag, attrs):
        a = dict(attrs)
        self.ids |= {o for o in (a.get('id'), a.get('name') if tag == 'a' else None) if o}
        if tag == 'a' and a.get('href'): self.links.append(a['href'])
        elif tag == 'link' and a.get('rel') not in ('index', 'search', 'next', 'prev', 'genindex'): self.loads.append(a['href'])
        elif a.get('src'): self.loads.append(a['src'])

def test_no_link_leads_nowhere(site):
    pages = {o: Page(o.read_text()) for o in site.rglob('*.html')}
    assert len(pages) > 8
    dead = []
    for file,page in pages.items():
        for link in page.links + page.loads:
            url = urlsplit(link)
            if url.scheme or url.netloc:
                if link in page.loads and url.scheme != 'data': dead.append((file.name, link, 'loads from outside'))
                continue
            to = (file.parent/unquote(url.path)).resolve() if url.path else file
            if not to.is_file(): dead.append((file.name, link, 'no such file'))
            elif to in pages and unquote(url.fragment) not in pages[to].ids: dead.append((file.name, link, 'no such anchor'))
    assert dead == []

@pytest.fixture
def tab(chromium):
    "A page with the lists `asked` (requests for anything but a file) and `errors` (what the console said)."
    page = chromium.new_page(viewport={'width': 1280, 'height': 900})
    page.asked,page.errors = [],[]
    page.on('request', lambda r: page.asked.append(r.url) if not r.url.startswith(('file:', 'data:', 'blob:')) else None)
    page.on('console', lambda m: page.errors.append(m.text) if m.type == 'error' else None)
    page.on('pageerror', lambda e: page.errors.append(str(e)))
    yield page
    page.close()

def test_every_page_opens_without_a_request_or_an_error(site, tab):
    figures = 0
    for file in sorted(site.rglob('*.html')):
        tab.goto(file.as_uri())
        n = tab.locator('.plotly-figure').count()
        if n: tab.wait_for_function('n => document.querySelectorAll(".plotly-figure .main-svg").length >= n', arg=n, timeout=20_000)
        figures += n
        assert (file.name, tab.asked, tab.errors) == (file.name, [], [])
    assert figures >= 2

def test_a_figure_is_alive_and_follows_the_theme(site, tab):
    tab.goto((site/'pages'/'planted.html').as_uri())
    tab.wait_for_selector('.plotly-figure .scatterlayer .point', state='attached')
    assert tab.locator('.plotly-figure .gtitle').text_content() == 'Three points'
    box = tab.locator('.plotly-figure').bounding_box()
    assert box['width'] > 500 and abs(box['height'] - 320) < 40
    ink = '() => document.querySelector(".plotly-figure .gtitle").style.fill'
    colours = {}
    for theme in ('light', 'dark'):
        tab.evaluate('theme => document.body.dataset.theme = theme', theme)
        tab.wait_for_function('() => document.querySelector(".plotly-figure .gtitle").style.fill === getComputedStyle(document.body).color')
        colours[theme] = tab.evaluate(ink)
    assert colours['light'] != colours['dark']
    tab.locator('.plotly-figure .point').nth(1).hover(force=True)
    tab.wait_for_selector('.plotly-figure .hoverlayer .hovertext', state='attached')

def test_equations_are_drawn_by_the_browser(site, tab):
    tab.goto((site/'pages'/'planted.html').as_uri())
    assert tab.locator('math[display="block"] munder, math[display="block"] msub').count() >= 1
    assert tab.locator('math msqrt').count() == 1

def test_the_title_cell_loses_nothing_and_the_front_page_shows_its_pictures(site, tab):
    tab.goto((site/'pages'/'planted.html').as_uri())
    assert tab.get_by_text('Introduction of the quokka.').count() == 1 and tab.locator('h1').first.inner_text().startswith('Planted')
    tab.goto((site/'index.html').as_uri())
    assert tab.evaluate('() => [...document.images].map(o => o.naturalWidth > 100)') == [True, True]
    assert {'The API', 'How to', 'Developing'} <= {*tab.locator('.sidebar-tree .caption').all_text_contents()}

def test_search_finds_a_word(site, tab):
    tab.goto((site/'search.html').as_uri() + '?q=quokka')
    tab.wait_for_selector('#search-results ul.search li a')
    found = tab.locator('#search-results ul.search li a').evaluate_all('o => o.map(a => a.getAttribute("href"))')
    assert {o.partition('?')[0].partition('#')[0] for o in found} == {'pages/planted.html', 'pages/howto/search.html'}
    assert (tab.asked, tab.errors) == ([], [])
