"Networks built from architectures: counts, shapes, weights, and what timm users expect."
import json
import random
from dataclasses import replace
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from timm.data import resolve_data_config
from torch import nn
from torch.testing import assert_close
from torch.utils.flop_counter import FlopCounterMode

from nas_workbench.arch import Architecture, Block
from nas_workbench.network import as_architecture, build_network, default_cfg, drop_path_rates, feature_info
from nas_workbench.space import PRESETS, space

GPUNET = Path(__file__).parent.parent/'nas_workbench'/'gpunet'
PUBLISHED = {'GPUNet-0': (11_885_432, 3_254_209_280), 'GPUNet-1': (12_704_192, 3_308_369_280), 'GPUNet-P0': (22_815_080, 1_870_345_792)}


def counted(arch):
    "Parameters and MACs of the built module; nothing is computed, but every shape is."
    with torch.device('meta'), FlopCounterMode(display=False) as counter:
        net = build_network(arch).eval()
        assert net(torch.empty(2, arch.stem.c_in, arch.resolution, arch.resolution)).shape == (2, arch.classes)
    assert counter.get_total_flops() % 4 == 0
    return sum(p.numel() for p in net.parameters()), counter.get_total_flops()//4

def tiny(seed=3): return space('prunet-tiny').sample(seed)
def with_skips():
    "Skips at the start, in the middle and, behind the last change of channels, at the end; one of them ends a resolution."
    a = space('prunet-tiny').largest()
    return replace(a, blocks=tuple(Block.skip(b.c_in) if l in (0, 2, len(a.blocks)-1) else b for l,b in enumerate(a.blocks)))
def images(n=2, side=32): return torch.randn(n, 3, side, side, generator=torch.Generator().manual_seed(0))
def built(arch, **kw):
    torch.manual_seed(0)
    net = build_network(arch, **kw).train()
    for m in net.modules():  # batch norms that do something, so that a forgotten one would show
        if isinstance(m, nn.BatchNorm2d): nn.init.uniform_(m.weight, .5, 1.5), nn.init.uniform_(m.bias, -.1, .1), nn.init.uniform_(m.running_mean, -.1, .1), nn.init.uniform_(m.running_var, .5, 2)
    return net.eval()


@pytest.mark.parametrize('name', PUBLISHED)
def test_published_networks_three_ways(name):
    a = Architecture.from_gpunet(GPUNET/f'{name}.json')
    assert counted(a) == (a.params(), a.macs()) == PUBLISHED[name]
    assert counted(a.normally_padded()) == (a.normally_padded().params(), a.normally_padded().macs())
    assert a.normally_padded().params() == a.params()

@pytest.mark.parametrize('name', PRESETS)
def test_samples_of_a_preset_have_the_counts_of_their_record(name):
    s = space(name)
    rng = random.Random(name)
    found = [s.smallest(), s.largest(), *(s.sample(rng.randrange(1000)) for _ in range(60 if name == 'prunet-tiny' else 15))]
    for a in found: assert counted(a) == (a.params(), a.macs()), a.to_json()

def test_odd_sides_and_other_resolutions():
    for side in (31, 33, 47, 225): assert counted(replace(tiny(), resolution=side)) == (tiny().params(), replace(tiny(), resolution=side).macs())

def test_a_batch_through_forward_and_back():
    for seed in range(12):
        net = built(tiny(seed)).train()
        y = net(images(4))
        assert y.shape == (4, 10) and y.isfinite().all()
        y.square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in net.parameters())

def test_skips_vanish_but_layers_keep_their_numbers():
    a = with_skips()
    long,short = built(a),built(a.without_skips())
    kept = [l for l,b in enumerate(a.blocks) if b.kind != 'skip']
    assert [l for l,o in enumerate(long.blocks) if not isinstance(o, nn.Identity)] == kept
    for n,l in enumerate(kept): short.blocks[n].load_state_dict(long.blocks[l].state_dict())
    short.stem.load_state_dict(long.stem.state_dict()), short.tail.load_state_dict(long.tail.state_dict())
    assert_close(short(images()), long(images()), rtol=0, atol=0)
    assert [o for o in drop_path_rates(a, .2) if o] == [o for o in drop_path_rates(a.without_skips(), .2) if o]
    assert [(o['num_chs'], o['reduction']) for o in feature_info(a)] == [(o['num_chs'], o['reduction']) for o in feature_info(a.without_skips())]
    assert [o['module'] for o in feature_info(a)] == ['stem', 'blocks.1', 'blocks.6']  # layers 0, 2 and 7 are skips
    assert [p.shape for p in long.parameters()] == [p.shape for p in short.parameters()]

def test_names_of_the_weights():
    "What checkpoints are written with: a change here orphans them."
    a = Architecture(32, Block('conv', 3, 16, stride=2), (Block('fused_irb', 16, 24, hidden=64, stride=2), Block('irb', 24, 24, hidden=48, se=True)), Block('tail', 24, 10, hidden=64, kernel=1))
    def bn(name): return [f'{name}.{o}' for o in ('weight', 'bias', 'running_mean', 'running_var', 'num_batches_tracked')]
    def conv(name, norm): return [f'{name}.weight', *bn(norm)]
    irb = 'blocks.1'
    assert list(build_network(a).state_dict()) == [
        *conv('stem.conv', 'stem.bn1'), *conv('blocks.0.conv_exp', 'blocks.0.bn1'), *conv('blocks.0.conv_pwl', 'blocks.0.bn2'),
        *conv(f'{irb}.conv_pw', f'{irb}.bn1'), *conv(f'{irb}.conv_dw', f'{irb}.bn2'), *(f'{irb}.se.{o}' for o in ('conv_reduce.weight', 'conv_reduce.bias', 'conv_expand.weight', 'conv_expand.bias')),
        *conv(f'{irb}.conv_pwl', f'{irb}.bn3'), *conv('tail.conv.conv', 'tail.conv.bn1'), 'tail.classifier.weight', 'tail.classifier.bias']

def test_classifier_and_pool():
    net,x = built(tiny()),images()
    features = net.forward_features(x)
    assert_close(net(x), net.get_classifier()(features.mean((2, 3))))
    assert_close(net.forward_head(features, pre_logits=True), features.mean((2, 3)))
    net.reset_classifier(4)
    assert (net.num_classes, net(x).shape, net.get_classifier().training) == (4, (2, 4), False)
    net.reset_classifier(0)
    assert_close(net(x), features.mean((2, 3)))
    net.reset_classifier(0, '')
    assert_close(net(x), features)
    net.reset_classifier(4, 'max')
    assert_close(net(x), net.get_classifier()(features.amax((2, 3))))
    with pytest.raises(ValueError, match='num_classes is -1: use a whole number from 0 up'): net.reset_classifier(-1)
    assert build_network(tiny(), num_classes=0).num_classes == 0 and build_network(tiny()).num_classes == 10
    half = build_network(tiny()).to(torch.float64)
    half.reset_classifier(3)
    assert half(images().double()).dtype == torch.float64

@pytest.mark.parametrize('name', PRESETS)
def test_feature_maps_are_what_feature_info_says(name):
    a = space(name).sample(11)
    with torch.device('meta'):
        net = timm.create_model('nas_workbench', architecture=a, features_only=True)
        maps = net(torch.empty(1, 3, a.resolution, a.resolution))
    assert [o.shape[1] for o in maps] == net.feature_info.channels()
    assert [a.resolution//o.shape[-1] for o in maps] == net.feature_info.reduction() == ([2, 4, 8] if name == 'prunet-tiny' else [2, 4, 8, 16, 32])
    assert net.default_cfg['input_size'] == (3, a.resolution, a.resolution)

@pytest.mark.parametrize('how', [{}, {'feature_cls': 'getter'}, {'feature_cls': 'hook'}, {'feature_cls': 'fx'}])
@pytest.mark.parametrize('indices', [(2,), (0, 2), (1, 2), 2, (-1,)])
def test_backbones_give_the_maps_of_the_network(how, indices):
    a,x = with_skips(),images()
    net = built(a)
    maps,y = [],net.stem(x)
    for o,block in zip(a.blocks, net.blocks):
        if o.stride > 1: maps.append(y)
        y = block(y)
    maps.append(y)
    backbone = timm.create_model('nas_workbench', architecture=a, features_only=True, out_indices=indices, pretrained=True, pretrained_cfg_overlay=dict(state_dict=net.state_dict()), **how).eval()
    wanted = maps[-indices:] if isinstance(indices, int) else [maps[i] for i in indices]
    assert_close(list(backbone(x)), wanted)
    assert backbone.feature_info.channels() == [o.shape[1] for o in wanted]
    assert not any('tail' in o for o in backbone.state_dict()) or how in ({'feature_cls': 'hook'}, {'feature_cls': 'getter'})

def test_backbone_in_the_way_of_detectors():
    "effdet asks for levels 2, 3, 4 of a network with five resolutions and reads channels and reductions."
    with torch.device('meta'): net = timm.create_model('nas_workbench', architecture=GPUNET/'GPUNet-1.json', features_only=True, out_indices=(2, 3, 4))
    assert net.feature_info.get_dicts(keys=['num_chs', 'reduction']) == [{'num_chs': 96, 'reduction': 8}, {'num_chs': 288, 'reduction': 16}, {'num_chs': 448, 'reduction': 32}]

def test_create_model_options(tmp_path):
    a,x = tiny(),images()
    (tmp_path/'a.json').write_text(a.to_json())
    for source in (a, a.to_json(), tmp_path/'a.json', str(tmp_path/'a.json')): assert as_architecture(source) == a
    net = timm.create_model('nas_workbench', architecture=str(tmp_path/'a.json'), num_classes=5, drop_rate=.3, drop_path_rate=.1)
    assert (net.num_classes, net.drop_rate, net.drop_path_rate, net(x).shape) == (5, .3, .1, (2, 5))
    assert resolve_data_config(model=net)['input_size'] == (3, 32, 32) and resolve_data_config(model=build_network(a))['input_size'] == (3, 32, 32)
    assert timm.create_model('nas_workbench', architecture=a).num_classes == a.classes == 10
    gray = timm.create_model('nas_workbench', architecture=a, in_chans=1)
    assert (gray.in_chans, gray(x[:,:1]).shape) == (1, (2, 10))
    assert timm.is_model('nas_workbench') and 'nas_workbench' in timm.list_models('nas_*')
    assert default_cfg(replace(a, resolution=64))['input_size'] == (3, 64, 64)

def test_checkpoints(tmp_path):
    a,x = tiny(),images()
    net,file = built(a),tmp_path/'net.safetensors'
    save_file(net.state_dict(), file)
    torch.save({'state_dict': net.state_dict()}, tmp_path/'net.pth.tar')
    assert set(load_file(file)) == set(net.state_dict())
    for path in (file, tmp_path/'net.pth.tar'): assert_close(timm.create_model('nas_workbench', architecture=a, checkpoint_path=path).eval()(x), net(x), rtol=0, atol=0)
    tuned = timm.create_model('nas_workbench', architecture=a, num_classes=3, pretrained=True, pretrained_cfg_overlay=dict(file=str(file))).eval()
    assert_close(tuned.forward_features(x), net.forward_features(x), rtol=0, atol=0)
    assert tuned(x).shape == (2, 3)
    gray = timm.create_model('nas_workbench', architecture=a, in_chans=1, pretrained=True, pretrained_cfg_overlay=dict(file=str(file), input_size=(3, 32, 32))).eval()
    assert_close(gray.stem.conv.weight, net.stem.conv.weight.sum(1, keepdim=True))
    with pytest.raises(RuntimeError, match=r'size mismatch|Missing key'): timm.create_model('nas_workbench', architecture=tiny(4), checkpoint_path=file)

def test_a_folder_in_the_form_of_the_hub(tmp_path):
    "timm writes the architecture into its config, so that the folder alone brings the network back."
    hub = pytest.importorskip('timm.models._hub')
    a,x = tiny(),images()
    net = built(a)
    model = timm.create_model('nas_workbench', architecture=a.to_json(), pretrained=True, pretrained_cfg_overlay=dict(state_dict=net.state_dict())).eval()
    hub.save_for_hf(model, tmp_path, model_args={'architecture': a.to_json()}, safe_serialization=True)
    assert Architecture.from_json(json.loads((tmp_path/'config.json').read_text())['model_args']['architecture']) == a
    assert_close(timm.create_model(f'local-dir:{tmp_path}', pretrained=True).eval()(x), net(x), rtol=0, atol=0)

def test_dropout_acts_before_the_classifier_in_training():
    net = built(tiny(), drop_rate=.25)
    maps = torch.ones(500, net.num_features, 1, 1)
    assert_close(net.forward_head(maps, pre_logits=True), maps.flatten(1))
    torch.manual_seed(0)
    found = net.train().forward_head(maps, pre_logits=True)
    assert found.unique().tolist() == pytest.approx([0., 4/3]) and abs((found == 0).float().mean().item() - .25) < .01

def test_initial_weights_are_those_of_efficientnets():
    "Variance 2 / fan-out, where a depthwise convolution has one output per group."
    for name,m in build_network(space('prunet-tiny').largest()).named_modules():
        if isinstance(m, nn.Conv2d) and m.weight.numel() > 3000:
            fan_out = m.kernel_size[0]*m.kernel_size[1]*m.out_channels//m.groups
            assert m.weight.std().item() == pytest.approx((2/fan_out)**.5, rel=.1), name
        if isinstance(m, nn.Linear): assert m.bias.abs().max() == 0 and .9 < m.weight.abs().max().item()*m.out_features**.5 <= 1

def test_drop_path_drops_whole_residuals():
    a = Architecture(32, Block('conv', 3, 16, stride=2), (Block('irb', 16, 16, hidden=32),)*4, Block('tail', 16, 10, hidden=64, kernel=1))
    assert drop_path_rates(a, .4) == pytest.approx((0, .1, .2, .3))
    net = build_network(a, drop_path_rate=.8).train()
    x = torch.randn(4000, 16, 2, 2, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    kept = (net.blocks[3](x) != x).flatten(1).any(1)
    assert abs(kept.float().mean().item() - .4) < .04  # rate .8*3/4
    with pytest.raises(ValueError, match=r'drop_path_rate is -0.1: use a chance'): build_network(a, drop_path_rate=-.1)

def test_gradient_checkpointing_changes_nothing():
    net,x = built(with_skips()),images(4)
    def grads():
        net.zero_grad()
        net(x).square().sum().backward()
        return [p.grad.clone() for p in net.parameters()]
    plain = grads()
    net.set_grad_checkpointing()
    calls = []
    h = net.blocks[1].register_forward_pre_hook(lambda *_: calls.append(1))
    assert_close(grads(), plain)
    h.remove()
    assert len(calls) == 2  # forward, and again in backward

def test_groups_cover_every_parameter_in_order():
    a = with_skips()
    net = build_network(a)
    names = [n for n,_ in net.named_parameters()]
    for coarse,groups in ((False, 2 + sum(b.kind != 'skip' for b in a.blocks)), (True, 2 + len({s for b,s in zip(a.blocks, a.stages) if b.kind != 'skip'}))):
        by = timm.models.group_parameters(net, net.group_matcher(coarse))
        assert len(by) == groups and [n for o in sorted(by) for n in by[o]] == names

def test_stages_of_two_digits_do_not_swallow_each_other():
    a = Architecture(32, Block('conv', 3, 16, stride=2), (Block('irb', 16, 16, hidden=32),)*12, Block('tail', 16, 10, hidden=64, kernel=1), tuple(range(12)))
    by = timm.models.group_parameters(build_network(a), build_network(a).group_matcher(coarse=True))
    assert [len({n.split('.')[1] for n in by[o]}) for o in range(1, 12)] == [1]*11 and len(by) == 14

def test_export():
    net = built(with_skips())
    program = torch.export.export(net, (images(2),))
    assert_close(program.module()(images(2)), net(images(2)))

@pytest.mark.parametrize('source, message', [
    (None, 'architecture is None: give an Architecture, the path of its JSON'),
    (3, 'architecture is 3: give'),
    ('', "there is no file ''"),
    ('none.json', "there is no file 'none.json'"),
    ('{', 'not JSON'),
    ('{}', 'the format is None'),
    ('[]', 'begins with data and head'), ('[1', 'line 1'), ([], 'begins with data'), ([3], 'a GPUNet list is')])
def test_architectures_that_are_none(source, message):
    with pytest.raises(ValueError, match=message): timm.create_model('nas_workbench', architecture=source)

def test_a_wrong_file_is_named(tmp_path):
    (tmp_path/'net.json').write_text(tiny().to_json().replace('"kernel": 5', '"kernel": 4', 1))
    with pytest.raises(ValueError, match=r'net.json: layer .*: kernel is 4: use an odd size'): as_architecture(tmp_path/'net.json')
