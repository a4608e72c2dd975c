"The calls of TensorRT's Python API, held against the signatures of its versions 10 and 11; needs neither the package nor a GPU."
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
WRONG = {
    "config.set_flag(trt.BuilderFlag.FP16)": {11: '"type[BuilderFlag]" has no attribute "FP16"'},  # up to 10 only
    "builder.create_network(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)": dict.fromkeys((10, 11), 'expected "int"'),  # a mask is wanted
    "builder.max_batch_size = 1": dict.fromkeys((10, 11), '"Builder" has no attribute "max_batch_size"'),  # gone since 10
    "context.execute_v2([0])": dict.fromkeys((10, 11), '"IExecutionContext" has no attribute "execute_v2"'),
    "len(builder.build_serialized_network(network, config).nbytes)": dict.fromkeys((10, 11), '"nbytes"'),  # none where the build failed
}

def mypy(major, *files, cache):
    "The complaints about these files by that version."
    done = subprocess.run([sys.executable, '-m', 'mypy', '--config-file=', '--follow-imports=skip', '--no-site-packages', '--ignore-missing-imports', '--check-untyped-defs', '--no-error-summary', f'--cache-dir={cache}',
                           '--always-true' if major == 11 else '--always-false', 'TENSORRT_11', *map(str, files)],
                          cwd=ROOT, env=os.environ | {'MYPYPATH': str(ROOT/'tests/stubs')}, capture_output=True, text=True)
    assert not done.stderr, done.stderr
    return done.stdout.splitlines()

@pytest.mark.parametrize('major', [10, 11])
def test_calls_exist_in_both_versions_and_a_wrong_one_is_caught(major, tmp_path):
    pytest.importorskip('mypy', reason='mypy is not installed')
    wrong = tmp_path/'wrong.py'
    head = ['import tensorrt as trt', 'def calls(builder: trt.Builder, network: trt.INetworkDefinition, config: trt.IBuilderConfig, context: trt.IExecutionContext) -> None:']
    wrong.write_text('\n'.join([*head, *(f'    {o}' for o in WRONG)]))
    said = mypy(major, ROOT/'nas_workbench/runtime/tensorrt.py', wrong, cache=tmp_path/'cache')
    assert not [o for o in said if 'wrong.py' not in o], said
    for n,(call,expected) in enumerate(WRONG.items(), len(head)+1):
        there = [o for o in said if f'wrong.py:{n}: error' in o]
        assert bool(there) == (major in expected), (call, said)
        if there: assert any(expected[major] in o for o in there), there
