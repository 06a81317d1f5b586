"""A formula of a docstring, worked out: "2 C h + h + C with h = max(1, C // r)"."""

import ast
import math
import operator
import re

SIGNS = {ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
         ast.FloorDiv: operator.floordiv, ast.Pow: operator.pow}
FUNCTIONS = {"max": max, "log2": math.log2}


def as_python(text):
    """With ** for a power, and * between what stands side by side."""
    text = re.sub(r"log2 (\w+)", r"log2(\1)", text.replace("^", "**"))
    return re.sub(r"(?<=[\w)]) (?=[\w(])", " * ", text)


def value(text, symbols):
    """Its value; what a "with h = ..." says is worked out where it is needed, all else comes from `symbols`."""
    text, *said = re.split(r",? with | and (?=\w+ = )", text.partition(";")[0])
    said = [re.split(",? (?:so|and) ", rule)[0] for rule in said]
    rules = dict(rule.split(" = ") for rule in said if re.match(r"\w+ = ", rule))

    def work_out(node):
        if isinstance(node, ast.Constant):
            return node.value
        if isinstance(node, ast.Name):
            return symbols[node.id] if node.id in symbols else parsed(rules[node.id])
        if isinstance(node, ast.Call):
            return FUNCTIONS[node.func.id](*map(work_out, node.args))
        return SIGNS[type(node.op)](work_out(node.left), work_out(node.right))

    def parsed(text):
        return work_out(ast.parse(as_python(text.removesuffix(", and").strip()), mode="eval").body)

    return parsed(text)
