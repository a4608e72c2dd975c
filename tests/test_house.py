"The house map, and a check that no exported room imports against it."
import ast
import json
from pathlib import Path

import pytest

LIB = Path(__file__).parent.parent/'nas_workbench'

# tier | room | what it may import of ours; `0` stands for all of tier 0, `a.*` for every room in the package a.
# Everybody may import extras. A room in TORCHLESS works without torch, and so does all that it imports.
MAP = '''
0 | extras           |
0 | files            |
0 | arch             |
0 | space            | arch
0 | events           | arch
0 | masks            |
0 | shapes           |
0 | zoo              | arch
0 | progress         |
0 | recipes          |
0 | front            |
1 | blocks           | 0
1 | network          | 0 blocks
1 | prunode          | 0 blocks
1 | supernet         | 0 blocks prunode network
1 | batches          | shapes
1 | sources          | shapes
1 | data             | shapes batches sources
1 | loop             | 0
1 | machine          |
1 | checkpoint       | files
1 | control          | 0 loop
1 | resumable        | 0 batches data loop machine checkpoint control
2 | runtime.base     | 0
2 | runtime.torch    | 0 runtime.base
2 | runtime.onnx     | 0 runtime.base
2 | runtime.tensorrt | 0 runtime.base runtime.torch runtime.onnx
2 | costs.table      | 0
2 | costs.calibrate  | 0 costs.table
2 | costs.measure    | 0 blocks network runtime.* costs.table costs.calibrate
2 | costs.analytic   | 0 costs.table
3 | search.schedule  | 0
3 | search.prune     | 0 search.schedule
3 | search.loss      | 0
3 | search.config    | 0 search.schedule
3 | search.run       | 0 1 2 search.*
3 | train.config     | 0
3 | train.coco       | 0 1 2
3 | train.fit        | 0 1 2 train.config
3 | train.retrain    | 0 1 2 train.*
3 | train.references | 0 1 2 train.*
3 | train.distill    | 0 1 2 train.*
3 | train.evaluate   | 0 1 2 train.*
3 | train.detect     | 0 1 2 train.*
3 | deploy           | 0 1 2
4 | record           | 0
4 | story            | 0
4 | sheet            | 0 story
4 | views            | 0 sheet story
4 | gallery          | 0 sheet story
4 | scrubber         | 0 files story
4 | runs             | 0 files control record
4 | figure           | 0 files
4 | parameters       | 0 search.config train.config
4 | form             | 0 parameters runs search.config
4 | panes            | 0 files figure record runs sheet story views gallery scrubber run_page
4 | workbench        | 0 figure form panes record runs sheet story search.config control
4 | sweep            | 0 record story views scrubber costs.table search.schedule search.prune search.config control
4 | sweep_view       | 0 figure record sheet story gallery sweep
4 | trackers         | 0
4 | pages            | 0 files sheet
4 | run_page         | 0 control record runs story sweep views gallery scrubber pages zoo search.config
4 | sweep_page       | 0 record story views gallery sweep pages run_page
4 | report           | 0 record views pages run_page sweep_page
5 | docs             | files
5 | screenshots      | 0 record sheet story views scrubber
5 | job              | 0 1 2 3 4
5 | branch           | 0 1 2 3 4
5 | cli_branch       | 0 1 2 3 4 branch
5 | bench            | 0 1 2 3 record runs
5 | nursery          |
5 | engines          | 0 1 2 3 4 job nursery
5 | cli_latency      | 0 1 2 3 4
5 | cli_report       | 0 1 2 3 4
5 | cli_deploy       | 0 1 2 3 4
5 | detected         | 0 1 2 3
5 | cli_detect       | 0 1 2 3 4 detected
5 | cli_train        | 0 1 2 3 4 job
5 | cli_sweep        | 0 1 2 3 4 engines
5 | cli              | 0 1 2 3 4 5
'''
TORCHLESS = '''
recipes front extras files arch space events masks shapes zoo progress search.schedule search.prune search.config train.config control loop record story sheet views gallery scrubber figure parameters runs form panes workbench sweep
sweep_view trackers pages run_page sweep_page report docs
screenshots cli cli_latency cli_report cli_deploy cli_train cli_branch cli_detect nursery engines cli_sweep
runtime.base costs.table costs.calibrate costs.analytic'''.split()

def read_map(text=MAP):
    "{room: its tier} and {room: the rooms it may import}."
    rows = [[c.strip() for c in o.split('|')] for o in text.strip().splitlines()]
    tiers = {room: int(tier) for tier,room,_ in rows}
    def expand(word): return [o for o in tiers if str(tiers[o]) == word or o == word or (word.endswith('.*') and o.startswith(word[:-1]))]
    return tiers, {room: {o for word in may.split() for o in expand(word)} | {'extras'} for _,room,may in rows}

TIERS,MAY = read_map()

def rooms(lib):
    "{room: its source file}; the `__init__` of a package and `_modidx` are nbdev's."
    files = [o for o in lib.rglob('*.py') if o.name not in ('__init__.py', '_modidx.py')]
    return {'.'.join(o.relative_to(lib).with_suffix('').parts): o for o in files}

def imports(source, room):
    "Every dotted name that `source` imports, wherever it does, with relative ones spelled out."
    here = ('nas_workbench.' + room).split('.')[:-1]
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import): yield from (o.name for o in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join([*here[:len(here) - node.level + 1], *filter(None, [node.module])]) if node.level else node.module
            yield from (f'{base}.{o.name}' for o in node.names)
        elif isinstance(node, ast.Call) and getattr(node.func, 'attr', getattr(node.func, 'id', '')) in ('import_module', '__import__') and node.args:
            if isinstance(node.args[0], ast.Constant): yield str(node.args[0].value)

def ours(name):
    "The room that a dotted name lies in, if it is one of ours: the longest match, so that `arch.Block` is `arch`."
    parts = name.split('.')
    if parts[0] != 'nas_workbench': return None
    if len(parts) == 1 or parts[1] == '__version__': return None
    return next((r for n in (3, 2) if (r := '.'.join(parts[1:n])) in TIERS), '.'.join(parts[1:3]))

def wrongs(lib):
    "What stands against the map, a sentence each."
    for room,file in sorted(rooms(lib).items()):
        if room not in TIERS:
            yield f"{room} is not in the map: give it a tier and say what it may import"
            continue
        for name in imports(file.read_text(encoding='utf-8'), room):
            other = ours(name)
            if other and other != room and other not in MAY[room]:
                where = f"tier {TIERS[other]}" if other in TIERS else 'no room'
                yield f"{room} (tier {TIERS[room]}) imports {other} ({where}): it may import {', '.join(sorted(MAY[room]))}"

def test_every_room_keeps_to_the_map(): assert list(wrongs(LIB)) == []

def test_there_is_something_to_check(): assert {'arch', 'extras', 'cli'} <= set(rooms(LIB))

def test_the_map_itself_only_points_down_or_left():
    for room,may in MAY.items():
        for o in may - {'extras'}: assert TIERS[o] <= TIERS[room], (room, o)
    order,seen = [],set()
    while len(order) < len(MAY):  # no circle: someone always has all that they may import behind them
        ready = [o for o,may in MAY.items() if o not in seen and all(p in seen or p == o or (p.partition('.')[0] == o.partition('.')[0] and '.' in p) for p in may)]
        assert ready, set(MAY) - seen
        order += ready
        seen |= {*ready}
    assert not any('cli' in may or 'docs' in may for room,may in MAY.items() if room != 'cli')

def test_the_branches_of_tier_3_do_not_know_each_other():
    for room,may in MAY.items():
        if TIERS[room] == 3: assert {o.partition('.')[0] for o in may if TIERS[o] == 3} <= {room.partition('.')[0]}

@pytest.mark.parametrize('room', [o for o in TORCHLESS if o in rooms(LIB)])
def test_torchless_rooms_do_not_import_torch(room):
    "At the top of the module, that is: cli imports what a command needs inside the command."
    tree = ast.parse(rooms(LIB)[room].read_text(encoding='utf-8'))
    top = ast.Module([o for o in tree.body if isinstance(o, (ast.Import, ast.ImportFrom, ast.With, ast.Try, ast.If))], [])
    names = list(imports(ast.unparse(top), room))
    assert not [o for o in names if o.partition('.')[0] in ('torch', 'torchvision', 'timm')]
    assert {o for o in map(ours, names) if o} <= {*TORCHLESS}

@pytest.mark.parametrize('room, line, complaint', [
    ('arch', 'from nas_workbench.network import build_network', 'arch (tier 0) imports network (tier 1)'),
    ('arch', 'from .space import space', 'arch (tier 0) imports space (tier 0)'),
    ('arch', 'from . import space', 'arch (tier 0) imports space (tier 0)'),
    ('supernet', 'def f():\n    import nas_workbench.search.run', 'supernet (tier 1) imports search.run (tier 3)'),
    ('search.run', 'from ..record import Run', 'search.run (tier 3) imports record (tier 4)'),
    ('search.run', 'from nas_workbench.train.retrain import retrain', 'search.run (tier 3) imports train.retrain (tier 3)'),
    ('search.run', 'from nas_workbench import cli', 'search.run (tier 3) imports cli (tier 5)'),
    ('search.loss', "import importlib\nimportlib.import_module('nas_workbench.views')", 'search.loss (tier 3) imports views (tier 4)'),
    ('views', 'if True:\n    from nas_workbench.supernet import SuperNet', 'views (tier 4) imports supernet (tier 1)'),
    ('data', 'from nas_workbench.attic import trunk', 'data (tier 1) imports attic.trunk (no room)'),
    ('attic', 'import math', 'attic is not in the map'),
])
def test_a_planted_import_is_found(tmp_path, room, line, complaint):
    file = tmp_path.joinpath(*room.split('.')).with_suffix('.py')
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line)
    found = list(wrongs(tmp_path))
    assert len(found) == 1 and found[0].startswith(complaint), found

@pytest.mark.parametrize('room, line', [
    ('space', 'from nas_workbench.arch import Architecture'),
    ('search.run', 'from .schedule import threshold\nfrom ..supernet import SuperNet\nfrom nas_workbench import extras, __version__'),
    ('views', 'import plotly.graph_objects as go\nfrom nas_workbench.events import Cut'),
    ('cli', 'def f(): from nas_workbench.search.run import search'),
])
def test_an_allowed_import_passes(tmp_path, room, line):
    file = tmp_path.joinpath(*room.split('.')).with_suffix('.py')
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(line)
    assert list(wrongs(tmp_path)) == []

@pytest.mark.parametrize('notebook', sorted(o.relative_to(LIB.parent/'nbs').as_posix() for o in (LIB.parent/'nbs').rglob('*.ipynb') if '.ipynb_checkpoints' not in o.parts))
def test_nbdev_can_document_every_notebook(notebook):
    "Without Quarto our own pages work round these; with Quarto nothing does."
    from nas_workbench.docs import stumbles
    assert stumbles(json.loads((LIB.parent/'nbs'/notebook).read_text(encoding='utf-8'))) == []
