"""A call that cannot work is refused with what was got and what to do, and leaves the network as it was."""

import re
from typing import NamedTuple

import numpy as np
import pytest
import sockets_wrong as nets
import torch
from sockets_host import host, picture, stir
from sockets_wrong import VGG, answer, holding, mixed, untouched
from torch import nn

from course_utils.attention import SE
from course_utils.sockets import list_sockets, plug_in, unplug

EITHER = (TypeError, ValueError)
C_H_W = r"\(C, H, W\)"


class Wrong(NamedTuple):
    """`got` and `remedy` are patterns for the message; `runs`: can the network be run afterwards, on two small pictures?"""

    call: object
    error: type | tuple
    got: str
    remedy: str
    net: object = mixed
    runs: bool = True


def plug(attention="se", at="post", input_size=(12, 14), **options):
    return lambda net: plug_in(net, attention, at, input_size=input_size, **options)


def look(inputs):
    return lambda net: plug_in(net, "se", "post", inputs=inputs)


WRONG = {
    # which socket
    "socket misspelt": Wrong(plug(at="pots"), ValueError, "unknown socket 'pots'", "mean 'post'.*Known: input, pre, inner, post"),
    "two sockets in a list": Wrong(plug(at=["pre", "post"]), ValueError, r"got \['pre', 'post'\]",
                                   "at='both'.*once for each.*Known"),
    "unplug: socket misspelt": Wrong(lambda net: unplug(net, "after-add"), ValueError, "unknown socket 'after-add'",
                                     "mean 'after_add'", holding("eca", "after_add")),
    "unit misspelt": Wrong(plug(unit="blok"), ValueError, "got 'blok'", "'block'.*'conv'"),
    "list_sockets: unit misspelt": Wrong(lambda net: list_sockets(net, unit="stage"), ValueError, "got 'stage'",
                                         "'block'.*'conv'"),
    "blocks in a VGG": Wrong(plug(unit="block"), ValueError, "VGG has no residual blocks", "unit='conv'", VGG),
    "list_sockets: blocks in a VGG": Wrong(lambda net: list_sockets(net, (12, 14), "block"), ValueError,
                                           "VGG has no residual blocks", "unit='conv'", VGG),
    "after_add in a VGG": Wrong(plug(at="after_add"), ValueError, "VGG has no socket 'after_add'",
                                "It has: input, pre, post, between, instead, both", VGG),
    "head without global pooling": Wrong(plug("attention_pool", "head"), ValueError, "VGG has no socket 'head'",
                                         "It has: input, pre", VGG),
    # which places
    "stage out of range": Wrong(plug(stages=[1, 3]), ValueError, "stages=3", "2 stages .*places in 1, 2"),
    "stage 0": Wrong(plug(stages=0), ValueError, "stages=0", "places in 1, 2"),
    "stage as a string": Wrong(plug(stages="2"), EITHER, "stages='2'", "places in 1, 2.*Stages are numbers"),
    "stage by its name": Wrong(plug(stages="layer4"), ValueError, "stages='layer4'", r"numbers; by name choose with layers="),
    "one of two stages by its name": Wrong(plug(stages=[1, "layer4"]), ValueError, "stages='layer4'", "choose with layers="),
    "stage as a bool": Wrong(plug(stages=[True]), ValueError, "stages=True", "places in 1, 2"),
    "stage as a fraction": Wrong(plug(stages=1.5), EITHER, r"stages.*1\.5", "places in 1, 2"),
    "no stage": Wrong(plug(stages=[]), ValueError, "names no stage", "leave it out for all"),
    "a stage at the input": Wrong(plug("pixel_gate", "input", stages=1), ValueError, "stages=1", "two ends .*belong to no stage"),
    "pattern matches nothing": Wrong(plug(layers="block.1"), ValueError, "'block.1' matches none of the 3",
                                     "Did you mean 'blocks.1'"),
    "one of two patterns matches nothing": Wrong(plug(layers=["blocks.0", "layer4.*"]), ValueError, r"'layer4\.\*' matches none",
                                                 r"'blocks\.0' to 'blocks\.2'.*list_sockets\(model\)"),
    "predicate leaves none": Wrong(plug(layers=lambda p: p.channels > 99), ValueError, "predicate leaves none of the 3",
                                   "fields of a Place: socket, unit, module, stage, channels, size"),
    "layers as a number": Wrong(plug(layers=5), TypeError, "got 5", "layers must be a name pattern.*function of a Place"),
    "layers as numbers": Wrong(plug(layers=[1, 2]), TypeError, r"got \[1, 2\]", "layers must be a name pattern"),
    "layers as modules": Wrong(lambda net: plug_in(net, "se", "post", layers=[net.blocks[1]]), TypeError, r"got \[\w*Block\]\.",
                               r"list_sockets\(model\) shows the names"),
    "layers as a module": Wrong(lambda net: plug_in(net, "se", "post", layers=net.blocks[1]), TypeError, "got .*Block",
                                "layers must be a name pattern"),
    # which attention
    "mechanism misspelt": Wrong(plug("seb"), ValueError, "unknown mechanism 'seb'", "mean 'se'.*Known: aff, attention_gate"),
    "no mechanism": Wrong(plug(None), TypeError, "got None", "a name or a callable channels -> module"),
    "two mechanisms in a list": Wrong(plug(["se", "cbam"]), TypeError, r"got \['se', 'cbam'\]", "a call for each.*stack=True"),
    "option misspelt": Wrong(plug(reducton=4), TypeError, "SE takes no reducton", "It takes reduction"),
    "option out of range": Wrong(plug(reduction=0), ValueError, "got 0", "reduction must be an integer of at least 1"),
    "channels as an option": Wrong(plug(channels=8), TypeError, "SE takes no channels", "It takes reduction"),
    "shape as an option": Wrong(plug("dynamic_conv", "instead", out_channels=8), TypeError, "takes no out_channels", "It takes"),
    "option of a callable": Wrong(plug(SE, reduction=4), TypeError, "options reduction", r"functools\.partial\(SE, reduction="),
    "finished module": Wrong(plug(SE(8)), TypeError, "a finished SE", r"pass the class, or lambda channels: SE\(\.\.\.\)"),
    "callable returns no module": Wrong(plug(nets.no_module), TypeError, "got Tensor", r"\(8\) must return a torch\.nn\.Module"),
    "callable returns a class": Wrong(plug(nets.forgot_to_call), TypeError, "got type", r"\(8\) must return a torch\.nn\.Module"),
    "callable takes no channels": Wrong(plug(nets.takes_nothing), TypeError, "takes_nothing.*positional",
                                        "callable channels -> module"),
    "channels change": Wrong(plug(nets.widen), ValueError, r"widen changes the shape at 'post' of blocks\.0.*gives \(2, 16,",
                             r"goes on with \(2, 8,.*Use a module that keeps it"),
    "map size changes": Wrong(plug(nets.shrink), ValueError, r"shrink changes the shape .*gives \(2, 8, 6, 7\)",
                              r"goes on with \(2, 8, 12, 14\).*Use a module that keeps it"),
    "made for other channels": Wrong(plug(nets.seven), ValueError, r"seven does not run at 'post' of blocks\.0 \(a map of 8",
                                     "a callable gets C as its argument"),
    "crashes on a map": Wrong(plug(nets.Crash), ValueError, "Crash does not run.*Error: boom", r"must take \(N, C, H, W\)"),
    "attention with two inputs": Wrong(plug("attention_gate"), ValueError, "attention_gate reads two maps",
                                       "'spatial_gate' or 'sse'"),
    "patches": Wrong(plug("patches", "input"), ValueError, "patches replaces the picture", "ZoomHost.*'pixel_gate' and 'stn'"),
    "kernel attention at post": Wrong(plug("sk"), ValueError, "'sk' replaces a convolution", "at='instead', not at='post'"),
    "pooling at post": Wrong(plug("attention_pool"), ValueError, "'attention_pool' replaces the pooling",
                             "at='head', not at='post'"),
    "gate at head": Wrong(plug("se", "head"), ValueError, "at='head' replaces the pooling", "'attention_pool'.*'se'.*at='post'"),
    "head keeps the map": Wrong(plug(nets.keeps_map, "head", start="as_made"), ValueError,
                                r"keeps_map changes the shape at 'head' .*gives \(2, 16, 6, 7\)", r"goes on with \(2, 16\)"),
    # which start
    "start misspelt": Wrong(plug(start="zero"), ValueError, "got 'zero'", "'identity', 'as_made', 'kernel'"),
    "start from a kernel at post": Wrong(plug(start="kernel"), ValueError, "got at='post'", "needs at='instead'"),
    "head does not begin as the mean": Wrong(plug(nets.largest, "head"), ValueError, "largest does not begin as the plain mean",
                                             "start='as_made', or 'attention_pool'"),
    "selective kernel has no identity": Wrong(plug("sk", "instead"), ValueError, "sk .*has no start='identity'",
                                              "Those that can: condconv, dynamic_conv, deform_conv. Or use start='as_made'"),
    "bot instead of a wider convolution": Wrong(plug("bot", "instead", start="as_made"), ValueError,
                                                r"bot cannot replace 3, Conv2d\(4, 8.*takes no out_channels",
                                                "stages=.* or layers=.*, or another mechanism", VGG),
    # twice
    "twice in a socket": Wrong(plug("eca"), ValueError, r"blocks\.0\.bn2 has SE at 'post'", "unplug.* first, or say stack=True",
                               holding("se", "post")),
    "both where post is taken": Wrong(plug("eca", "both"), ValueError, "has SE at 'post'", "stack=True", holding("se", "post")),
    "instead twice": Wrong(plug("condconv", "instead", stack=True), ValueError, r"blocks\.0\.conv2 has DynamicConv at 'instead'",
                           r"unplug\(model\) first$", holding("dynamic_conv", "instead")),
    "head twice": Wrong(plug("attention_pool", "head"), ValueError, "pool has AttentionPool at 'head'", r"unplug\(model\) first$",
                        holding("attention_pool", "head")),
    # which network
    "compiled model": Wrong(plug(), TypeError, "is compiled", r"Plug in first, then compile.*model\._orig_mod",
                            lambda: torch.compile(mixed(), backend="eager"), False),
    "model.compile()": Wrong(plug(), TypeError, "is compiled", "Plug in first, then compile", nets.compiled_in_place, False),
    "compiled block": Wrong(plug(at="after_add"), TypeError, "compiled", "Plug in first", nets.compiled_part, False),
    "unplug: compiled model": Wrong(unplug, TypeError, "is compiled", r"model\._orig_mod",
                                    lambda: torch.compile(holding("se", "post")(), backend="eager"), False),
    "DataParallel": Wrong(plug(), TypeError, "wrapped in DataParallel", r"model\.module before you wrap",
                          lambda: nn.DataParallel(mixed())),
    "DistributedDataParallel": Wrong(plug(), TypeError, "wrapped in DistributedDataParallel", r"model\.module before you wrap",
                                     nets.distributed, False),
    "scripted part": Wrong(plug(), TypeError, "holds scripted", "Plug in first, then script",
                           lambda: nn.Sequential(torch.jit.script(VGG()), nn.ReLU())),
    "lazy layers": Wrong(plug(), TypeError, "lazy layers", r"one batch .*first: model\(x\)", nets.lazy, False),
    "list_sockets: lazy layers": Wrong(list_sockets, TypeError, "lazy layers", r"first: model\(x\)", nets.lazy, False),
    "no convolution": Wrong(plug(), ValueError, "Sequential has no torch.nn.Conv2d", "no convolution to plug attention around",
                            lambda: nn.Sequential(nn.Flatten(), nn.Linear(3 * 12 * 14, 5))),
    "plain list": Wrong(plug(), ValueError, "PlainList has no torch.nn.Conv2d", r"nn\.ModuleList", lambda: nets.PlainList(False)),
    "plain list beside names": Wrong(plug("dynamic_conv", "instead"), ValueError, "attention_instead would never be used",
                                     r"nn\.ModuleList", lambda: nets.PlainList(True)),
    "two inputs": Wrong(plug(), ValueError, "missing 1 required positional", r"model\(x\)", nets.TwoInputs, False),
    "not a module": Wrong(plug(), TypeError, "got str", r"model must be a torch\.nn\.Module", lambda: "resnet18", False),
    "list_sockets: a function": Wrong(list_sockets, TypeError, "got function", r"be a torch\.nn\.Module", lambda: host, False),
    # which picture
    "size as a word": Wrong(plug(input_size="big"), ValueError, "got 'big'", rf"size must be {C_H_W}, \(H, W\) or one side"),
    "size of a batch": Wrong(plug(input_size=(2, 3, 9, 9)), ValueError, r"got \(2, 3, 9, 9\)", f"input_size must be {C_H_W}"),
    "size as a fraction": Wrong(plug(input_size=3.5), EITHER, r"got 3\.5", f"input_size must be {C_H_W}"),
    "list_sockets: size 0": Wrong(lambda net: list_sockets(net, 0), ValueError, "got 0", f"input_size must be {C_H_W}"),
    "size that the network refuses": Wrong(plug(input_size=(17, 18)), ValueError, "could not be run .*3x17x18.*Error: ",
                                           f"Give the size that it takes: input_size={C_H_W}", VGG),
    "a picture of bytes": Wrong(look(torch.zeros(1, 3, 12, 14, dtype=torch.uint8)), ValueError, "They are torch.uint8",
                                r"x\.float\(\) / 255"),
    "a picture without a batch": Wrong(look(torch.zeros(3, 12, 14)), ValueError, "no batch dimension", r"x\[None\]"),
    "batches in a list": Wrong(look([torch.zeros(1, 3, 12, 14)] * 2), ValueError, "TypeError: conv2d[^\n]*A list goes in",
                               r"torch\.cat"),
    "an array": Wrong(look(np.zeros((1, 3, 12, 14))), ValueError, "got ndarray", r"torch\.from_numpy.*next\(iter\(loader\)\)"),
    "no size that is usual": Wrong(list_sockets, ValueError, "of 3x224x224, 3x32x32.*first error was: RuntimeError",
                                   f"input_size={C_H_W}", VGG),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit")
@pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG)
def test_a_wrong_call_says_what_to_do_and_changes_nothing(wrong):
    net = wrong.net()
    if isinstance(net, nn.Module):
        with untouched(net, wrong.runs), pytest.raises(wrong.error) as caught:
            wrong.call(net)
    else:
        with pytest.raises(wrong.error) as caught:
            wrong.call(net)
    message = str(caught.value)
    assert re.search(wrong.got, message, re.DOTALL), f"what was got: {message}"
    assert re.search(wrong.remedy, message, re.DOTALL), f"the remedy: {message}"


def test_the_model_before_compiling_is_named_only_where_there_is_one():
    with pytest.raises(TypeError) as caught:
        plug_in(nets.compiled_in_place(), "se", "post")
    assert "_orig_mod" not in str(caught.value)


# ---- in the middle of it

class Stop(Exception):
    pass


def third(failure):
    """A callable that draws random numbers for two places and fails at the third."""
    count = iter(range(3))

    def make(channels, **shape):
        good = nn.Conv2d(channels, shape.get("out_channels", channels), 3, shape.get("stride", 1), padding=1)
        return good if next(count) < 2 else failure(channels)
    return make


def stopped(channels):
    raise Stop


def interrupted(channels):
    raise KeyboardInterrupt


SOCKETS = ("pre", "inner", "post", "after_add", "identity", "instead", "both")


@pytest.mark.parametrize("at", SOCKETS)
@pytest.mark.parametrize("failure, error", [(stopped, Exception), (interrupted, KeyboardInterrupt), (nets.widen, ValueError)],
                         ids=["raises", "interrupted", "does not fit"])
def test_a_failure_at_the_third_place_takes_the_first_two_out_again(at, failure, error):
    net = mixed()
    start = "as_made" if at == "instead" else "identity"
    with untouched(net), pytest.raises(error) as caught:
        plug_in(net, third(failure), at, start=start, input_size=(12, 14))
    if failure is stopped:
        assert isinstance(caught.value, Stop) or isinstance(caught.value.__cause__, Stop), "the learner's own error is lost"


@pytest.mark.parametrize("second", [s for s in SOCKETS if s != "instead"])
@pytest.mark.parametrize("first", ["pre", "post", "after_add", "identity", "instead", "head"])
def test_a_failure_leaves_what_was_plugged_in_before(first, second):
    attention = {"instead": "dynamic_conv", "head": "attention_pool"}.get(first, "eca")
    net = holding(attention, first)()
    plain = answer(mixed(), picture())
    assert first == "head" or not torch.equal(answer(net, picture()), plain), "nothing would be seen of a loss"
    with untouched(net), pytest.raises(Exception):      # noqa: B017
        plug_in(net, third(stopped), second, stack=True, input_size=(12, 14))


def test_after_a_refusal_the_right_call_still_works():
    net, plain = mixed(), mixed()
    for wrong in (plug(nets.widen), plug(third(stopped), "identity"), plug(stages=9)):
        with pytest.raises(Exception):      # noqa: B017
            wrong(net)
    receipt = plug_in(net, "se", "both", input_size=(12, 14))
    assert len(receipt) == 6 and unplug(net) == 6
    assert torch.equal(answer(net, picture()), answer(plain, picture()))


@pytest.mark.parametrize("rest", [(), (nn.BatchNorm2d,)], ids=["alone", "at the front"])
@pytest.mark.parametrize("at", ["post", "identity"])
def test_a_module_that_overwrites_its_input_does_not_pass_for_the_identity(rest, at):
    """A copy of the input that is compared with what has been overwritten is equal to it."""
    net = stir(host()).eval()
    before = answer(net, picture())
    try:
        plug_in(net, lambda c: nn.Sequential(nn.ReLU(inplace=True), *(part(c) for part in rest)), at, input_size=(12, 14))
    except ValueError:      # a refusal is an answer too
        pass
    torch.testing.assert_close(answer(net, picture()), before, rtol=0, atol=1e-6)
