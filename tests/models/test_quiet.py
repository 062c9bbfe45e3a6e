"""TensorFlow's remarks stay off the terminal, in whatever process and by whatever way it comes."""

import ast
from pathlib import Path

import regreveal

PACKAGE = Path(regreveal.__file__).parent
# What loads it after the package of models has; see their first lines.
AFTER = {"registration/voxelmorph_layers.py", "registration/voxelmorph_refining.py"}
AFTER |= {"registration/voxelmorph_adapter.py", "genetics/kernel/keras_product.py"}


def imported(path):
    """Modules that a file imports, but for what it names to type checkers only."""
    tree = ast.parse(path.read_text())
    conditions = [node for node in ast.walk(tree) if isinstance(node, ast.If)]
    typing = [node for node in conditions if ast.unparse(node.test) == "TYPE_CHECKING"]
    hidden = {id(child) for node in typing for child in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and id(node) not in hidden:
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and id(node) not in hidden:
            yield node.module.partition(".")[0]


def test_only_the_package_of_models_loads_keras_which_others_take_from_it():
    elsewhere = {
        path.relative_to(PACKAGE).as_posix()
        for path in PACKAGE.rglob("*.py")
        if "models" not in path.parts and {"keras", "tensorflow", "tf_keras"} & set(imported(path))
    }
    assert elsewhere == AFTER
