"""A container that attention joins runs what it held before, and the attention once: findings P1 and P8."""

import pytest
import torch
from sockets_host import picture, stir
from test_sockets_placement import alive, strong
from torch import nn

from course_utils.sockets import plug_in, unplug

SIZE = (3, 12, 14)


def layers(channels: int) -> list[nn.Module]:
    return [nn.Conv2d(channels, channels, 3, padding=1), nn.BatchNorm2d(channels), nn.ReLU()]


class Res(nn.Sequential):
    """The shortest residual block that people write."""

    def __init__(self):
        super().__init__(*layers(8), nn.Conv2d(8, 8, 3, padding=1))

    def forward(self, x):
        return x + super().forward(x)


class Listed(nn.ModuleList):
    """A list that is a block."""

    def __init__(self):
        super().__init__([*layers(8), nn.Conv2d(8, 8, 3, padding=1)])

    def forward(self, x):
        y = x
        for module in self:
            y = module(y)
        return x + y


class Named(nn.ModuleDict):
    """As timm's MixedConv2d: a dict whose items are paths, each of which gets its part of the map."""

    def __init__(self):
        super().__init__({"a": nn.Conv2d(4, 4, 3, padding=1), "b": nn.Conv2d(4, 4, 5, padding=2)})

    def forward(self, x):
        parts = torch.split(x, 4, 1)
        return x + torch.relu(torch.cat([module(parts[i]) for i, module in enumerate(self.values())], 1))


class Children(nn.Module):
    """Runs whatever it holds."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Conv2d(8, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3, padding=1)

    def forward(self, x):
        y = x
        for module in self.children():
            y = module(y)
        return x + y


class Registered(Children):
    """The same by torch's own dict, which nothing can stand in front of."""

    def forward(self, x):
        y = x
        for module in list(self._modules.values()):
            y = module(y)
        return x + y


def net(block) -> nn.Sequential:
    torch.manual_seed(0)
    return alive(nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), block(), nn.AdaptiveAvgPool2d(1), nn.Flatten()))


@pytest.mark.parametrize("block", [Res, Listed, Named, Children])
def test_a_block_that_walks_over_its_parts_does_not_meet_the_attention(block):
    """Catches a second call in the middle of the block, which an identity start hides."""
    model, x, calls = net(block), picture(), []
    expected_block, stem = model[1], model[0](x)
    receipt = plug_in(model, strong, "after_add", start="as_made", input_size=SIZE)
    (new,) = receipt.modules(model)
    new.register_forward_hook(lambda *_: calls.append(1))
    y = model(x)
    assert len(calls) == 1 and model[1] is expected_block
    bare = net(block)
    torch.testing.assert_close(y, bare[3](bare[2](new(bare[1](stem)))))
    assert len(list(model[1].children())) == len(list(bare[1].children())) + 1, "torch itself must see it: .to(), .half(), apply"
    unplug(model)
    assert torch.equal(model(x), bare(x))


def test_a_sequential_that_ends_in_a_shared_activation_runs_its_attention_once():
    """The activation is used elsewhere too, so attention joins the container around it."""
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            act = nn.ReLU()
            self.body = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), act, nn.Conv2d(8, 8, 3, padding=1), act)
            self.down = nn.Sequential(nn.Conv2d(8, 8, 3, 2, padding=1), act)

        def forward(self, x):
            return self.down(self.body(x)).mean((2, 3))
    model = alive(Shared())
    x = picture()
    (new,) = plug_in(model, strong, "between", start="as_made", input_size=SIZE).modules(model)
    calls = []
    new.register_forward_hook(lambda *_: calls.append(1))
    expected = model.down(new(nn.Sequential(*list(alive(Shared()).body))(x))).mean((2, 3))
    calls.clear()
    torch.testing.assert_close(model(x), expected)
    assert len(calls) == 1


def test_what_walks_where_nothing_can_be_hidden_is_refused_and_left_alone():
    """Catches a check that asks only whether the attention runs, and not how often."""
    model, x = net(Registered), picture()
    before, modules = model(x), list(model.named_modules())
    with pytest.raises(ValueError, match=r"would be run 2 times .* passed 1 times: the forward of Registered goes through"):
        plug_in(model, "se", "after_add", input_size=SIZE)
    assert torch.equal(model(x), before) and modules == list(model.named_modules())


def test_a_container_says_its_length_and_its_parts_as_before():
    model, bare = net(Res), net(Res)
    plug_in(model, "se", "after_add", input_size=SIZE)
    block = model[1]
    assert len(block) == 4 and block[-1] is list(block)[-1] and type(block[-1]) is nn.Conv2d
    assert [type(m) for m in block] == [type(m) for m in bare[1]]
    assert "attention_after_add" in dict(block.named_children()), "torch moves, stores and trains by its children"
    assert block.half() is block and {p.dtype for p in block.parameters()} == {torch.float16}


def test_the_class_of_a_plugged_module_still_makes_modules():
    """As adapters do: `type(module)(...)` of the same shape. Catches state that only plug_in would set."""
    model = net(Res)
    plug_in(model, "se", "post", input_size=SIZE)
    conv = next(m for m in model.modules() if isinstance(m, nn.Conv2d) and type(m) is not nn.Conv2d)
    twin = type(conv)(8, 8, 3, padding=1)
    x = torch.randn(1, 8, 5, 5)
    assert torch.equal(twin(x), nn.functional.conv2d(x, twin.weight, twin.bias, padding=1))


def test_compiled_containers_run_their_attention_once():
    torch.compiler.reset()
    model, x = net(Res), picture()
    plug_in(model, strong, "after_add", start="as_made", input_size=SIZE)
    stir(model)
    expected = model(x)
    torch.testing.assert_close(torch.compile(model, backend="eager", fullgraph=True)(x), expected)
    torch.compiler.reset()
