"The installed program `nwb`; nbs/50_cli.ipynb tests its parts in process."
import subprocess
import sys
from pathlib import Path

import pytest

from nas_workbench import __version__

DATA = Path(__file__).parent.parent/'nas_workbench'/'gpunet'
NWB = Path(sys.executable).with_name('nwb')

def nwb(*args, **kw):
    assert NWB.exists(), "nwb is not installed beside this python: pip install -e '.[dev]'"
    return subprocess.run([NWB, *map(str, args)], capture_output=True, text=True, **kw)

def test_help_fits_one_screen():
    out = nwb('--help')
    lines = out.stdout.splitlines()
    assert (out.returncode, out.stderr) == (0, '') and 5 < len(lines) <= 24 and max(map(len, lines)) <= 80

def test_version():
    out = nwb('--version')
    assert (out.returncode, out.stdout) == (0, f'nwb {__version__}\n')

def test_show_and_diff():
    out = nwb('arch', 'show', DATA/'GPUNet-0.json')
    assert out.returncode == 0 and out.stdout.splitlines()[-1].split()[-2:] == ['11,885,432', '3,254,209,280']
    out = nwb('arch', 'diff', DATA/'GPUNet-0.json', DATA/'GPUNet-1.json')
    assert out.returncode == 0 and 'resolution: 320 → 288' in out.stdout

@pytest.mark.parametrize('args, code', [
    (['arch', 'show', DATA/'README'], 2), (['arch', 'show'], 2), (['no-such-command'], 2), (['arch', 'diff', DATA/'GPUNet-0.json'], 2), ([], 2),
    (['arch', 'show', Path(__file__)], 1), (['docs', 'readme'], 1),
])
def test_exit_codes(args, code, tmp_path):
    out = nwb(*args, cwd=tmp_path)
    assert out.returncode == code, out
    assert 'Traceback' not in out.stderr
    if code == 1: assert out.stderr.startswith('nwb: ') and out.stderr.count('\n') == 1 and out.stdout == ''

def test_a_closed_pipe_is_no_failure_of_ours():
    out = subprocess.run(f"'{NWB}' arch show '{DATA/'GPUNet-0.json'}' | head -1", shell=True, capture_output=True, text=True)
    assert out.stdout.startswith('layer') and 'Traceback' not in out.stderr and 'nwb:' not in out.stderr
