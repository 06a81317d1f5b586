"""Convolution, batch norm, pooling and resizing as loops over plain Python numbers: slow and easy to follow.

Maps are nested lists, x[sample][channel][row][column]. Nothing here calls torch or the package.
"""

import math


def shape(x):
    return len(x), len(x[0]), len(x[0][0]), len(x[0][0][0])


def table(n, c, h, w, value):
    """A map from a function of sample, channel, row and column."""
    return [[[[value(b, k, i, j) for j in range(w)] for i in range(h)] for k in range(c)] for b in range(n)]


def each(f, *maps):
    """f, value by value; a dimension of size 1 serves every index, as in a formula."""
    sizes = [max(dimension) for dimension in zip(*map(shape, maps), strict=True)]
    assert all(one in (1, size) for m in maps for one, size in zip(shape(m), sizes, strict=True)), [shape(m) for m in maps]

    def value(b, k, i, j):
        found = []
        for m in maps:
            n, c, h, w = shape(m)
            found.append(m[b % n][k % c][i % h][j % w])
        return f(*found)
    return table(*sizes, value)


def mean(values):
    return sum(values) / len(values)


def squares(values):
    return sum(v * v for v in values)


def sigmoid(v):
    return 1 / (1 + math.exp(-v))


def relu(x):
    return each(lambda v: max(0.0, v), x)


def add(a, b):
    return each(lambda v, w: v + w, a, b)


def times(a, b):
    return each(lambda v, w: v * w, a, b)


def over_positions(x, f):
    """(N, C, 1, 1): f of all values of each channel."""
    n, c, _, _ = shape(x)
    return table(n, c, 1, 1, lambda b, k, i, j: f([v for row in x[b][k] for v in row]))


def over_channels(x, f):
    """(N, 1, H, W): f of all channels at each position."""
    n, _, h, w = shape(x)
    return table(n, 1, h, w, lambda b, k, i, j: f([plane[i][j] for plane in x[b]]))


def conv2d_by_loops(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    n, _, h, w = shape(x)
    out, per_group, rows, columns = shape(weight)

    def value(b, o, i, j):
        first = o // (out // groups) * per_group      # the first input channel of this group
        total = bias[o] if bias is not None else 0.0
        for c in range(per_group):
            for p in range(rows):
                for q in range(columns):
                    y, z = i * stride - padding + p * dilation, j * stride - padding + q * dilation
                    if 0 <= y < h and 0 <= z < w:
                        total += weight[o][c][p][q] * x[b][first + c][y][z]
        return total
    height = (h + 2 * padding - dilation * (rows - 1) - 1) // stride + 1
    width = (w + 2 * padding - dilation * (columns - 1) - 1) // stride + 1
    return table(n, out, height, width, value)


def batch_statistics(x):
    """Mean and variance (divided by the number of values) of each channel over samples and positions; that number."""
    n, c, h, w = shape(x)
    values = [[v for b in range(n) for row in x[b][k] for v in row] for k in range(c)]
    means = [mean(one) for one in values]
    return means, [mean([(v - m) ** 2 for v in one]) for one, m in zip(values, means, strict=True)], n * h * w


def batch_norm_by_loops(x, weight, bias, means, variances, eps=1e-5):
    return table(*shape(x), lambda b, k, i, j:
                 (x[b][k][i][j] - means[k]) / math.sqrt(variances[k] + eps) * weight[k] + bias[k])


def max_pool_by_loops(x):
    """3x3, stride 2, one position beyond each border."""
    n, c, h, w = shape(x)
    return table(n, c, (h + 1) // 2, (w + 1) // 2, lambda b, k, i, j:
                 max(x[b][k][p][q] for p in range(max(0, 2 * i - 1), min(h, 2 * i + 2))
                     for q in range(max(0, 2 * j - 1), min(w, 2 * j + 2))))


def nearest_by_loops(x, height, width):
    n, c, h, w = shape(x)
    return table(n, c, height, width, lambda b, k, i, j: x[b][k][i * h // height][j * w // width])


def bilinear_by_loops(x, height, width):
    """The borders of the two maps are aligned, not the centres of their corner pixels."""
    n, c, h, w = shape(x)

    def source(index, old, new):
        place = max(0.0, (index + 0.5) * old / new - 0.5)
        low = min(int(place), old - 1)
        return low, min(low + 1, old - 1), place - low

    def value(b, k, i, j):
        (top, bottom, s), (left, right, t), plane = source(i, h, height), source(j, w, width), x[b][k]
        return ((1 - s) * ((1 - t) * plane[top][left] + t * plane[top][right])
                + s * ((1 - t) * plane[bottom][left] + t * plane[bottom][right]))
    return table(n, c, height, width, value)


class Numbers:
    """The parameters and running statistics of a module, and the layers that use them, by name."""

    def __init__(self, state, start="as_made", training=False):
        self.values = {key: value.tolist() for key, value in state.items()}
        self.start, self.training = start, training

    def __getitem__(self, key):
        return self.values[key]

    def squash(self, logit):
        return sigmoid(logit) if self.start == "as_made" else 2 * sigmoid(logit)

    def conv(self, name, x, **options):
        return conv2d_by_loops(x, self[f"{name}.weight"], self.values.get(f"{name}.bias"), **options)

    def norm(self, name, x, momentum=0.1):
        """Batch norm; in training it moves the running statistics, to which the variance goes divided by m - 1."""
        if not self.training:
            means, variances = self[f"{name}.running_mean"], self[f"{name}.running_var"]
        else:
            means, variances, m = batch_statistics(x)
            for key, seen in (("running_mean", means), ("running_var", [v * m / (m - 1) for v in variances])):
                self.values[f"{name}.{key}"] = [(1 - momentum) * old + momentum * new
                                                for old, new in zip(self[f"{name}.{key}"], seen, strict=True)]
        return batch_norm_by_loops(x, self[f"{name}.weight"], self[f"{name}.bias"], means, variances)
