"What importing costs, and what the rooms that search, train and measure can do without."
import subprocess
import sys

import pytest
from test_house import LIB, TIERS, TORCHLESS, rooms

NOTEBOOK_STACK = 'jupyter jupyter_core jupyter_client jupyterlab ipykernel IPython ipywidgets anywidget papermill plotly nbdev nbformat nbclient fastcore execnb'.split()
TORCH = 'torch torchvision timm'.split()

BLOCK = '''
import sys
class Block:
    "Stands in front of the finders and says that some packages are not there."
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {names!r}: raise ModuleNotFoundError(f'No module named {{name!r}} (blocked)', name=name)
sys.meta_path.insert(0, Block())
'''

def python(code, check=True):
    "Stdout of `code` in a Python of its own."
    out = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, cwd=LIB.parent)
    if check: assert out.returncode == 0, out.stderr
    return out

def test_the_package_alone_imports_next_to_nothing():
    heavy = [*TORCH, *NOTEBOOK_STACK, 'numpy', 'typer', 'rich']
    assert python(f"import sys, nas_workbench; print([o for o in {heavy} if o in sys.modules])").stdout == '[]\n'

def test_the_zoo_can_be_called_without_an_import_of_its_own():
    code = BLOCK.format(names=[*TORCH, *NOTEBOOK_STACK]) + '''
import nas_workbench
before = 'nas_workbench.zoo' in sys.modules
a = nas_workbench.zoo("gpunet-1")
from nas_workbench.zoo import TABLE2, zoo
print(before, a == zoo("gpunet-1") == nas_workbench.zoo("GPUNet-1"), a.params(), len(TABLE2))
'''
    assert python(code).stdout == 'False True 12704192 36\n'

def test_the_block_blocks():
    out = python(BLOCK.format(names=['json']) + 'import json', check=False)
    assert out.returncode == 1 and 'blocked' in out.stderr

lean = sorted((o for o in rooms(LIB) if TIERS.get(o, 9) <= 3 or o in ('record', 'cli')), key=lambda o: (TIERS[o], o))

@pytest.mark.parametrize('tier', sorted({TIERS[o] for o in lean}))
def test_lean_rooms_import_without_the_notebook_stack(tier):
    "A room may ask for another extra, such as onnx; it may not ask for the notebooks'."
    lines = [f"nas_workbench.{o}" for o in lean if TIERS[o] == tier]
    python(BLOCK.format(names=NOTEBOOK_STACK) + 'import importlib\n' + f'''
for name in {lines}:
    try: importlib.import_module(name)
    except ImportError as e:
        from nas_workbench.extras import MissingExtra
        if not isinstance(e, MissingExtra) or "[lab]" in str(e) or "[docs]" in str(e): raise
''')

@pytest.mark.parametrize('room', [o for o in TORCHLESS if o in rooms(LIB)])
def test_torchless_rooms_import_without_torch(room):
    python(BLOCK.format(names=TORCH) + f'import nas_workbench.{room}')
