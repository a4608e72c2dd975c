"Search spaces: exact sizes, enumeration, membership, and descriptions that somebody got wrong."
import itertools
import json
import random
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from test_arch import mutated

from nas_workbench.arch import Architecture, Block, Key
from nas_workbench.space import PRESETS, Choice, Layer, SearchSpace, Stage, space

GPUNET = Path(__file__).parent.parent/'nas_workbench'/'gpunet'
FORMULA = 3**2*24*65*64*97**2*96*161*160*289**4*288*449**4
SMALL = '''
name = "small"
resolution = 32
classes = 10
granularity = 16
features = 64
stem = {c_out = 16, stride = 2}
stages = [{kind = "fused_irb", channels = 16, layers = 1, expansion = 4},
          {kind = "irb", channels = 24, layers = 2, stride = 2, kernels = [3, 5], se = [false], expansion = 3, act = "swish"}]
'''

def small(**kw): return SearchSpace.from_dict(tomllib.loads(SMALL) | kw)
def every(s): return [s.architecture(o) for o in itertools.product(*(o.blocks for o in s.layers))]


def test_preset_sizes_are_exact():
    assert space('prunet-formula').size() == FORMULA
    assert space('prunet-gpunet1').size() == FORMULA*65
    assert space('prunet').size() == FORMULA*65*449
    assert [f'{float(space(o).size()):.1e}' for o in ('prunet', 'prunet-formula', 'prunet-gpunet1')] == ['5.0e+43', '1.7e+39', '1.1e+41']
    assert [sum(any(c.block.kind.endswith('irb') for c in o.choices) for o in space(n).layers) for n in ('prunet', 'prunet-formula', 'prunet-gpunet1')] == [19, 17, 18]

def test_size_is_what_enumeration_finds():
    "Four choices of four widths or nothing; two of three widths; two of four widths or nothing."
    s = small()
    found = every(s)
    assert s.size() == len(set(found)) == (4*4+1)*(2*3)*(2*4+1)
    assert all(a in s and a.without_skips() in s for a in found)
    assert {s.sample(seed) for seed in range(12000)} == set(found)
    assert set(s.latency_keys()) == {key for a in found for key in a.keys() if key.block.kind != 'skip'}
    by = sorted(a.params() for a in found)
    assert (s.smallest().params(), s.largest().params()) == (by[0], by[-1])

@pytest.mark.parametrize('name', PRESETS)
def test_latency_keys_hold_what_samples_need_each_once(name):
    s = space(name)
    keys = s.latency_keys()
    assert len(keys) == len(set(keys)) and len({str(key) for key in keys}) == len(keys)
    assert all(Key.parse(str(key)) == key for key in keys[::97])
    needed = {key for seed in range(50) for key in s.sample(seed).keys() if key.block.kind != 'skip'}
    assert needed <= set(keys)
    assert len(keys) < sum(o.size() for o in s.layers)  # layers of one shape and resolution share their blocks

def test_every_layer_offers_its_extremes():
    for o in (o for name in PRESETS for o in space(name).layers):
        assert min(b.params() for b in o.blocks) == min(b.params() for b in o.ends)
        assert max(b.params() for b in o.blocks) == max(b.params() for b in o.ends)

def test_samples_are_uniform():
    "Each block of a layer about equally often, the skip among them."
    s,n = small(),3400
    counts = [sum(a.blocks[0] == b for a in map(s.sample, range(n))) for b in s.layers[0].blocks]
    assert len(counts) == 17 and sum(counts) == n
    assert all(abs(o - n/17) < 5*(n/17)**.5 for o in counts)

def test_gpunet1_is_in_the_space_named_after_it():
    a = Architecture.from_gpunet(GPUNET/'GPUNet-1.json')
    assert a.normally_padded() in space('prunet-gpunet1') and a.normally_padded() in space('prunet') and a not in space('prunet-gpunet1')

@pytest.mark.parametrize('name', PRESETS)
def test_a_network_one_step_outside_is_not_a_member(name):
    s,rng = space(name),random.Random(0)
    for seed in range(100):
        a = s.sample(seed)
        l = rng.choice([l for l,b in enumerate(a.blocks) if b.hidden] or [None])
        if l is None: continue
        b = a.blocks[l]
        outside = [replace(b, hidden=b.hidden + 8 if s.granularity > 8 else s.layers[l].choices[0].widths[-1] + 8), replace(b, kernel=7), replace(b, act='gelu')]
        if b.stride == 2: outside.append(replace(b, padded=False))
        for o in outside: assert replace(a, blocks=(*a.blocks[:l], o, *a.blocks[l+1:]), resolution=512) not in replace(s, resolution=512)
        assert replace(a, resolution=512) in replace(s, resolution=512)

@pytest.mark.parametrize('name', PRESETS)
def test_a_space_survives_json(name, tmp_path):
    s = space(name)
    (tmp_path/'s.json').write_text(s.to_json())
    assert SearchSpace.from_dict(json.loads(s.to_json())) == space(tmp_path/'s.json') == s
    assert space(tmp_path/'s.json', classes=7).size() == s.size()


@settings(max_examples=800)
@given(mutated(json.loads(small().to_json())))
def test_any_change_of_a_space_is_read_or_refused(text):
    d = json.loads(text)
    try: s = SearchSpace.from_dict(d)
    except ValueError as e:
        assert type(e) is ValueError and '\n' not in str(e) and '__init__' not in str(e)
        return
    assert SearchSpace.from_dict(json.loads(s.to_json())) == s
    assert s.smallest().params() <= s.largest().params() and s.size() >= 1
    hash(s)

WRONG = [
    ('"irb"', '"mlp"', "stage 2: kind is 'mlp'"),
    ('layers = 2', 'layers = 0', 'stage 2: layers is 0'),
    ('layers = 2', 'layers = 1000000000', 'stage 2: layers is 1000000000: use a whole number from 1 to 1000'),
    ('layers = 2', 'layers = true', 'stage 2: layers is True'),
    ('[3, 5]', '[3, 4]', 'stage 2, layer 1: kernel is 4: use an odd size'),
    ('[3, 5]', '[3, 3]', r'kernels is \[3, 3\]: use a list of different values'),
    ('[3, 5]', '"35"', "kernels is '35'"), ('[3, 5]', '[[3]]', r'kernels is \[\[3\]\]'), ('[false]', '[0]', r'se is \[0\]'), ('expansion = 4', 'expansion = nan', 'stage 1: expansion is nan'),
    ('expansion = 4', 'expansion = inf', 'stage 1: expansion is inf'),
    ('expansion = 4', 'expansion = 0.1', 'layer 0: 0.1 times 16 channels is less than one step of 16'),
    ('expansion = 4', 'expansion = true', 'stage 1: expansion is True'),
    ('expansion = 4', 'expansion = 1e5', 'hidden is 1600000: use a whole number from 1 to 1048576'),
    ('expansion = 4', 'skip = 1', 'stage 1: skip is 1'),
    ('expansion = 4', 'kernel = 3', "stage 1: unknown field 'kernel'"),
    ('channels = 16, ', '', 'stage 1 lacks channels: it needs kind, channels, layers'),
    ('c_out = 16, ', '', 'stem lacks c_out'),
    ('c_out = 16', 'c_out = -16', 'stem: c_out is -16'),
    ('stride = 2}', 'stride = 0}', 'stem: stride is 0'),
    ('"swish"', '"silu"', "stage 2, layer 1: act is 'silu': use one of relu"),
    ('granularity = 16', 'granularity = 12', 'granularity is 12: use a multiple of 8'),
    ('classes = 10', 'classes = 0', 'classes is 0'),
    ('name = "small"', 'name = 3', 'name is 3'),
    ('name = "small"', '', 'the space lacks name'),
    ('resolution = 32', 'resolution = "32"', "resolution is '32'"),
    ('features = 64', 'feature = 64', "the space: unknown field 'feature'"),
]

@pytest.mark.parametrize('old, new, message', WRONG)
def test_wrong_descriptions(old, new, message, tmp_path):
    assert old in SMALL
    (tmp_path/'s.toml').write_text(SMALL.replace(old, new, 1))
    with pytest.raises(ValueError, match=message) as e: space(tmp_path/'s.toml')
    assert 's.toml' in str(e.value)

@pytest.mark.parametrize('value', [3, [3], {'a': 1}, [[]], 'x', None, []])
def test_stages_that_are_none(value):
    with pytest.raises(ValueError): small(stages=value)

@pytest.mark.parametrize('value', [3, [], 'x', None])
def test_a_space_that_is_no_table(value):
    with pytest.raises(ValueError, match=r'the space is .*: use a table'): SearchSpace.from_dict(value)

def test_files_that_are_wrong(tmp_path):
    for name,text,message in [
        ('a.toml', 'name = ', 'a.toml is not valid TOML'), ('a.json', '{"name": ', 'a.json is not valid JSON: line 1, column 10'),
        ('b.json', '{"name": "a", "name": "b"}', "'name' stands twice"), ('c.json', '[]', 'c.json: the space is'), ('d.json', b'\xff\xfe\x00', 'd.json is not valid JSON')]:
        (tmp_path/name).write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(ValueError, match=message): space(tmp_path/name)
    with pytest.raises(ValueError, match="there is no search space 'prunett': use prunet, prunet-formula, prunet-gpunet1, prunet-tiny"): space('prunett')
    with pytest.raises(ValueError, match=r"there is no file 'none.toml'"): space('none.toml')

def test_a_stride_in_a_layer_that_may_be_skipped():
    with pytest.raises(ValueError, match='from 24 to 24 channels with stride 2 and may be skipped: only a layer with stride 1'):
        Layer(1, (Choice(Block('irb', 24, 24, hidden=32, stride=2)),), skippable=True)
    assert not any(o.skippable and o.choices[0].block.stride > 1 for name in PRESETS for o in space(name).layers)
    assert [o.skippable for o in replace(small(), stages=(Stage('irb', 16, 2, stride=2),)).layers] == [False, True]
