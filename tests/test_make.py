"What the Makefile does, with a python that only writes down what it is asked to do."
import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.skipif(not shutil.which('make'), reason='there is no make')

STUB = '''#!/bin/sh
echo "$(basename "$0") $*" >> "{log}"
case "$1 $2" in
  "-c import"*) exit {old} ;;
  "--version "*) echo Python 3.8.1 ;;
  "-m venv") mkdir -p "$3/bin"; for o in python nbdev_test pytest papermill jupyter nwb; do cp "$0" "$3/bin/$o"; done ;;
esac
'''

@pytest.fixture
def project(tmp_path):
    for o in ('Makefile', 'settings.ini', 'setup.py'): shutil.copy(ROOT/o, tmp_path)
    for o in ('nbs', 'tests', 'nas_workbench'): (tmp_path/o).mkdir()
    return tmp_path

def make(project, *args, old=0):
    "Exit code, stderr and the commands that ran."
    log,stub = project/'log.txt',project/'stub'
    log.write_text('')
    stub.write_text(STUB.format(log=log, old=old))
    stub.chmod(0o755)
    env = {'PATH': os.environ['PATH']}  # and nothing else: a VENV from a make around these tests would be the real one
    out = subprocess.run(['make', f'PYTHON={stub}', 'VENV=.venv', *args], cwd=project, capture_output=True, text=True, env=env)
    return out.returncode, out.stderr, [o for o in log.read_text().splitlines() if ' -c import' not in o and ' --version' not in o]

TESTS = ['nbdev_test ', 'pytest -n auto --dist loadfile']
INSTALL = "python -m pip install -q -e .[dev]"
VENV = 'stub -m venv .venv'

def test_a_second_run_installs_nothing(project):
    assert make(project, 'test') == (0, '', [VENV, INSTALL, *TESTS])
    assert make(project, 'test') == (0, '', TESTS)

def test_development_holds_what_the_others_need(project):
    make(project, 'test')
    assert make(project, 'search')[2] == ['papermill nbs/search.ipynb out.ipynb -p alpha 0.8']
    assert make(project, 'docs')[2] == ['nwb docs build']
    assert make(project, 'lab')[2] == ['jupyter lab']

def test_a_search_installs_what_it_needs(project):
    assert make(project, 'search', 'ALPHA=0.2')[2] == [VENV, 'python -m pip install -q -e .[lab,onnx]', 'papermill nbs/search.ipynb out.ipynb -p alpha 0.2']
    assert make(project, 'lab')[2] == ['jupyter lab']
    assert make(project, 'test')[2] == [INSTALL, *TESTS]

@pytest.mark.parametrize('part', ['settings.ini', 'setup.py'])
def test_new_requirements_are_installed(project, part):
    make(project, 'test')
    later = (project/'.venv'/'nas_workbench'/'dev').stat().st_mtime + 5
    os.utime(project/part, (later, later))
    assert make(project, 'test')[2] == [INSTALL, *TESTS]

def test_a_failed_notebook_does_not_hide_the_other_tests(project):
    make(project, 'test')
    for fails in ('nbdev_test', 'pytest'):
        tool = project/'.venv'/'bin'/fails
        tool.write_text(f'#!/bin/sh\necho "{fails} $*" >> "{project}/log.txt"\nexit 1\n')
        code,_,ran = make(project, 'test')
        assert code == 2 and ran == TESTS
        shutil.copy(project/'stub', tool)
    assert make(project, 'test')[0] == 0

def test_an_old_python_is_named(project):
    code,err,ran = make(project, 'test', old=1)
    assert code == 2 and ran == [] and 'Python 3.8.1: nas_workbench needs Python 3.11 or newer' in err and not (project/'.venv').exists()

def test_clean_removes_what_make_made_and_nothing_else(project):
    make(project, 'test')
    kept = {o.relative_to(project) for o in project.rglob('*') if '.venv' not in o.parts} | {Path('runs'), Path('mine'), Path('mine/bin')}
    (project/'out.ipynb').touch()
    for o in ('_docs', '_proc', 'runs', 'mine/bin', 'nbs/.ipynb_checkpoints', 'nas_workbench/__pycache__', '.pytest_cache', 'nas_workbench.egg-info'): (project/o).mkdir(parents=True)
    make(project, 'clean')
    assert {o.relative_to(project) for o in project.rglob('*')} == kept
    make(project, 'clean', 'VENV=mine')
    assert (project/'mine'/'bin').exists()
