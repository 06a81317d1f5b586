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


def lska(x, p, dilation):
    """Every convolution as long as its kernel says; the first pair without gaps, the second with."""
    c, u = len(x[0]), x
    for pair, gap in (("near", 1), ("far", dilation)):
        for layer in (0, 1):
            kernels, bias = p[f"{pair}.{layer}.weight"], p[f"{pair}.{layer}.bias"]
            u = along(u, kernels, bias, gap, down=layer)
    assert len(u[0]) == c
    return times(x, p.conv("join", u))


def along(x, kernels, bias, gap, down):
    """Depthwise, along the rows, or down the columns; zeros beyond the border."""
    n, c, h, w = shape(x)

    def value(b, k, i, j):
        weights = [row[0] for row in kernels[k][0]] if down else kernels[k][0][0]
        total = bias[k]
        for a, weight in enumerate(weights):
            step = (a - len(weights) // 2) * gap
            y, z = (i + step, j) if down else (i, j + step)
            if 0 <= y < h and 0 <= z < w:
                total += weight * x[b][k][y][z]
        return total
    return table(n, c, h, w, value)


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


def aff_logits(s, p, first=""):
    def branch(name, z):
        hidden = relu(p.norm(f"{name}.1", p.conv(f"{name}.0", z)))
        return p.norm(f"{name}.4", p.conv(f"{name}.3", hidden))
    return add(branch(f"{first}local", s), branch(f"{first}whole", over_positions(s, mean)))


def fused(a, b, logit):
    w = sigmoid(logit)
    return 2 * (w * a + (1 - w) * b)


def aff(x, y, p):
    return each(fused, x, y, aff_logits(add(x, y), p))


def aff_of_one(x, p):
    return each(lambda v, logit: v * p.squash(logit), x, aff_logits(x, p))


def simam(x, p, lambda_):
    n, c, h, w = shape(x)
    centre = over_positions(x, mean)
    d = each(lambda v, m: (v - m) ** 2, x, centre)
    v = each(lambda total: total / (h * w - 1) if h * w > 1 else 0.0, over_positions(d, sum))
    return each(lambda value, away, spread: value * sigmoid(away / (4 * (spread + lambda_)) + 0.5), x, d, v)


def iaff(x, y, p):
    """The maps of the first fusion decide the weights of the second, which are those of the two maps themselves."""
    first = each(fused, x, y, aff_logits(add(x, y), p, "first_"))
    return each(fused, x, y, aff_logits(first, p))


def iaff_of_one(x, p):
    first = each(lambda v, logit: v * p.squash(logit), x, aff_logits(x, p, "first_"))
    return each(lambda v, logit: v * p.squash(logit), x, aff_logits(first, p))


# ---- gates for groups of channels

def standardised(values, eps):
    """Divided by the deviation plus eps, the deviation with n - 1."""
    centre = mean(values)
    spread = math.sqrt(squares([v - centre for v in values]) / max(1, len(values) - 1))
    return [(v - centre) / (spread + eps) for v in values]


def sge(x, p, groups, eps):
    n, c, h, w = shape(x)
    k, out = c // groups, table(n, c, h, w, lambda b, c, i, j: 0.0)
    for b in range(n):
        for g in range(groups):
            members = range(g * k, (g + 1) * k)
            centre = {m: mean([v for row in x[b][m] for v in row]) for m in members}
            likeness = [sum(centre[m] * x[b][m][i][j] for m in members) for i in range(h) for j in range(w)]
            for place, v in enumerate(standardised(likeness, eps)):
                gate = p.squash(p["weight"][g][0] * v + p["bias"][g][0])
                for m in members:
                    out[b][m][place // w][place % w] = gate * x[b][m][place // w][place % w]
    return out


def channel_norm(plane, weight, bias, eps=1e-5):
    """One channel of one picture: over its own positions."""
    values = [v for row in plane for v in row]
    centre = mean(values)
    root = math.sqrt(squares([v - centre for v in values]) / len(values) + eps)
    return [[(v - centre) / root * weight + bias for v in row] for row in plane]


def shuffle(x, p, groups, interleaved):
    """Channel by channel: which group, which half of it, and where it goes."""
    n, c, h, w = shape(x)
    k, out = c // groups, [[None] * c for _ in range(n)]
    for b in range(n):
        for m in range(c):
            place, plane = m % k, x[b][m]
            if place < k // 2:
                z = mean([v for row in plane for v in row])
                logits = [[p["what_weight"][0][place][0][0] * z + p["what_bias"][0][place][0][0]] * w for _ in range(h)]
            else:
                place -= k // 2
                normed = channel_norm(plane, p["norm.weight"][place], p["norm.bias"][place])
                scale, shift = p["where_weight"][0][place][0][0], p["where_bias"][0][place][0][0]
                logits = [[scale * v + shift for v in row] for row in normed]
            to = m if not interleaved else 2 * m if m < c // 2 else 2 * (m - c // 2) + 1
            out[b][to] = [[v * p.squash(logit) for v, logit in zip(*rows, strict=True)]
                          for rows in zip(plane, logits, strict=True)]
    return out


def softmax(values):
    powers = [math.exp(v - max(values)) for v in values]
    return [power / sum(powers) for power in powers]


def ema(x, p, groups):
    """One group of one picture at a time, all with the same weights."""
    out = []
    for picture in x:
        k, parts = len(picture) // groups, []
        for g in range(groups):
            part = [picture[g * k:(g + 1) * k]]                                  # a batch of one
            _, _, h, w = shape(part)
            rows = p.conv("strips", [[[[mean(row)] for row in plane] for plane in part[0]]])
            columns = p.conv("strips", [[[[mean(column) for column in zip(*plane, strict=True)]] for plane in part[0]]])
            crossed = each(lambda v, r, c: v * sigmoid(r) * sigmoid(c), part, rows, columns)
            u = [channel_norm(crossed[0][c], p["norm.weight"][c], p["norm.bias"][c]) for c in range(k)]
            v = p.conv("near", part, padding=1)[0]
            by_u = softmax([mean([value for row in plane for value in row]) for plane in u])
            by_v = softmax([mean([value for row in plane for value in row]) for plane in v])
            gate = [[p.squash(sum(by_u[c] * v[c][i][j] + by_v[c] * u[c][i][j] for c in range(k))) for j in range(w)]
                    for i in range(h)]
            parts += times(part, [[gate]])[0]
        out.append(parts)
    return out


def ela(x, p, kernel_size, groups, eps=1e-5):
    n, c, h, w = shape(x)

    def along(strip):
        """Gates (N, C, L) from means (N, C, L)."""
        length, k, gates = len(strip[0][0]), c // groups, [[None] * c for _ in range(n)]
        for b in range(n):
            summed = [[sum(p["conv.weight"][m][0][a] * strip[b][m][i + a - kernel_size // 2] for a in range(kernel_size)
                           if 0 <= i + a - kernel_size // 2 < length) for i in range(length)] for m in range(c)]
            for g in range(groups):
                members = range(g * k, (g + 1) * k)
                values = [v for m in members for v in summed[m]]
                centre = mean(values)
                root = math.sqrt(squares([v - centre for v in values]) / len(values) + eps)
                for m in members:
                    gates[b][m] = [p.squash((v - centre) / root * p["norm.weight"][m] + p["norm.bias"][m]) for v in summed[m]]
        return gates
    rows = along([[[mean(row) for row in plane] for plane in picture] for picture in x])
    columns = along([[[mean(column) for column in zip(*plane, strict=True)] for plane in picture] for picture in x])
    return table(n, c, h, w, lambda b, m, i, j: x[b][m][i][j] * rows[b][m][i] * columns[b][m][j])
