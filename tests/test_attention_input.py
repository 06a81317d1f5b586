"""Every registered mechanism: wrong input and wrong arguments are refused with words that help, at the earliest moment."""

import copy
import inspect

import pytest
import torch
from properties import ARGUMENTS, each, each_name, fits, out_shape, picture

from course_utils import attention
from course_utils.attention import AFF, AttentionGate, BoT, PatchSelection

NEEDS_TWO = "its batch norm needs more than one value per channel in training"
SMALL = [(1, 8, 5, 7), (1, 8, 1, 1), (2, 8, 1, 1), (1, 8, 1, 9), (1, 8, 2, 1)]      # a batch of one, a single pixel, a line


@pytest.mark.parametrize("shape", SMALL, ids=str)
@each
def test_a_batch_of_one_and_a_single_pixel_work_or_are_refused(case, shape):
    shape = case.shape(*shape)
    module, x = case.build(shape), picture(*shape, dtype=torch.float32)
    if not fits(module, shape):
        with pytest.raises(ValueError, match=rf"PatchSelection: .* do not fit a picture of .*{shape[2]}, {shape[3]}\)"):
            module(x)
        return
    y = module.eval()(x)      # evaluation always works
    assert y.shape == out_shape(module, shape) and torch.isfinite(y).all()
    module.train()
    before = copy.deepcopy(module.state_dict())
    if module.norm_values(x) >= 2:
        assert torch.isfinite(module(x)).all()
        return
    with pytest.raises(ValueError, match=f"{type(module).__name__}: {NEEDS_TWO}.*module.eval()"):
        module(x)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())
    module.norm_values = lambda x: 2
    with pytest.raises(ValueError, match="Expected more than 1 value per channel when training"):      # not refused for nothing
        module(x)


@pytest.mark.parametrize("channels", [0, -3, 2.0, "8", None, True])
@each_name
def test_channels_must_be_a_positive_integer(name, channels):
    with pytest.raises(ValueError, match=f"{attention.REGISTRY[name].__name__}: channels must be an integer of at least 1, got"):
        attention.build(name, channels)


@pytest.mark.parametrize("x, message", [
    (torch.zeros(8, 5, 5), r"wants a feature map of 4 dimensions.*got \(8, 5, 5\).*x\[None\]"),
    (torch.zeros(1, 8, 5, 5, 5), "wants a feature map of 4 dimensions"),
    (torch.zeros(1, 8, 5, 5, dtype=torch.uint8), "wants floating-point numbers, got torch.uint8"),
    (torch.zeros(1, 7, 5, 5), "was made for 8 channels, got 7"),
    (torch.zeros(0, 8, 5, 5), "got an empty tensor"),
    (torch.zeros(2, 8, 0, 5), "got an empty tensor"),
], ids=["no batch", "five", "bytes", "channels", "no picture", "no row"])
@each_name
def test_wrong_input_is_refused_with_what_is_wanted(name, x, message):
    module = attention.build(name, 8)
    before = copy.deepcopy(module.state_dict())
    with pytest.raises(ValueError, match=f"{type(module).__name__}: {message}"):
        module(x)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


@each_name
def test_start_is_one_that_the_mechanism_has(name):
    cls = attention.REGISTRY[name]
    with pytest.raises(ValueError, match=f"{cls.__name__}: start must be one of 'as_made', 'identity', got 'zero'"):
        attention.build(name, 8, start="zero")
    if "identity" not in cls.starts:
        with pytest.raises(ValueError, match=f"{cls.__name__}: has no 'identity' start.*Use start='as_made'"):
            attention.build(name, 8, start="identity")


COUNT = "must be an integer of at least 1, got"
FLOAT = "must be positive, got"
WRONG = [
    ("se", {"hidden": 0}, COUNT), ("spatial_gate", {"dilation": 0}, COUNT),
    ("se", {"reduction": 0}, COUNT), ("se", {"reduction": 2.0}, COUNT), ("se", {"reduction": True}, COUNT),
    ("eca", {"kernel_size": 4}, "must be odd, so that a position is the centre of its window, got 4"),
    ("eca", {"kernel_size": -1}, COUNT),
    ("gct", {"eps": 0}, FLOAT),
    ("srm", {"eps": -1e-5}, FLOAT),
    ("ge", {"extent": 3}, "must be 0 .the whole map. or an even number, got 3"), ("ge", {"extent": -2}, "got -2"),
    ("ge", {"extent": 2.0}, "got 2.0"),
    ("ge_learned", {"extent": 6}, "must be a power of two, at least 2, got 6"),
    ("ge_learned", {"extent": 0}, "must be a power of two, at least 2, got 0"), ("ge_learned", {"reduction": 0}, COUNT),
    ("channel_gate", {"reduction": 0}, COUNT),
    ("channel_gate", {"pool": "sum"}, "must be one of 'both', 'mean', 'max', got 'sum'"),
    ("spatial_gate", {"kernel_size": 2}, "must be odd"),
    ("attention_gate", {"gating_channels": 0}, COUNT), ("attention_gate", {"hidden": 0}, COUNT),
    ("attention_gate", {"subsample": 0}, COUNT),
    ("residual_mask", {"levels": 0}, COUNT),
    ("cbam", {"reduction": 0}, COUNT), ("cbam", {"kernel_size": 6}, "must be odd"), ("cbam", {"pool": "min"}, "must be one of"),
    ("cbam", {"order": "sequential"}, "must be one of 'channel first', 'spatial first', 'parallel', got 'sequential'"),
    ("bam", {"reduction": 0}, COUNT), ("bam", {"dilation": 0}, COUNT),
    ("bam", {"combine": "max"}, "must be one of 'sum', 'product'"),
    ("scse", {"reduction": 0}, COUNT), ("scse", {"combine": "product"}, "must be one of 'max', 'sum', got 'product'"),
    ("coordinate", {"reduction": 0}, COUNT),
    ("triplet", {"kernel_size": 8}, "must be odd"),
    ("simam", {"lambda_": 0}, FLOAT),
    ("aff", {"reduction": 0}, COUNT), ("iaff", {"reduction": 0}, "IAFF: reduction must be an integer of at least 1, got 0"),
    ("grn", {"eps": 0}, FLOAT),
    ("lska", {"side": 21}, "side must be one of 7, 11, 23, 35, 41, 53, got 21"),
    ("sge", {"groups": 0}, COUNT), ("sge", {"eps": 0}, FLOAT),
    ("ela", {"kernel_size": 4}, "must be odd"), ("ela", {"groups": 0}, COUNT),
    ("ema", {"factor": 0}, COUNT),
    ("shuffle", {"groups": 0}, COUNT),
    ("shuffle", {"shuffle": True, "start": "identity"}, "an identity start with shuffle=True would put every channel"),
    ("non_local", {"hidden": 0}, COUNT), ("non_local", {"form": "gaussian"}, "must be one of 'embedded', 'dot', got 'gaussian'"),
    ("gc", {"reduction": 0}, COUNT),
    ("bot", {"heads": 3}, "channels must be divisible by heads, got channels=8, heads=3"), ("bot", {"heads": 0}, COUNT),
    ("bot", {"size": (0, 5)}, COUNT), ("bot", {"size": (5, 0)}, COUNT), ("bot", {"size": 5}, "size"),
    ("halo", {"heads": 3}, "channels must be divisible by heads, got channels=8, heads=3"), ("halo", {"heads": 0}, COUNT),
    ("halo", {"block": 0}, COUNT), ("halo", {"halo": -1}, "halo must be an integer of at least 0, got -1"),
    ("halo", {"halo": 1.0}, "got 1.0"), ("halo", {"halo": True}, "got True"),
    ("efficient", {"hidden": 0}, COUNT),
    ("criss_cross", {"reduction": 0}, COUNT), ("criss_cross", {"passes": 0}, COUNT),
    ("double", {"features": 0}, COUNT), ("double", {"bags": 0}, COUNT),
    *((name, {argument: 0}, COUNT) for name in ("sk", "split", "condconv", "dynamic_conv", "deform_conv")
      for argument in ("out_channels", "stride", "groups")),
    *((name, {"groups": 3}, "groups must divide channels and out_channels, got groups=3, channels=8, out_channels=8")
      for name in ("sk", "split", "condconv", "dynamic_conv", "deform_conv")),
    ("sk", {"groups": 2, "out_channels": 3}, "groups must divide channels and out_channels"),
    ("sk", {"branches": 1}, "branches must be at least 2"), ("sk", {"branches": 0}, COUNT), ("sk", {"reduction": 0}, COUNT),
    ("sk", {"smallest": 0}, COUNT),
    ("split", {"radix": 3}, "radix times groups must divide channels, got radix=3, groups=1, channels=8"),
    ("split", {"radix": 0}, COUNT), ("split", {"radix": 4, "groups": 4}, "radix times groups"),
    ("split", {"reduction": 0}, COUNT),
    *((name, {"kernel_size": 2}, "must be odd") for name in ("condconv", "dynamic_conv", "deform_conv")),
    *((name, {"kernels": 0}, COUNT) for name in ("condconv", "dynamic_conv")),
    ("dynamic_conv", {"reduction": 0}, COUNT), ("dynamic_conv", {"temperature": 0}, FLOAT),
    *((name, {"start": "identity", "stride": 2}, "needs out_channels = channels and stride 1, got 8, 8 and stride 2")
      for name in ("dynamic_conv", "deform_conv")),
    *((name, {"start": "identity", "out_channels": 4}, "needs out_channels = channels and stride 1, got 4, 8")
      for name in ("dynamic_conv", "deform_conv")),
    ("pixel_gate", {"hidden": 0}, COUNT),
    ("stn", {"hidden": 0}, COUNT),
    *(("patches", {argument: 0}, COUNT) for argument in ("size", "factor", "patches", "patches_eval", "hidden")),
    ("attention_pool", {"hidden": 0}, COUNT),
]


@pytest.mark.parametrize("name, options, message", WRONG, ids=[f"{n}-{o}".replace(" ", "") for n, o, _ in WRONG])
def test_wrong_arguments_are_refused(name, options, message):
    with pytest.raises(ValueError, match=message) as caught:
        attention.build(name, 8, **options)
    assert any(argument in str(caught.value) for argument in options)


@each_name
def test_every_argument_has_a_wrong_value(name):
    """Yes-or-no arguments, a module, and a number that may be any have none."""
    defaults = {key: p.default for key, p in inspect.signature(attention.REGISTRY[name]).parameters.items()}
    free = {key for key, value in defaults.items() if isinstance(value, bool)} | {"read", "open", "scale", "channels", "start"}
    tried = {argument for other, options, _ in WRONG for argument in options if other == name}
    assert set(ARGUMENTS[name]) - free <= tried, "put a wrong value of each into WRONG, above"


@pytest.mark.parametrize("call, message", [
    (lambda: BoT(8, size=(5, 9))(torch.zeros(1, 8, 9, 5)), r"BoT: made for maps of 5x9, got \(1, 8, 9, 5\).*size=\(9, 5\)"),
    (lambda: AttentionGate(8, gating_channels=4)(torch.zeros(1, 8, 6, 6)), "call it with two maps"),
    (lambda: AttentionGate(8, gating_channels=4)(torch.zeros(1, 8, 6, 6), torch.zeros(1, 8, 3, 3)), "are they exchanged"),
    (lambda: AttentionGate(8)(torch.zeros(2, 8, 6, 6), torch.zeros(1, 8, 3, 3)), r"g must be \(2, 8, h, w\), got \(1, 8, 3, 3\)"),
    (lambda: AttentionGate(8)(torch.zeros(2, 8, 6, 6), torch.zeros(2, 8, 3)), r"g must be \(2, 8, h, w\)"),
    (lambda: AFF(8)(torch.zeros(2, 8, 6, 5), torch.zeros(2, 8, 5, 6)), r"AFF: y must be .*\(2, 8, 6, 5\).*got.*\(2, 8, 5, 6\)"),
    (lambda: AFF(8)(torch.zeros(2, 8, 6, 6), torch.zeros(2, 4, 6, 6)), r"AFF: y must be .*a 1x1 convolution"),
    (lambda: AFF(8)(torch.zeros(2, 8, 6, 6), torch.zeros(2, 1, 6, 6)), "AFF: y must be "),
    (lambda: AFF(8)(torch.zeros(2, 8, 6, 6), torch.zeros(1, 8, 6, 6)), "AFF: y must be "),
    (lambda: AFF(8)(torch.zeros(2, 8, 6, 6), torch.zeros(8, 6, 6)), "AFF: y must be "),
    (lambda: AFF(8)(torch.zeros(2, 8, 6, 6), torch.zeros(2, 8, 6, 6, dtype=torch.uint8)), "AFF: y must be .*got torch.uint8"),
    (lambda: AFF(8)(torch.zeros(1, 8, 6, 6), torch.zeros(1, 8, 6, 6)), f"AFF: {NEEDS_TWO}"),
    (lambda: PatchSelection(3)(torch.zeros(1, 3, 20, 40)), "4 patches of 24x24, .* do not fit a picture of"),
    (lambda: PatchSelection(3, patches=2, patches_eval=50).eval()(torch.zeros(1, 3, 28, 28)), "50 patches of 24x24"),
], ids=["bot", "attention_gate-one", "attention_gate-other", "attention_gate-batch", "attention_gate-flat", "aff-size",
        "aff-channels", "aff-one", "aff-batch", "aff-flat", "aff-bytes", "aff-training", "patches", "patches-eval"])
def test_a_map_of_the_wrong_size_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@each_name
def test_hidden_width_never_falls_to_zero(name):
    """Fewer channels than the reduction: a layer of width zero would run, and hand on zeros."""
    module = attention.build(name, 1)
    assert all(p.numel() > 0 for p in module.parameters())
