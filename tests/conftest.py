"One browser and one JupyterLab for all tests that look at something."
import json
import os
import shutil
import sys

import pytest
from lab import ROOT, server

def missing():
    "Why no browser test can run; empty where one can."
    found = {'chromium': shutil.which('chromium') or shutil.which('chromium-browser'), 'JupyterLab': shutil.which('jupyter-lab', path=os.path.dirname(sys.executable))}
    gaps = [name for name,path in found.items() if not path]
    try: import playwright  # noqa: F401
    except ImportError: gaps.append('playwright')
    return f"a browser test needs {' and '.join(gaps)}: install what is missing" if gaps else ''

@pytest.fixture(scope='session')
def chromium():
    "Playwright's browser: one for all, because two cannot be driven from one thread."
    if why := missing():
        if os.environ.get('CI'): pytest.fail(why)
        pytest.skip(why)
    from playwright.sync_api import sync_playwright
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which('chromium') or shutil.which('chromium-browser'), args=['--no-sandbox', '--disable-dev-shm-usage'])
        try: yield browser
        finally: browser.close()

@pytest.fixture(scope='session')
def jupyter(chromium, tmp_path_factory):
    "(address, token, folder): one server for every browser test, over a copy of what the notebooks need."
    folder,home = tmp_path_factory.mktemp('project'),tmp_path_factory.mktemp('jupyter')
    shutil.copytree(ROOT/'nbs', folder/'nbs', ignore=shutil.ignore_patterns('.*', '_*'))
    for o in folder.rglob('*.ipynb'):  # without outputs: what is seen was drawn here
        nb = json.loads(o.read_text(encoding='utf-8'))
        for cell in nb['cells']: cell |= {'outputs': [], 'execution_count': None} if cell['cell_type'] == 'code' else {}
        o.write_text(json.dumps(nb), encoding='utf-8')
    shutil.copytree(ROOT/'tests'/'data'/'search', folder/'tests'/'data'/'search')
    with server(folder, home) as (address, token): yield address, token, folder
