"What only a GPU can show; skipped elsewhere, with the reason."
import pytest
import torch

from nas_workbench.arch import Block
from nas_workbench.bench import StandIn
from nas_workbench.data import dataset
from nas_workbench.events import Cost, Epoch
from nas_workbench.masks import MaskState
from nas_workbench.prunode import Prunode, literal
from nas_workbench.search.config import preset
from nas_workbench.search.run import Search
from nas_workbench.space import Choice, SearchSpace, Stage

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason='torch sees no GPU here')

MINI = SearchSpace('mini', 16, Block('conv', 3, 16, stride=2, act='swish'), (Stage('conv', 16, 1), Stage('fused_irb', 16, 2, expansion=3), Stage('irb', 24, 2, 2, expansion=2)),
                   features=32, classes=10, granularity=8)

@pytest.mark.parametrize('kind', ['irb', 'fused_irb'])
@pytest.mark.parametrize('se', [False, True])
@pytest.mark.parametrize('side', [5, 14])  # fewer and more pixels than channels out
def test_shared_equals_literal(kind, se, side):
    torch.manual_seed(0)
    node = Prunode(Choice(Block(kind, 64, 64, hidden=256, kernel=5, se=se, act='swish'), 32)).double().cuda().to(memory_format=torch.channels_last)
    node.state = MaskState(0., 0., .375, .625, 96, 160)
    x = torch.randn(4, 64, side, side, dtype=torch.float64, device='cuda').to(memory_format=torch.channels_last)
    p = torch.tensor([.3, .6], dtype=torch.float64, device='cuda')
    out = []
    for f in (node, lambda x,p: literal(node, x, p)):
        xi,pi = x.clone().requires_grad_(),p.clone().requires_grad_()
        y = f(xi, pi)
        out.append((y.detach(), *torch.autograd.grad((y*torch.sin(torch.arange(y.numel(), device='cuda', dtype=y.dtype)).view_as(y)).sum(), [xi, pi, node.block.conv_pwl.weight, node.block.bn1.weight])))
    torch.testing.assert_close(out[0], out[1], rtol=1e-5, atol=1e-7)

@pytest.mark.parametrize('precision', ['float32', 'bf16', 'fp16'])
def test_a_search_ends_with_a_network(precision, tmp_path):
    events = []
    config = preset('smoke', batch_size=64, epochs=5, warmup=1, arch_lr=.2, precision=precision)
    found = Search(config, MINI, dataset('digits', resolution=16, augment='none'), StandIn(), tmp_path, events.append, device='cuda').run()
    assert found.architecture in MINI
    epochs,costs = ([o for o in events if isinstance(o, kind)] for kind in (Epoch, Cost))
    assert epochs[-1].params < epochs[0].params and costs[-1].memory_mb < costs[1].memory_mb
