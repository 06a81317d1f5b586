"""The gates written a second time, from their formulas, with the loops of `oracles_loops`.

Each takes a map (nested lists), the numbers of a module (its parameters and running statistics) and the options that change the
formula, and returns the output. Nothing here calls torch or the package.
"""

import math

from oracles_loops import (
    add,
    bilinear_by_loops,
    each,
    max_pool_by_loops,
    mean,
    nearest_by_loops,
    over_channels,
    over_positions,
    relu,
    shape,
    sigmoid,
    squares,
    table,
    times,
)

# ---- channel gates

def gct(x, p, eps):
    """Equations of arXiv 1909.11519; e is how strong each channel is, n is e compared with the others."""
    e = each(lambda alpha, s: alpha * math.sqrt(s + eps), p["alpha"], over_positions(x, squares))
    n = each(lambda v, total: v / math.sqrt(total / len(x[0]) + eps), e, over_channels(e, squares))
    return each(lambda v, s, gamma, beta: v * (1 + math.tanh(gamma * s + beta)), x, n, p["gamma"], p["beta"])


def srm(x, p, eps):
    def deviation(values):
        centre = mean(values)
        return math.sqrt(squares([v - centre for v in values]) / max(1, len(values) - 1) + eps)
    means, deviations = over_positions(x, mean), over_positions(x, deviation)
    style = table(len(x), len(x[0]), 1, 1, lambda b, k, i, j:
                  p["weight"][k][0] * means[b][k][0][0] + p["weight"][k][1] * deviations[b][k][0][0])
    return each(lambda v, logit: v * p.squash(logit), x, p.norm("norm", style))


def ge_learned(x, p, extent, mlp):
    _, c, h, w = shape(x)
    g = x
    for step in range({2: 1, 4: 2, 8: 3}[extent]):
        if step:
            g = relu(g)
        g = p.norm(f"gathering.{3 * step + 1}", p.conv(f"gathering.{3 * step}", g, stride=2, padding=1, groups=c))
    if mlp:
        g = p.conv("mlp.3", relu(p.conv("mlp.1", relu(g))))
    return each(lambda v, logit: v * p.squash(logit), x, nearest_by_loops(g, h, w))


def channel_weights(x, p, pool, name=""):
    pooled = {"mean": [mean], "max": [max], "both": [mean, max]}[pool]
    logits = [p.conv(f"{name}excite", relu(p.conv(f"{name}squeeze", over_positions(x, f)))) for f in pooled]
    return each(lambda *one: p.squash(sum(one)), *logits)


def channel_gate(x, p, pool):
    return times(x, channel_weights(x, p, pool))


# ---- spatial gates

def spatial_weights(x, p, kernel_size=7, norm=False, name=""):
    described = [[m[0], s[0]] for m, s in zip(over_channels(x, mean), over_channels(x, max), strict=True)]
    logits = p.conv(f"{name}conv", described, padding=kernel_size // 2)
    return each(p.squash, p.norm(f"{name}norm", logits) if norm else logits)


def spatial_gate(x, p, kernel_size):
    return times(x, spatial_weights(x, p, kernel_size))


def sse(x, p, name=""):
    (weight,), (bias,) = p[f"{name}conv.weight"], p[f"{name}conv.bias"]
    logits = over_channels(x, lambda v: sum(weight[k][0][0] * v[k] for k in range(len(v))) + bias)
    return each(lambda v, logit: v * p.squash(logit), x, logits)


def attention_gate(x, g, p, subsample):
    """Where the size is not a multiple of the stride, the last window sees zeros beyond the border."""
    n, c, h, w = shape(x)
    rows, columns = math.ceil(h / subsample), math.ceil(w / subsample)
    framed = table(n, c, rows * subsample, columns * subsample, lambda b, k, i, j: x[b][k][i][j] if i < h and j < w else 0.0)
    skip = p.conv("look", framed, stride=subsample)
    q = p.conv("psi", relu(add(skip, bilinear_by_loops(p.conv("ask", g), rows, columns))))
    return times(x, bilinear_by_loops(each(p.squash, q), h, w))


def residual_mask(x, p, levels, residual):
    def unit(name, u):
        v = u
        for layer, padding in ((0, 0), (3, 1), (6, 0)):
            v = p.conv(f"{name}.branch.{layer + 2}", relu(p.norm(f"{name}.branch.{layer}", v)), padding=padding)
        return add(u, v)
    sizes, u = [x], x
    for k in range(levels):
        u = unit(f"down.{k}", max_pool_by_loops(u))
        sizes.append(u)
    for k in range(levels - 1):
        skip = sizes[levels - 1 - k]
        u = unit(f"up.{k}", add(bilinear_by_loops(u, *shape(skip)[2:]), skip))
    u = bilinear_by_loops(u, *shape(x)[2:])
    u = p.conv("head.2", relu(p.norm("head.0", u)))
    logits = p.conv("head.5", relu(p.norm("head.3", u)))
    kept = 1 if residual and p.start == "as_made" else 0      # the identity start has 2 sigmoid in place of 1 + sigmoid
    return each(lambda v, logit: (kept + p.squash(logit)) * v, x, logits)


def lka(x, p):
    c = len(x[0])
    near = p.conv("near", x, padding=2, groups=c)
    return times(x, p.conv("join", p.conv("far", near, padding=9, dilation=3, groups=c)))


def pixel_gate(x, p):
    logits = p.conv("decide", relu(p.conv("look", x, padding=1)), padding=1)
    return each(lambda v, logit: v * p.squash(logit), x, logits)


# ---- combined gates

def cbam(x, p, order, pool, norm):
    def what(z):
        return channel_weights(z, p, pool, "what.")

    def where(z):
        return spatial_weights(z, p, 7, norm, "where.")
    if order == "parallel":
        return times(times(x, what(x)), where(x))
    first, second = (what, where) if order == "channel first" else (where, what)
    between = times(x, first(x))
    return times(between, second(between))


def bam(x, p, dilation, combine):
    c = p.norm("what.2", p.conv("what.1", p.conv("what.0", over_positions(x, mean))))
    s = p.conv("where.0", x)
    for layer in ("where.1", "where.2"):
        s = p.conv(layer, s, padding=dilation, dilation=dilation)
    s = p.norm("where.4", p.conv("where.3", s))
    logits = add(c, s) if combine == "sum" else times(c, s)
    return each(lambda v, logit: v * (1 + sigmoid(logit) if p.start == "as_made" else 2 * sigmoid(logit)), x, logits)


def scse(x, p, combine):
    c, s = times(x, channel_weights(x, p, "mean", "what.")), sse(x, p, "where.")
    if combine == "max":
        return each(max, c, s)
    return each(lambda a, b: a + b if p.start == "as_made" else (a + b) / 2, c, s)


def triplet(x, p, kernel_size):
    n, c, h, w = shape(x)
    pools = (max, mean)

    def plane(index, z):
        logits = p.norm(f"norms.{index}", p.conv(f"convs.{index}", z, padding=kernel_size // 2), momentum=0.01)
        return each(p.squash, logits)
    cw = plane(0, table(n, 2, c, w, lambda b, f, k, j: pools[f]([x[b][k][i][j] for i in range(h)])))
    hc = plane(1, table(n, 2, h, c, lambda b, f, i, k: pools[f]([x[b][k][i][j] for j in range(w)])))
    hw = plane(2, table(n, 2, h, w, lambda b, f, i, j: pools[f]([x[b][k][i][j] for k in range(c)])))
    return table(n, c, h, w, lambda b, k, i, j: x[b][k][i][j] * (cw[b][0][k][j] + hc[b][0][i][k] + hw[b][0][i][j]) / 3)


def aff_logits(s, p):
    def branch(name, z):
        hidden = relu(p.norm(f"{name}.1", p.conv(f"{name}.0", z)))
        return p.norm(f"{name}.4", p.conv(f"{name}.3", hidden))
    return add(branch("local", s), branch("whole", over_positions(s, mean)))


def aff(x, y, p):
    def fused(a, b, logit):
        w = sigmoid(logit)
        return 2 * (w * a + (1 - w) * b)
    return each(fused, x, y, aff_logits(add(x, y), p))


def aff_of_one(x, p):
    return each(lambda v, logit: v * p.squash(logit), x, aff_logits(x, p))


def simam(x, p, lambda_):
    n, c, h, w = shape(x)
    centre = over_positions(x, mean)
    d = each(lambda v, m: (v - m) ** 2, x, centre)
    v = each(lambda total: total / (h * w - 1) if h * w > 1 else 0.0, over_positions(d, sum))
    return each(lambda value, away, spread: value * sigmoid(away / (4 * (spread + lambda_)) + 0.5), x, d, v)
