"The notebooks in reports/: executed whole, rebuilt by the command that they name, and honest about their scale."
import ast
import json
from pathlib import Path

import pytest

REPORTS = sorted((Path(__file__).parent.parent/'reports').glob('*.ipynb'))

def text(o): return o if isinstance(o, str) else ''.join(o)

@pytest.fixture(params=REPORTS, ids=lambda o: o.stem)
def report(request): return request.param, json.loads(request.param.read_text(encoding='utf-8'))

def test_it_was_executed_whole(report):
    _,nb = report
    code = [c for c in nb['cells'] if c['cell_type'] == 'code' and text(c['source']).strip()]
    assert [c['execution_count'] for c in code] == [*range(1, len(code)+1)], 'a cell was run out of order, or not at all'
    assert not [o for c in code for o in c['outputs'] if o['output_type'] == 'error' or o.get('name') == 'stderr']
    assert any('application/vnd.plotly.v1+json' in o.get('data', {}) for c in code for o in c['outputs']), 'a report shows a figure'

def test_it_names_its_command_and_its_scale(report):
    file,nb = report
    words = '\n'.join(text(c['source']) for c in nb['cells'] if c['cell_type'] == 'markdown')
    assert f'`papermill reports/{file.name} reports/{file.name}`' in words and 'scaled down' in words
    assert sum('parameters' in c['metadata'].get('tags', []) for c in nb['cells']) == 1
    stored = file.read_text(encoding='utf-8')
    assert len(stored) < 400_000 and not [o for o in ('/home/', '/work/', '/tmp/', 'papermill":') if o in stored]

def test_it_stands_on_what_there_is(report):
    "The names that it imports exist; running it takes minutes and is left to its command."
    _,nb = report
    trees = [ast.parse(text(c['source'])) for c in nb['cells'] if c['cell_type'] == 'code']
    found = [o for tree in trees for o in tree.body if isinstance(o, (ast.Import, ast.ImportFrom))]
    for need in ('plotly', 'IPython'): pytest.importorskip(need, reason='reports need the extra lab')
    exec(compile(ast.Module(found, []), 'imports', 'exec'), {})
