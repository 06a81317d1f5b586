"""One-line mistakes in the sockets files, for mutate.py: attention at the wrong step, and networks that are not given back.

Name, file, the text as it stands (exactly once in the file), the text with the mistake.
"""

BUILD, CHOOSE, HEAD, PATHS, PLACES, PLUG, PROBE, RECEIPT, REPLACE, SKIP, SURGERY, UNITS = (
    f"course_utils/sockets/{name}.py" for name in (
        "build", "choose", "head", "paths", "places", "plug", "probe", "receipt", "replace", "skip", "surgery", "units"))

# The tests of each file that can notice, the likeliest first: tests/test_sockets_NAME.py.
NOTICE = {
    BUILD: ("errors", "foreign", "surgery", "start"),
    CHOOSE: ("errors", "list"),
    HEAD: ("own", "placement"),
    PATHS: ("own", "placement", "unplug"),
    PLACES: ("list", "placement", "own"),
    PLUG: ("errors", "identity", "cases"),
    PROBE: ("cases", "list", "start"),
    RECEIPT: ("kernel", "receipt"),
    REPLACE: ("kernel", "placement", "torch"),
    SKIP: ("identity", "unplug"),
    SURGERY: ("forward", "identity", "unplug", "surgery"),
    UNITS: ("list", "placement", "cases"),
}

MUTANTS_SOCKETS = [
    ("surgery: order of plugging, not of the network", SURGERY, "sorted(after, key=lambda n: rank(n, AFTER))", "after"),
    ("surgery: after is before", SURGERY, '(before if side == "before" else after)', '(before if side != "before" else after)'),
    ("surgery: own forward ignored", SURGERY, "own = self._plugged_own\n        called_back", "own = None\n        called_back"),
    ("surgery: own forward hides the attention", SURGERY, '"_plugged_own" if name == "forward" else name, value', "name, value"),
    ("surgery: own forward that calls back is met again", SURGERY,
     "any(running is own for running in RUNNING.forwards)", "False"),
    ("surgery: one note for all threads", SURGERY, "class Running(threading.local):", "class Running:"),
    ("surgery: own forward that fails runs for ever", SURGERY, "            finally:\n",
     "            except ZeroDivisionError:\n                raise\n            else:\n"),
    ("surgery: own forward not given back", SURGERY,
     "host_class(type(module))\n    if own is not None:", "host_class(type(module))\n    if False:"),
    ("surgery: class not given back", SURGERY, "if not (before or after or skips):", "if False:"),
    ("surgery: part of the host overwritten", SURGERY, "while hasattr(module, name):", "while False:"),
    ("unplug: every socket, whichever was named", SURGERY, "if sockets is None or socket_of(n) in sockets]", "]"),
    ("unplug: mode of yesterday", SURGERY, "original.train(module.training)", "pass"),
    ("skip: the addition before", SKIP, "there[addition]", "there[addition - 1]"),
    ("skip: the branch for the skip", SKIP, "(operands[operand],))", "(operands[1 - operand],))"),
    ("skip: a second one before the first", SKIP, "operands[operand] = attended", "pass"),
    ("skip: parameters counted as paths", SKIP, "\n            and from_input.issuperset(node.all_input_nodes)]", "]"),
    ("skip: an optional input counted as given", SKIP, "from_input = {nodes[0]}",
     'from_input = {node for node in nodes if node.op == "placeholder"}'),
    ("instead: bias dropped", REPLACE, "y = y if self.bias is None else", "y = y if True else"),
    ("instead: layout lost", REPLACE, "y.contiguous(memory_format=torch.channels_last) if last else y", "y"),
    ("head: without its relu", REPLACE, "F.relu(x) if self.relu else x", "x"),
    ("instead: only one name of a shared module", REPLACE, "if child is old:\n                parent._modules[name] = new",
     "if child is old:\n                parent._modules[name] = new\n                return"),
    ("head: maximum taken for a mean", HEAD, "and is_mean(call)", "and True"),
    ("probe: in training mode", PROBE, "copy.deepcopy(net, memo).eval()", "copy.deepcopy(net, memo).train()"),
    ("probe: draws random numbers of the program", PROBE, "torch.random.fork_rng(devices=[]), torch.no_grad(), recorder",
     "torch.no_grad(), recorder"),
    ("probe: places of the plugged network", PROBE, "    if plain:\n", "    if False:\n"),
    ("build: new module in training mode", BUILD, ".train(like.training)", ".train()"),
    ("build: trial draws random numbers", BUILD, "torch.random.fork_rng(devices=[]), torch.no_grad():", "torch.no_grad():"),
    ("build: identity start not tried", BUILD, "(named or not changes_nothing(module, place))", "True"),
    ("plug: random numbers not given back", PLUG,
     "undo.callback(torch.random.set_rng_state, torch.random.get_rng_state())", "pass"),
    ("plug: attention left behind after a failure", PLUG, "undo.callback(take_out, joined, (part,))", "pass"),
    ("plug: replaced module left behind after a failure", PLUG, "undo.callback(replace, model, new, joined)", "pass"),
    ("plug: one by one", PLUG, "    made = [make_for(model, place, attention, start, options) for place in places]",
     "    made = (make_for(model, place, attention, start, options) for place in places)"),
    ("places: stages from zero", PLACES, "self.stages.index(unit.end.size) + 1", "self.stages.index(unit.end.size)"),
    ("places: first window for the last", PLACES,
     'inside[-1], "after", inside[-1].output', 'inside[0], "after", inside[0].output'),
    ("places: skip of the last block", PLACES, "made.output.index > unit.fork.index", "True"),
    ("paths: a shared ReLU is joined", PATHS, "return run.times(call) > 1 and not any", "return False and not any"),
    ("units: the branch is the lighter side", UNITS, "if left > right else", "if left < right else"),
    ("units: norm of another reader", UNITS, "return readers[0] if alone and", "return readers[0] if readers and"),
    ("choose: one name of several is enough", CHOOSE, "if not any(matches(p, pattern) for p in places):", "if False:"),
    ("receipt: kernels that were set aside are not counted", RECEIPT, "sum(self.added) - self.removed", "sum(self.added)"),
]
