"""Mixing, attention over branches and kernels, and the two ends of a network: by nested loops over plain numbers.

Written from the formulas of the papers, not from the modules; nothing is imported from the package. A picture is a nested
list [c][i][j]; `w` holds the parameters of a module by name, as `numbers(module)` gives them. Every function takes a batch
(N, C, H, W) and returns what the mechanism computes and its weights, as float64 tensors.
"""

import itertools
import math

import torch


def numbers(module):
    """Parameters and running statistics as nested lists; the kernels of 1x1 convolutions as matrices."""
    def plain(value):
        return (value.flatten(1) if value.ndim == 4 and value.shape[2:] == (1, 1) else value).tolist()
    return {name: plain(value) for name, value in module.state_dict().items()}


def tensor(lists):
    return torch.tensor(lists, dtype=torch.float64)


# ---- the parts

def dot(a, b):
    return sum(p * q for p, q in zip(a, b, strict=True))


def dense(w, name, vector):
    """The layer of that name: matrix times vector, and its bias where it has one."""
    rows = w[f"{name}.weight"]
    return [dot(row, vector) + b for row, b in zip(rows, w.get(f"{name}.bias", [0.0] * len(rows)), strict=True)]


def relu(values):
    return [max(0.0, v) for v in values]


def softmax(values):
    powers = [math.exp(v - max(values)) for v in values]
    return [p / sum(powers) for p in powers]


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def size(picture):
    return len(picture[0]), len(picture[0][0])


def places(picture):
    """[c][i][j] -> {(i, j): the values of all channels there}, in reading order."""
    h, w = size(picture)
    return {(i, j): [channel[i][j] for channel in picture] for i in range(h) for j in range(w)}


def picture_of(vectors):
    """The way back from `places`."""
    h, w = (1 + max(place[axis] for place in vectors) for axis in (0, 1))
    return [[[vectors[i, j][c] for j in range(w)] for i in range(h)] for c in range(len(vectors[0, 0]))]


def means(picture):
    h, w = size(picture)
    return [sum(map(sum, channel)) / (h * w) for channel in picture]


def window(picture, i, j, high, wide):
    """The values [c] of a window that starts at (i, j) and is cut off at the border, as one list per channel."""
    return [[v for row in channel[i:i + high] for v in row[j:j + wide]] for channel in picture]


def conv(picture, kernel, bias=None, stride=1, groups=1):
    """A convolution with an odd kernel [o][c][a][b] and zeros beyond the border, half a window wide."""
    (h, w), k, out = size(picture), len(kernel[0][0]), []
    for o, filters in enumerate(kernel):
        first = o // (len(kernel) // groups) * len(filters)      # the first input channel of its group
        out.append([[0.0 if bias is None else bias[o] for _ in range(0, w, stride)] for _ in range(0, h, stride)])
        for i, j, c, a, b in itertools.product(range(0, h, stride), range(0, w, stride), range(len(filters)), range(k), range(k)):
            row, column = i + a - k // 2, j + b - k // 2
            if 0 <= row < h and 0 <= column < w:
                out[o][i // stride][j // stride] += filters[c][a][b] * picture[first + c][row][column]
    return out


def relu_map(picture):
    return [[relu(row) for row in channel] for channel in picture]


def batch_norm(batch, w, name, training, eps=1e-5):
    """[n][c][i][j]: with the statistics of the batch in training, with the running ones in evaluation."""
    out = [[None] * len(picture) for picture in batch]
    for c in range(len(batch[0])):
        mean, variance = w[f"{name}.running_mean"][c], w[f"{name}.running_var"][c]
        if training:
            values = [v for picture in batch for row in picture[c] for v in row]
            mean = sum(values) / len(values)
            variance = sum((v - mean) ** 2 for v in values) / len(values)
        factor, shift = w[f"{name}.weight"][c] / math.sqrt(variance + eps), w[f"{name}.bias"][c]
        for n, picture in enumerate(batch):
            out[n][c] = [[(v - mean) * factor + shift for v in row] for row in picture[c]]
    return out


def norm_vectors(vectors, w, name, training):
    """The batch norm of one vector per picture."""
    out = batch_norm([[[[v]] for v in vector] for vector in vectors], w, name, training)
    return [[channel[0][0] for channel in picture] for picture in out]


def over_pictures(one, x, *arguments):
    """`one` for every picture of the batch; what it returns, stacked."""
    return tuple(tensor(list(parts)) for parts in zip(*(one(picture, *arguments) for picture in x.tolist()), strict=True))


# ---- mixing

def non_local(x, w, form="embedded", subsample=False, scale=1.0, norm=True, training=False):
    branches, maps = [], []
    for picture in x.tolist():
        here = there = places(picture)
        if subsample:
            h, wide = size(picture)
            there = {(i, j): [max(values) for values in window(picture, i, j, 2, 2)]
                     for i in range(0, h, 2) for j in range(0, wide, 2)}
        keys, values = [dense(w, "key", v) for v in there.values()], [dense(w, "value", v) for v in there.values()]
        branch, rows = {}, []
        for place, vector in here.items():
            logits = [scale * dot(dense(w, "query", vector), key) for key in keys]
            a = softmax(logits) if form == "embedded" else [v / len(keys) for v in logits]
            branch[place] = dense(w, "out", [dot(a, channel) for channel in zip(*values, strict=True)])
            rows.append(a)
        branches.append(picture_of(branch))
        maps.append([rows])
    branches = batch_norm(branches, w, "norm", training) if norm else branches
    return x + tensor(branches), tensor(maps)


def gc(x, w, eps=1e-5):
    def one(picture):
        here = places(picture)
        a = softmax([dense(w, "attend", v)[0] for v in here.values()])
        context = [dot(a, channel) for channel in zip(*here.values(), strict=True)]
        hidden = dense(w, "squeeze", context)
        mean = sum(hidden) / len(hidden)
        root = math.sqrt(sum((v - mean) ** 2 for v in hidden) / len(hidden) + eps)
        gain, shift = [[row[0][0] for row in w[f"norm.{part}"]] for part in ("weight", "bias")]
        added = dense(w, "excite", relu([(v - mean) / root * g + s for v, g, s in zip(hidden, gain, shift, strict=True)]))
        return [[[v + added[c] for v in row] for row in channel] for c, channel in enumerate(picture)], [a]
    return over_pictures(one, x)


def bot(x, w, heads, scale_position=True, position=True):
    def one(picture):
        (h, wide), here, d = size(picture), places(picture), len(picture) // heads
        qkv = {place: dense(w, "qkv", vector) for place, vector in here.items()}
        out, maps = {place: [] for place in here}, []
        for head in range(heads):
            q, k, v = ({place: row[part * heads * d + head * d:][:d] for place, row in qkv.items()} for part in range(3))
            rows = []
            for i in here:
                logits = []
                for j in here:
                    term = 0.0
                    if position:      # the middle of a table is "the same row", the last entry "H - 1 rows further down"
                        term = dot(q[i], w["rows"][j[0] - i[0] + h - 1]) + dot(q[i], w["columns"][j[1] - i[1] + wide - 1])
                    logits.append(dot(q[i], k[j]) / math.sqrt(d) + (term / math.sqrt(d) if scale_position else term))
                rows.append(softmax(logits))
                out[i] += [dot(rows[-1], channel) for channel in zip(*v.values(), strict=True)]
            maps.append(rows)
        return picture_of(out), maps
    return over_pictures(one, x)


def efficient(x, w):
    def one(picture):
        here = places(picture)
        q = [softmax(dense(w, "query", v)) for v in here.values()]                                   # [place][d]
        k = [softmax(list(row)) for row in zip(*(dense(w, "key", v) for v in here.values()), strict=True)]      # [d][place]
        values = list(zip(*(dense(w, "value", v) for v in here.values()), strict=True))              # [c][place]
        summaries = [[dot(channel, row) for row in k] for channel in values]                         # [c][d]
        out = {}
        for (place, vector), query in zip(here.items(), q, strict=True):
            mixed = dense(w, "out", [dot(row, query) for row in summaries])
            out[place] = [a + b for a, b in zip(vector, mixed, strict=True)]
        return picture_of(out), [[[dot(query, column) for column in zip(*k, strict=True)] for query in q]]
    return over_pictures(one, x)


def double(x, w):
    def one(picture):
        here = places(picture)
        a = list(zip(*(dense(w, "features", v) for v in here.values()), strict=True))                # [m][place]
        b = [softmax(list(bag)) for bag in zip(*(dense(w, "gather", v) for v in here.values()), strict=True)]   # [n][place]
        bags = [[dot(feature, bag) for bag in b] for feature in a]                                   # [m][n]
        out, rows = {}, []
        for place, vector in here.items():
            wanted = softmax(dense(w, "distribute", vector))
            mixed = dense(w, "out", [dot(bag, wanted) for bag in bags])
            out[place] = [p + q for p, q in zip(vector, mixed, strict=True)]
            rows.append([dot(wanted, column) for column in zip(*b, strict=True)])
        return picture_of(out), [rows]
    return over_pictures(one, x)


def criss_cross(x, w, passes):
    def one(picture):
        for _ in range(passes):
            here, out, rows = places(picture), {}, []
            q, k, v = ({place: dense(w, name, vector) for place, vector in here.items()} for name in ("query", "key", "value"))
            for i in here:
                cross = [j for j in here if j[0] == i[0] or j[1] == i[1]]
                a = dict(zip(cross, softmax([dot(q[i], k[j]) for j in cross]), strict=True))
                out[i] = [here[i][c] + w["gamma"] * sum(a[j] * v[j][c] for j in cross) for c in range(len(here[i]))]
                rows.append([a.get(j, 0.0) for j in here])
            picture = picture_of(out)
        return picture, [rows]
    return over_pictures(one, x)


def halo(x, w, heads, block, rim, scale_position=True):
    """Who belongs to which block is a division; a place outside the picture is not there at all."""
    def one(picture):
        here, d = places(picture), len(picture) // heads
        qkv = {place: dense(w, "qkv", vector) for place, vector in here.items()}
        out, maps = {place: [] for place in here}, []
        for head in range(heads):
            q, k, v = ({place: row[part * heads * d + head * d:][:d] for place, row in qkv.items()} for part in range(3))
            rows = []
            for i in here:
                top, left = i[0] // block * block, i[1] // block * block
                seen = [j for j in here if top - rim <= j[0] < top + block + rim and left - rim <= j[1] < left + block + rim]
                logits = []
                for j in seen:      # the middle of a table is "the same row"
                    term = (dot(q[i], w["rows"][j[0] - i[0] + block + rim - 1])
                            + dot(q[i], w["columns"][j[1] - i[1] + block + rim - 1]))
                    logits.append(dot(q[i], k[j]) / math.sqrt(d) + (term / math.sqrt(d) if scale_position else term))
                a = dict(zip(seen, softmax(logits), strict=True))
                out[i] += [sum(a[j] * v[j][c] for j in seen) for c in range(d)]
                rows.append([a.get(j, 0.0) for j in here])
            maps.append(rows)
        return picture_of(out), maps
    return over_pictures(one, x)


# ---- branches and kernels

def split(x, w, groups, radix, stride=1, training=False):
    """Block r G + g of the wide convolution is branch r of group g; each group chooses among its own branches."""
    wide = [conv(p, w["conv.weight"], None, stride, groups * radix) for p in x.tolist()]
    u = [relu_map(p) for p in batch_norm(wide, w, "norm", training)]
    width = len(u[0]) // radix // groups

    def block(picture, r, g):
        return picture[(r * groups + g) * width:][:width]

    def grouped(name, g, vector):
        rows, bias = w[f"{name}.weight"], w[f"{name}.bias"]
        share = len(rows) // groups
        return [dot(rows[o], vector) + bias[o] for o in range(g * share, (g + 1) * share)]

    hidden = []
    for picture in u:
        pooled = [[sum(parts) for parts in zip(*(means(block(picture, r, g)) for r in range(radix)), strict=True)]
                  for g in range(groups)]
        hidden.append([v for g in range(groups) for v in grouped("squeeze.0", g, pooled[g])])
    z = [relu(vector) for vector in norm_vectors(hidden, w, "squeeze.1", training)]
    out, weights = [], []
    for picture, vector in zip(u, z, strict=True):
        parts, chosen = [], [[] for _ in range(radix)]
        for g in range(groups):
            share = len(vector) // groups
            logits = grouped("select", g, vector[g * share:][:share])            # branch by branch, each `width` long
            for c in range(width):
                over = [logits[r * width + c] for r in range(radix)]
                a = softmax(over) if radix > 1 else [sigmoid(over[0])]
                layers = [block(picture, r, g)[c] for r in range(radix)]
                parts.append([[dot(a, values) for values in zip(*rows, strict=True)] for rows in zip(*layers, strict=True)])
                for r in range(radix):
                    chosen[r].append(a[r])
        out.append(parts)
        weights.append(chosen)
    return tensor(out), tensor(weights)


def mixed_kernel(picture, w, routing, stride, groups):
    """A convolution with the sum of the kernels, each times its weight."""
    rows = len(w["kernels"]) // len(routing)      # the kernels stand one below the other
    kernel = sum(r * tensor(w["kernels"][k * rows:(k + 1) * rows]) for k, r in enumerate(routing))
    kernel = kernel.reshape(*kernel.shape, *[1] * (4 - kernel.ndim)).tolist()      # a 1x1 kernel comes as a matrix
    return conv(picture, kernel, None, stride, groups)


def condconv(x, w, stride=1, groups=1):
    def one(picture):
        routing = [sigmoid(v) for v in dense(w, "router", means(picture))]
        return mixed_kernel(picture, w, routing, stride, groups), routing
    return over_pictures(one, x)


def dynamic_conv(x, w, temperature, stride=1, groups=1):
    def one(picture):
        logits = dense(w, "router", relu(dense(w, "squeeze", means(picture))))
        routing = softmax([v / temperature for v in logits])
        return mixed_kernel(picture, w, routing, stride, groups), routing
    return over_pictures(one, x)


def between(channel, row, column):
    """The value at a place between pixels; outside the picture everything is zero."""
    h, w, top, left, total = len(channel), len(channel[0]), math.floor(row), math.floor(column), 0.0
    for i, j in itertools.product((top, top + 1), (left, left + 1)):
        if 0 <= i < h and 0 <= j < w:
            total += (1 - abs(row - i)) * (1 - abs(column - j)) * channel[i][j]
    return total


def deform_conv(x, w, k=3, stride=1, groups=1):
    def one(picture):
        told, out, kernel = conv(picture, w["look.weight"], w["look.bias"], stride), [], w["kernel"]
        high, wide = size(told)
        weights = [[[sigmoid(v) for v in row] for row in told[2 * k * k + tap]] for tap in range(k * k)]
        offsets = [[told[2 * tap], told[2 * tap + 1]] for tap in range(k * k)]
        for o, filters in enumerate(kernel):
            first = o // (len(kernel) // groups) * len(filters)
            out.append([[0.0] * wide for _ in range(high)])
            for i, j, c, tap in itertools.product(range(high), range(wide), range(len(filters)), range(k * k)):
                row = i * stride + tap // k - k // 2 + offsets[tap][0][i][j]
                column = j * stride + tap % k - k // 2 + offsets[tap][1][i][j]
                value = between(picture[first + c], row, column)
                out[o][i][j] += filters[c][tap // k][tap % k] * weights[tap][i][j] * value
        return out, weights, offsets
    return over_pictures(one, x)


# ---- the two ends of a network

def sample(picture, theta):
    """Where the output pixel at (i, j) looks is theta [column, row, 1], from -1 to 1 between the outer edges of the picture."""
    h, w = size(picture)
    out = [[[0.0] * w for _ in range(h)] for _ in picture]
    for i, j in itertools.product(range(h), range(w)):
        to = [(2 * j + 1) / w - 1, (2 * i + 1) / h - 1, 1.0]
        column, row = ((dot(theta[0], to) + 1) * w - 1) / 2, ((dot(theta[1], to) + 1) * h - 1) / 2
        top, left = math.floor(row), math.floor(column)
        for a, b in itertools.product((top, top + 1), (left, left + 1)):
            if 0 <= a < h and 0 <= b < w:
                for c, channel in enumerate(picture):
                    out[c][i][j] += (1 - abs(row - a)) * (1 - abs(column - b)) * channel[a][b]
    return out


def stn(x, w):
    def one(picture):
        seen = picture
        for layer in ("localise.0", "localise.2"):
            seen = relu_map(conv(seen, w[f"{layer}.weight"], w[f"{layer}.bias"], 2))
        h, wide = size(seen)
        pooled = []
        for channel, a, b in itertools.product(seen, range(4), range(4)):
            rows = channel[a * h // 4:-(-(a + 1) * h // 4)]
            cell = [v for row in rows for v in row[b * wide // 4:-(-(b + 1) * wide // 4)]]
            pooled.append(sum(cell) / len(cell))
        flat = dense(w, "last", relu(dense(w, "localise.6", pooled)))
        theta = [flat[:3], flat[3:]]
        return sample(picture, theta), theta
    return over_pictures(one, x)


def patches(x, w, size_of_patch, factor, k, read=None):
    """Evaluation: the k most likely places of the small copy; a patch around the middle of each, moved inside the picture."""
    def one(picture):
        h, wide = size(picture)
        copy = [[[sum(cell) / len(cell) for j in range(wide // factor)
                  for cell in window([channel], i * factor, j * factor, factor, factor)] for i in range(h // factor)]
                for channel in picture]
        for layer in (0, 2, 4):
            copy = conv(copy, w[f"scorer.{layer}.weight"], w.get(f"scorer.{layer}.bias"))
            copy = copy if layer == 4 else relu_map(copy)
        here = places(copy)
        p = dict(zip(here, softmax([v[0] for v in here.values()]), strict=True))
        best = sorted(p, key=p.get, reverse=True)[:k]
        corners = [corner(place, factor, size_of_patch, h, wide) for place in best]
        total, answer = sum(p[place] for place in best), 0.0
        for place, (i, j) in zip(best, corners, strict=True):
            cut = tensor([[row[j:j + size_of_patch] for row in channel[i:i + size_of_patch]] for channel in picture])
            answer = answer + p[place] / total * (cut if read is None else read(cut[None])[0])
        return answer.tolist(), picture_of({place: [v] for place, v in p.items()}), corners
    return over_pictures(one, x)


def corner(place, factor, side, h, w):
    """Top and left of the patch around the middle of a place of the copy, as far inside as it takes."""
    wanted = [at * factor + factor // 2 - side // 2 for at in place]
    return tuple(min(max(start, 0), length - side) for start, length in zip(wanted, (h, w), strict=True))


def attention_pool(x, w):
    def one(picture):
        here = places(picture)
        a = softmax([dense(w, "score", [math.tanh(v) for v in dense(w, "look", vector)])[0] for vector in here.values()])
        return [dot(a, channel) for channel in zip(*here.values(), strict=True)], [a]
    return over_pictures(one, x)
