"TensorRT where there is none: its calls are checked against what versions 10 and 11 offer, its logs are read, and an engine in another precision than was asked for is refused."
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from nas_workbench.runtime.base import BuildError
from nas_workbench.runtime.tensorrt import Built, TensorRtEngine, gpu_median_us, keeping, parse_log, parse_times

TESTS = Path(__file__).parent
ROOM = TESTS.parent/'nas_workbench'/'runtime'/'tensorrt.py'
LOGS = TESTS/'data'/'trtexec'

# ---- the calls, against the stubs of both versions
STRONGLY = 'trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED'
WRONG = {  # what is done to the room: (a line, what it becomes, what mypy says, for which versions)
    'a flag that 11 removed': ('config.clear_flag(trt.BuilderFlag.TF32)', 'config.set_flag(trt.BuilderFlag.FP16)', '"type[BuilderFlag]" has no attribute "FP16"', {11}),
    'a creation flag that 11 removed': (STRONGLY, 'trt.NetworkDefinitionCreationFlag.EXPLICIT_BATCH', 'has no attribute "EXPLICIT_BATCH"', {11}),
    'a property that 11 removed': ('parser.parse(model)', 'parser.parse(model) and builder.platform_has_fast_fp16', '"Builder" has no attribute "platform_has_fast_fp16"', {11}),
    'a misspelt method': ('builder.build_serialized_network', 'builder.build_serialised_network', '"Builder" has no attribute "build_serialised_network"', {10, 11}),
    'a call of 8': ('execute_async_v3', 'execute_async_v2', '"IExecutionContext" has no attribute "execute_async_v2"', {10, 11}),
    'a wrong argument': ('self.engine.get_tensor_shape(name)', 'self.engine.get_tensor_shape(0)', 'incompatible type "int"; expected "str"', {10, 11}),
    'an argument too few': ('set_tensor_address(name, address)', 'set_tensor_address(name)', 'Missing positional argument "memory"', {10, 11}),
    'a timing cache without its contents': ('config.create_timing_cache(known)', 'config.create_timing_cache()', 'Missing positional argument "serialized_timing_cache"', {10, 11}),
    'a timing cache that is taken unseen': ('config.set_timing_cache(cache, False)', 'config.set_timing_cache(cache)', 'Missing positional argument "ignore_mismatch"', {10, 11}),
    'a timing cache that may be none': ('if cache is not None and config', 'if config', 'incompatible type "ITimingCache | None"', {10, 11}),
    'a failure not looked at': ('if plan is None: raise', 'if False: raise', 'incompatible type "IHostMemory | None"', {10, 11}),
}

@pytest.mark.parametrize('version', [10, 11])
def test_the_calls_are_those_that_tensorrt_offers(version, tmp_path):
    pytest.importorskip('mypy', reason="mypy is not installed: pip install 'nas_workbench[dev]'")
    source = re.sub(r'^from \.(\.?)', lambda m: 'from nas_workbench.' + ('' if m[1] else 'runtime.'), ROOM.read_text(encoding='utf-8'), flags=re.M)
    files = {name: tmp_path/f'wrong_{i}.py' for i,name in enumerate(WRONG)}
    for name,(old,new,_,_) in WRONG.items():
        assert source.count(old) == 1, f"the room no longer says {old!r} once: change {name!r} here too"
        files[name].write_text(source.replace(old, new), encoding='utf-8')
    stubs = TESTS/'stubs'
    done = subprocess.run([sys.executable, '-m', 'mypy', '--config-file=', '--follow-imports=skip', '--ignore-missing-imports', '--check-untyped-defs', f'--cache-dir={tmp_path}/cache', '--no-pretty', ROOM, *files.values()],
                          env=os.environ | {'MYPYPATH': os.pathsep.join(map(str, (stubs/f'tensorrt{version}', stubs)))}, cwd=TESTS.parent, capture_output=True, text=True)
    said = done.stdout + done.stderr
    assert ROOM.name + ':' not in said, said
    for name,(_,_,complaint,versions) in WRONG.items():
        found = [o for o in said.splitlines() if files[name].name in o and ': error:' in o]
        assert len(found) == (version in versions) and all(complaint in o for o in found), (name, said)

# ---- an engine built through a package that behaves as the version does
def pretend(version, layers, *, plan=b'plan', context=True, complaints=()):
    "A package `tensorrt`; what it was asked for is in its `asked`, a timing cache is good when it holds its version."
    asked = []
    def flag(name, i): return type(name, (), {'__int__': lambda self: i})()
    class Logger:
        Severity = SimpleNamespace(INTERNAL_ERROR='F', ERROR='E', WARNING='W')
    def build(network, config):
        asked.append(('verbosity', config.profiling_verbosity))
        asked.extend(('timing cache', o) for o in config.set)
        for severity,msg in complaints: logger[0].log(severity, msg)
        return plan
    def config():
        attached = []
        def attach(cache, ignore_mismatch):
            good = not ignore_mismatch and cache.holds in (b'', version.encode())
            if good: attached.append(cache.holds)
            return good
        def create(known): return None if known == b'damaged' else SimpleNamespace(holds=known, serialize=lambda: bytearray(version.encode()))
        return SimpleNamespace(clear_flag=lambda o: asked.append(('cleared', int(o))), create_timing_cache=create, set_timing_cache=attach, set=attached)
    def engine(plan):
        if plan == b'of another version': return None
        return SimpleNamespace(create_execution_context=lambda: SimpleNamespace(set_tensor_address=lambda name, at: name == 'input', execute_async_v3=lambda stream: stream == 7) if context else None,
                               create_engine_inspector=lambda: SimpleNamespace(get_engine_information=lambda format: json.dumps(layers)), get_tensor_shape=lambda name: [1, 2], serialize=lambda: bytearray(plan))
    logger = []
    def builder(o):
        logger.append(o)
        return SimpleNamespace(create_network=lambda flags=0: asked.append(('flags', flags)), create_builder_config=config, build_serialized_network=build)
    trt = ModuleType('tensorrt')
    trt.__dict__.update(__version__=version, asked=asked, ILogger=Logger, Builder=builder, Runtime=lambda logger: SimpleNamespace(deserialize_cuda_engine=engine),
        OnnxParser=lambda network, logger: SimpleNamespace(parse=lambda model: model != b'Fold', num_errors=1, get_error=lambda i: SimpleNamespace(desc=lambda: 'no importer\nfor Fold')),
        NetworkDefinitionCreationFlag=SimpleNamespace(STRONGLY_TYPED=flag('STRONGLY_TYPED', 0 if version >= '11' else 1)), BuilderFlag=SimpleNamespace(TF32=flag('TF32', 7)),
        ProfilingVerbosity=SimpleNamespace(DETAILED='detailed'), LayerInformationFormat=SimpleNamespace(JSON='json'))
    return trt

def inspected(version, *types):
    "What the engine inspector of a version says of layers that compute in these types."
    field = 'Datatype' if version >= '11' else 'Format/Datatype'
    return {'Layers': [{'Name': f'layer {i}', 'LayerType': 'kgen', 'Inputs': [{'Name': 'x', field: o}], 'Outputs': [{'Name': 'y', field: o}]} for i,o in enumerate(types)]}

VERSIONS = ['10.16.1', '11.4.0']

@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('precision, types', [('fp16', ['Half', 'Half']), ('fp32', ['Float', 'Int64'])])
def test_an_engine_is_strongly_typed_and_looked_at(version, precision, types, monkeypatch):
    trt = pretend(version, inspected(version, *types))
    monkeypatch.setitem(sys.modules, 'tensorrt', trt)
    made = TensorRtEngine(b'model', precision)
    assert (made.built.layers, made.plan(), made.shape('output')) == ({precision: types.count(types[0])}, b'plan', (1, 2))
    assert trt.asked == [('flags', 0 if version >= '11' else 2), *([('cleared', 7)] if precision == 'fp32' else []), ('verbosity', 'detailed')]

@pytest.mark.parametrize('version', VERSIONS)
@pytest.mark.parametrize('asked, types, built', [('fp16', ['Float', 'Float'], 'fp32'), ('fp32', ['Half'], 'fp16'), ('fp32', ['Float', 'Half'], r'fp16\+fp32'), ('fp16', ['BFloat16'], 'bf16')])
def test_an_engine_in_another_precision_is_refused(version, asked, types, built, monkeypatch):
    monkeypatch.setitem(sys.modules, 'tensorrt', pretend(version, inspected(version, *types)))
    with pytest.raises(BuildError, match=f'TensorRT {version} built {built} although {asked} was asked for'): TensorRtEngine(b'model', asked)

@pytest.mark.parametrize('version', VERSIONS)
def test_an_engine_around_fp32_is_none_of_fp16(version, monkeypatch):
    "Its input, its output and what converts them are FP16, and nothing else is."
    layers = inspected(version, 'Half', 'Float', 'Half')
    for i in (0, 2): layers['Layers'][i]['LayerType'] = 'Reformat'
    monkeypatch.setitem(sys.modules, 'tensorrt', pretend(version, layers))
    with pytest.raises(BuildError, match=f'TensorRT {version} built fp32 although fp16 was asked for'): TensorRtEngine(b'model', 'fp16')

@pytest.mark.parametrize('version', VERSIONS)
def test_engines_and_timings_are_kept(version, tmp_path, monkeypatch):
    trt = pretend(version, inspected(version, 'Half'))
    monkeypatch.setitem(sys.modules, 'tensorrt', trt)
    def begun_with(): return [o for name,o in trt.asked if name == 'timing cache']
    rt = SimpleNamespace()
    with keeping(rt, tmp_path/'t.kept') as kept:
        for _ in range(2): assert TensorRtEngine(b'model', 'fp16', kept).built.layers == {'fp16': 1}
        assert begun_with() == [b''] and kept.timing.read_bytes() == version.encode()  # built once
        TensorRtEngine(b'another', 'fp16', kept)
        assert begun_with() == [b'', version.encode()]
        there = kept.engine(b'model', version, 'fp16')
        assert there.read_bytes() == b'plan' and there != kept.engine(b'model', version, 'fp32')
        for bad in (b'damaged', b'of another device'):
            kept.timing.write_bytes(bad)
            there.write_bytes(b'of another version')
            TensorRtEngine(b'model', 'fp16', kept)
            assert begun_with()[-1] == b'' and kept.timing.read_bytes() == version.encode() and there.read_bytes() == b'plan'
    assert [o.name for o in (tmp_path/'t.kept').iterdir()] == ['timing.cache']

@pytest.mark.parametrize('version', VERSIONS)
def test_an_engine_that_says_nothing_of_its_precision_is_refused(version, monkeypatch):
    for layers in ({'Layers': ['layer 0']}, inspected(version, 'Int32'), {'Layers': []}):
        monkeypatch.setitem(sys.modules, 'tensorrt', pretend(version, layers))
        with pytest.raises(ValueError, match='detailed profiling verbosity'): TensorRtEngine(b'model', 'fp16')

@pytest.mark.parametrize('version', VERSIONS)
def test_what_tensorrt_refuses_is_said_in_its_words(version, monkeypatch):
    def use(**how): monkeypatch.setitem(sys.modules, 'tensorrt', pretend(version, inspected(version, 'Half'), **how))
    use()
    with pytest.raises(BuildError, match=f'TensorRT {version} cannot parse the ONNX model: no importer for Fold'): TensorRtEngine(b'Fold', 'fp16')
    use(plan=None, complaints=[('W', 'slow'), ('E', 'no implementation for Conv_3')])
    with pytest.raises(BuildError, match='cannot build an engine: no implementation for Conv_3'): TensorRtEngine(b'model', 'fp16')
    use(context=False)
    with pytest.raises(BuildError, match='cannot make room to run the engine: it gives no reason'): TensorRtEngine(b'model', 'fp16')
    use(complaints=[('E', 'a tactic was skipped')])
    made = TensorRtEngine(b'model', 'fp16')
    made.bind('input', 1)
    made.enqueue(7)
    with pytest.raises(BuildError, match="takes no tensor 'output': it gives no reason"): made.bind('output', 1)
    with pytest.raises(BuildError, match='did not run the engine'): made.enqueue(8)

# ---- logs; those called written_* are ours, see tests/data/README.md
@pytest.mark.parametrize('name, version, precision, median', [
    ('trt8.2.5_passed_ptq', '8.2.5', 'FP32', 5949.46), ('trt8.2.5_passed_qat', '8.2.5', 'FP32+INT8', None), ('written_8.6.1_passed', '8.6.1', 'FP32+FP16', 251), ('written_10.9.0_passed', '10.9.0', 'FP32', 1250)])
def test_a_log_of_a_run_that_passed(name, version, precision, median):
    log = parse_log((LOGS/f'{name}.txt').read_text())
    assert (log.version, log.passed, log.precision, log.reason) == (version, True, precision, None)
    figures = log.summary['GPU Compute Time']
    assert figures['min'] <= figures['median'] <= figures['percentile(99%)'] <= figures['max']
    assert ('percentile(90%)' in figures) == (not version.startswith('8.2'))
    assert gpu_median_us(log) == pytest.approx(median or figures['median']*1e3)

@pytest.mark.parametrize('name, version, reason', [
    ('trt8.2.5_failed_parse', '8.2.5', 'While parsing node number 0 [Identity -> "onnx::QuantizeLinear_491"]: [6] Invalid Node - Identity_0 onnx::QuantizeLinear_429: invalid weights type of Int8'),
    ('written_8.6.1_failed_shape', '8.6.1', 'Static dimension mismatch )'),
    ('written_8.6.1_failed_operator', '8.6.1', 'While parsing node number 7 [Fold -> "folded"]: [8] Assertion failed: creator && "Plugin not found'),
    ('written_10.3.0_failed_parse', '10.3.0', 'While parsing node number 7 [Tile -> "tiled"]: [6] Invalid Node - tile_7 the repeats of a Tile are no constant'),
    ('written_11.1.0_failed_flag', '11.1.0', 'Unknown option: --fp16')])
def test_a_log_of_a_run_that_failed(name, version, reason):
    log = parse_log((LOGS/f'{name}.txt').read_text())
    assert (log.version, log.passed) == (version, False) and reason in log.reason
    with pytest.raises(BuildError, match=re.escape(f'trtexec {version} failed: ')) as e: gpu_median_us(log)
    assert reason in str(e.value)

@pytest.mark.parametrize('name', sorted(o.stem for o in LOGS.glob('*passed*')))
def test_a_log_that_was_cut_off_is_no_figure(name):
    text = (LOGS/f'{name}.txt').read_text()
    with pytest.raises(BuildError, match='did not end'): gpu_median_us(parse_log(text[:text.index('&&&& PASSED')]))

COMMON = ['startEnqMs', 'endEnqMs', 'startH2dMs', 'endH2dMs', 'startComputeMs', 'endComputeMs', 'startD2hMs', 'endD2hMs', 'h2dMs', 'd2hMs', 'latencyMs']

@pytest.mark.parametrize('keys', [[*COMMON, 'endToEndMs'], COMMON], ids=['8.2', '8.6 to 11'])
def test_exported_times(keys):
    "The fields as trtexec's sampleReporting.cpp writes them, releases 8.2, 8.6, 10.0 and 11.1; the figures are ours."
    assert parse_times(json.dumps([dict.fromkeys(keys, 9.) | {'computeMs': o} for o in (.5, .25)])) == [500, 250]

def test_layers_of_every_version():
    old = {'Layers': [{'Outputs': [{'Format/Datatype': o}]} for o in ('Row major linear FP16 format', 'Channel major FP16 format where channel % 8 == 0')], 'Bindings': ['input']}
    new = {'Layers': [{'Outputs': [{'Format': 'Channel major where channel % 8 == 0', 'DataType': 'Half'}]}], 'I/O Tensors': [{'Name': 'input', 'DataType': 'Float'}]}
    assert [Built.read(json.dumps(o)).layers for o in (old, new)] == [{'fp16': 2}, {'fp16': 1}]

def test_a_program_that_does_not_end_is_named(tmp_path):
    from nas_workbench.runtime.tensorrt import TrtexecRuntime
    program = tmp_path/'trtexec'
    program.write_text('#!/bin/sh\necho "[TensorRT v8601]" --exportLayerInfo\n[ "$1" = --help ] || exec sleep 60\n')
    program.chmod(0o755)
    made = TrtexecRuntime(program=str(program), patience=.2)
    with pytest.raises(BuildError, match='did not end within 0.00333333 minutes: look at'): made.call('--onnx=a.onnx')
