"""A standalone program: writes the classes and functions of a Python file into NAME.outline. It knows no Lightwork.

python examples/outline.py FILE
"""

import ast
import pathlib
import sys

DEFINITIONS = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def outline(body, depth=0):
    for node in body:
        if isinstance(node, DEFINITIONS):
            kind = "class" if isinstance(node, ast.ClassDef) else "def"
            yield f"{'    ' * depth}{kind} {node.name}  (line {node.lineno})"
            yield from outline(node.body, depth + 1)


if __name__ == "__main__":
    source = pathlib.Path(sys.argv[1])
    lines = list(outline(ast.parse(source.read_bytes()).body))
    pathlib.Path(source.name).with_suffix(".outline").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    print(f"{source.name}: {len(lines)} definitions")
