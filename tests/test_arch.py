"Architectures: published counts, exact round trips, and files that somebody edited by hand."
import json
from dataclasses import fields, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nas_workbench.arch import ACTS, Architecture, Block, Key
from nas_workbench.space import PRESETS, space

GPUNET = Path(__file__).parent.parent/'nas_workbench'/'gpunet'
PUBLISHED = {'GPUNet-0': (11_885_432, 3_254_209_280), 'GPUNet-1': (12_704_192, 3_308_369_280), 'GPUNet-P0': (22_815_080, 1_870_345_792)}
settings.register_profile('short', deadline=None, derandomize=True, max_examples=300)
settings.load_profile('short')


def tiny(seed=1): return space('prunet-tiny').sample(seed)
def gpunet(name='GPUNet-1'): return Architecture.from_gpunet(GPUNET/f'{name}.json')


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_counts(name):
    a = gpunet(name)
    assert (a.params(), a.macs()) == PUBLISHED[name]
    assert a.to_gpunet() == json.loads((GPUNET/f'{name}.json').read_text())
    assert Architecture.from_gpunet(str(GPUNET/f'{name}.json')) == Architecture.from_gpunet(a.to_gpunet()) == Architecture.from_json(a.to_json()) == a
    assert all(b.padded != (b.kind == 'fused_irb' and b.stride == 2) for b in a.blocks)


# ---- round trips over random values

@st.composite
def blocks(draw, c_in=None):
    "A valid block, skip included; without `c_in`, tails too."
    width,channels = st.integers(1, 200).map(lambda o: 8*o),st.integers(3, 600)
    kind = draw(st.sampled_from(('conv', 'irb', 'fused_irb', 'skip') if c_in else ('conv', 'irb', 'fused_irb', 'skip', 'tail')))
    c = c_in or draw(channels)
    if kind == 'skip': return Block.skip(c)
    act = draw(st.sampled_from(ACTS))
    if kind == 'tail': return Block('tail', c, draw(channels), draw(st.integers(1, 2000)), 1, 1, act)
    inner = {} if kind == 'conv' else dict(hidden=draw(width), se=draw(st.booleans()))
    return Block(kind, c, draw(channels | st.just(c)), kernel=draw(st.sampled_from((1, 3, 5, 7))), stride=draw(st.integers(1, 3)), act=act, padded=draw(st.booleans()), **inner)

@st.composite
def architectures(draw):
    stem = Block('conv', 3, draw(st.integers(1, 99)), stride=2, act=draw(st.sampled_from(ACTS)))
    row,c = [],stem.c_out
    for _ in range(draw(st.integers(1, 5))):
        b = draw(blocks(c_in=max(c, 3)))
        row.append(b if b.c_in == c else Block('conv', c, 3))
        c = row[-1].c_out
    stages = sorted(draw(st.lists(st.integers(-2, 9), min_size=len(row), max_size=len(row))))
    return Architecture(9000, stem, tuple(row), Block('tail', c, draw(st.integers(1, 99)), 64, 1), tuple(stages))

@given(architectures())
def test_round_trips(a):
    assert Architecture.from_json(a.to_json()) == a
    assert hash(Architecture.from_json(a.to_json())) == hash(a)
    assert a.diff(Architecture.from_json(a.to_json())) == ()
    if all(b.kind == 'skip' for b in a.blocks): return
    assert Architecture.from_gpunet(json.loads(json.dumps(a.to_gpunet()))) == a.without_skips()
    assert (a.params(), a.macs()) == (a.without_skips().params(), a.without_skips().macs())
    assert all(Key.parse(str(key)) == key for key in a.keys())

@given(blocks(), st.integers(1, 9999))
def test_key_round_trip(b, side):
    assert Key.parse(str(Key(b, side))) == Key(b, side)

def test_a_narrow_block_after_a_wide_one_keeps_its_width_as_a_ratio():
    "8 of 2000 channels is a ratio of 0.004, which rounds to a ratio of nothing."
    b = Block('irb', 2000, 2000, hidden=8)
    a = Architecture(32, Block('conv', 3, 2000, stride=2), (b,), Block('tail', 2000, 10, 64, 1))
    assert Architecture.from_gpunet(a.to_gpunet()) == a
    assert a.to_gpunet()[2]['expansion'] > 0


# ---- whatever a file holds, it is read exactly or refused in a sentence

class Pairs(list):
    "A JSON object written pair by pair, so that a field can stand twice."

def written(o):
    if isinstance(o, Pairs): return '{' + ', '.join(f'{json.dumps(k)}: {written(v)}' for k,v in o) + '}'
    if isinstance(o, list): return '[' + ', '.join(map(written, o)) + ']'
    return json.dumps(o)

def paired(o):
    if isinstance(o, dict): return Pairs([k, paired(v)] for k,v in o.items())
    return [paired(v) for v in o] if isinstance(o, list) else o

NONSENSE = st.one_of(
    st.sampled_from([None, True, False, 0, 1, -1, 2, 3, 4, 8, 10**6, 10**30, -10**30, 10**400,
                     0., 1., 1.5, 1e308, float('nan'), float('inf'), -float('inf'), '', '3', 'conv', 'irb', 'skip', 'tail', 'relu',
                     'ä\udc80', [], {}, [[]], [3], [[3, 5]], [True, True], {'a': 1}, Pairs(), [None]*3]),
    st.integers(), st.floats(), st.text(max_size=5),
    st.recursive(st.none() | st.booleans() | st.integers(), lambda o: st.lists(o, max_size=3) | st.dictionaries(st.text(max_size=3), o, max_size=3), max_leaves=5)).map(paired)

def places(o, at=()):
    "The path of every value inside `o`."
    yield at
    if isinstance(o, Pairs):
        for n,(_,v) in enumerate(o): yield from places(v, (*at, (n, 1)))
    elif isinstance(o, list):
        for n,v in enumerate(o): yield from places(v, (*at, (n,)))

@st.composite
def mutated(draw, value, times=2):
    "The JSON text of `value` with values, names or whole entries changed, taken away, doubled or swapped."
    box = [paired(value)]
    for _ in range(draw(st.integers(1, times))):
        path = draw(st.sampled_from(list(places(box))[1:]))
        o = box
        for step in path[:-1]:
            for i in step: o = o[i]
        n,*pair = path[-1]
        how = draw(st.sampled_from(['value']*4 + ['drop', 'double', 'name', 'swap']))
        if how == 'value':
            new = draw(NONSENSE)
            if pair: o[n] = [o[n][0], new]
            else: o[n] = new
        elif o is box: box[0] = draw(NONSENSE)
        elif how == 'drop': del o[n]
        elif how == 'double': o.insert(n, o[n])
        elif how == 'name' and pair: o[n] = [draw(st.sampled_from(['', 'hiden', 'stage', 'kind', 'c_in', 'format', 'blocks', 'stages']) | st.text(max_size=4)), o[n][1]]
        else:
            m = draw(st.integers(0, len(o)-1))
            o[n],o[m] = o[m],o[n]
        if not places(box): break
    return written(box[0])

def reads_exactly_or_refuses(read, text, write):
    "Whether `text` was read; what was read must survive writing and reading."
    try: found = read(text)
    except ValueError as e:
        assert type(e) is ValueError, f'{type(e).__name__}: {e}'  # a JSONDecodeError or a UnicodeError is no sentence of ours
        assert ':' in str(e) and '\n' not in str(e)
        return False
    assert read(write(found)) == found
    hash(found)
    return True

@settings(max_examples=1200)
@given(mutated(json.loads(tiny().to_json())))
def test_any_change_of_a_json_file_is_read_or_refused(text):
    if reads_exactly_or_refuses(Architecture.from_json, text, Architecture.to_json):
        a = Architecture.from_json(text)
        assert type(a.resolution) is int and all(type(o) is int for o in a.stages)
        assert all(type(getattr(b, f.name)).__name__ == f.type.__name__ for b in (a.stem, *a.blocks, a.tail) for f in fields(b))  # False equals 0, but is no width
        assert a.params() > 0 and a.macs() > 0

@settings(max_examples=800)
@given(mutated(gpunet().to_gpunet()))
def test_any_change_of_a_gpunet_list_is_read_or_refused(text):
    reads_exactly_or_refuses(lambda t: Architecture.from_gpunet(json.loads(t)), text, lambda a: json.dumps(a.to_gpunet()))

@given(st.text() | st.builds(lambda s,n,c: s[:n]+c+s[n+1:], st.just('irb-16-24-h64-k3-s1-relu-se-unpadded@28'), st.integers(0, 40), st.text('0123٣-@_ks\n ', max_size=3)))
def test_any_change_of_a_key_is_read_or_refused(text):
    try: key = Key.parse(text)
    except ValueError: return
    assert str(key) == text

@given(st.integers(0, len(tiny().to_json())-3))
def test_a_file_that_was_cut_short_is_refused(n):
    with pytest.raises(ValueError, match='the architecture is not JSON'): Architecture.from_json(tiny().to_json()[:n])


# ---- one sentence each: what arrived, what would be right, where

HAND = [
    ('"stage": 1,', '"stage": ,', r'not JSON \(line 3, column 13: Expecting value\)'),
    ('"hidden": 48', '"hiden": 48', "layer 1: unknown field 'hiden': a block has kind, c_in, c_out, hidden"),
    ('"hidden": 48', '"hidden": 0', 'layer 1: hidden is 0: use a whole number from 1 up'),
    ('"hidden": 48', '"hidden": -48', 'layer 1: hidden is -48: use a whole number from 1 up'),
    ('"hidden": 48', '"hidden": "48"', "layer 1: hidden is '48': use a whole number"),
    ('"hidden": 48', '"hidden": 48, "hidden": 56', "'hidden' stands twice in one object, with 48 and 56: keep one"),
    ('"c_out": 16, "hidden": 0', '"c_out": 16, "hidden": false', 'stem: hidden is False: use a whole number from 0 up'),
    ('"c_out": 16, "hidden": 0', '"c_out": 16, "hidden": []', r'stem: hidden is \[\]: use a whole number from 0 up'),
    ('"hidden": 48', '"hidden": NaN', 'layer 1: hidden is nan: use a whole number'),
    ('"hidden": 48', '"hidden": 1' + '0'*30, 'layer 1: hidden is 10+: use a whole number from 1 to 1048576'),
    ('"hidden": 48, "kernel": 3', '"hidden": 48, "kernel": 4', 'layer 1: kernel is 4: use an odd size such as 3 or 5'),
    ('"kind": "skip", "c_in": 24, "c_out": 24, "hidden": 0, "kernel": 3, "stride": 1', '"kind": "skip", "c_in": 24, "c_out": 24, "hidden": 0, "kernel": 3, "stride": 2',
     'layer 2: a skip has stride 2: only a layer that keeps its resolution may be skipped, use stride 1'),
    ('"stage": 1, ', '', 'layer 0: the stage is missing'),
    ('"stage": 1, ', '"stage": true, ', 'layer 0: the stage is missing or not a whole number'),
    ('"stage": 1, ', '"stage": 7, ', 'the stages are 7, 2, 2: use whole numbers that never fall'),
    ('"resolution": 32', '"resolution": 32.0', 'resolution is 32.0: use a whole number'),
    ('"c_in": 3,', '', "stem: field 'c_in' is missing"),
    ('"c_in": 3,', '"c_in": true,', 'stem: c_in is True: use a whole number'),
    ('Architecture.1', 'Architecture.2', "the format is 'nas_workbench.Architecture.2': this version reads"),
]
EXAMPLE = Architecture(32, Block('conv', 3, 16, stride=2), (Block.skip(16), Block('irb', 16, 24, hidden=48, stride=2), Block.skip(24)), Block('tail', 24, 10, hidden=64, kernel=1), (1, 2, 2))

@pytest.mark.parametrize('old, new, message', HAND)
def test_hand_edits(old, new, message):
    text = EXAMPLE.to_json()
    assert old in text
    with pytest.raises(ValueError, match=message) as e: Architecture.from_json(text.replace(old, new, 1))
    assert '\n' not in str(e.value)

@pytest.mark.parametrize('text', ['', '{', '[]', '3', 'null', '"x"', '['*100_000, '{"format": '*100_000, '{"format": ["nas_workbench.Architecture.1"]}', '9'*5000])
def test_not_an_architecture(text):
    with pytest.raises(ValueError) as e: Architecture.from_json(text)
    assert 'the architecture is not JSON' in str(e.value) or "this version reads 'nas_workbench.Architecture.1'" in str(e.value)

@pytest.mark.parametrize('change, message', [
    (lambda o: 7, 'a GPUNet list is'),
    (lambda o: {'layers': o}, 'a GPUNet list is'),
    (lambda o: [*o, 3], 'a GPUNet list is'),
    (lambda o: o[1:], 'begins with data and head'),
    (lambda o: o[:2], 'begins with data and head'),
    (lambda o: [{'layer_type': 'data'}, *o[1:]], "data: 'img_resolution' is missing"), (lambda o: [o[0], {'layer_type': 'head'}, *o[2:]], "head: 'num_in_channels' is missing"),
    (lambda o: [*o[:-1], {'layer_type': 'tail', 'num_in_channels': 448, 'num_out_channels': 1280}], "tail: 'num_classes' is missing"),
    (lambda o: [*o[:2], o[2] | {'layer_type': 'dense'}, *o[3:]], "layer 0: layer_type is 'dense'"),
    (lambda o: [*o[:3], o[3] | {'expansion': '4'}, *o[4:]], "layer 1: expansion is '4': use a number above 0"),
    (lambda o: [*o[:3], o[3] | {'expansion': float('nan')}, *o[4:]], 'layer 1: expansion is nan'),
    (lambda o: [*o[:3], o[3] | {'expansion': 1e9}, *o[4:]], 'layer 1: expansion is 1000000000.0'), (lambda o: [*o[:3], o[3] | {'kernel': 3}, *o[4:]], "layer 1: unknown field 'kernel'"),
    (lambda o: [*o[:2], o[2] | {'stage': 'x'}, *o[3:]], "the stages are 'x', 2"), (lambda o: [o[0] | {'distill': True}, *o[1:]], 'without distillation')])
def test_gpunet_lists_that_are_wrong(change, message):
    with pytest.raises(ValueError, match=message): Architecture.from_gpunet(change(gpunet().to_gpunet()))

def test_gpunet_files_that_are_wrong(tmp_path):
    (tmp_path/'a.json').write_text('[{"layer_type": ')
    with pytest.raises(ValueError, match=r'a.json: line 1, column 17'): Architecture.from_gpunet(tmp_path/'a.json')
    with pytest.raises(ValueError, match=r"there is no file 'none.json': give the path of a GPUNet layer list"): Architecture.from_gpunet('none.json')


# ---- random architectures of each preset

@pytest.mark.parametrize('name', PRESETS)
def test_a_thousand_samples_survive_json(name):
    s = space(name)
    found = [s.sample(seed) for seed in range(1000)]
    assert all(a in s and a.without_skips() in s for a in found)
    assert all(Architecture.from_json(a.to_json()) == a for a in found)
    assert len(set(found)) == 1000 and found[7] == s.sample(7)
    assert {b.kind for a in found for b in a.blocks} == {'conv', 'irb', 'fused_irb', 'skip'}
    lo,hi = s.smallest(),s.largest()
    assert all(lo.params() <= a.params() <= hi.params() and lo.macs() <= a.macs() <= hi.macs() for a in found)

def test_diff_names_what_changed():
    a,b = EXAMPLE,replace(EXAMPLE, blocks=(EXAMPLE.blocks[0], replace(EXAMPLE.blocks[1], hidden=56, se=True), EXAMPLE.blocks[2]))
    assert a.diff(b) == ('stage 2, layer 0: hidden 48 → 56, gains SE',)
    assert b.diff(a) == ('stage 2, layer 0: hidden 56 → 48, loses SE',)
