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

def drawn(file):
    "What the cells of a report show when they are run now: each `display`, and each cell's last line."
    nb,shown = json.loads(file.read_text(encoding='utf-8')),[]
    space = {'display': lambda *o: shown.extend(o)}
    for c in nb['cells']:
        if c['cell_type'] != 'code': continue
        tree = ast.parse(text(c['source']))
        last = ast.Expression(tree.body.pop().value) if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, file.name, 'exec'), space)
        if last: shown.append(eval(compile(last, file.name, 'eval'), space))
    return [o for o in shown if o is not None], space

@pytest.mark.parametrize('name', ['search_study', 'layer_skipping', 'pareto'])
def test_it_says_what_its_record_says(name, monkeypatch):
    "These are drawn from a file beside them, in seconds: run now, each shows the text and the figures that it holds."
    for need in ('plotly', 'IPython'): pytest.importorskip(need, reason='reports need the extra lab')
    file = REPORTS[0].parent/f'{name}.ipynb'
    monkeypatch.chdir(file.parent.parent)
    shown,_ = drawn(file)
    kept = [o['data'] for c in json.loads(file.read_text(encoding='utf-8'))['cells'] for o in c.get('outputs', []) if 'data' in o]
    assert [o.data for o in shown if hasattr(o, '_repr_markdown_')] == [text(o['text/markdown']) for o in kept if 'text/markdown' in o]
    figures = [o['application/vnd.plotly.v1+json'] for o in kept if 'application/vnd.plotly.v1+json' in o]
    assert [[(t.get('name'), len(t.get('x', ()))) for t in json.loads(o.to_json())['data']] for o in shown if hasattr(o, 'to_plotly_json')] == [[(t.get('name'), len(t.get('x', ()))) for t in o['data']] for o in figures]

def test_it_stands_on_what_there_is(report):
    "The names that it imports exist; running it takes minutes and is left to its command."
    _,nb = report
    trees = [ast.parse(text(c['source'])) for c in nb['cells'] if c['cell_type'] == 'code']
    found = [o for tree in trees for o in tree.body if isinstance(o, (ast.Import, ast.ImportFrom))]
    for need in ('plotly', 'IPython'): pytest.importorskip(need, reason='reports need the extra lab')
    exec(compile(ast.Module(found, []), 'imports', 'exec'), {})
