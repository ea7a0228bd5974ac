"""What a synthetic dataset was made by: enough to tell whether a folder is still up to date."""

from __future__ import annotations

import ast
import hashlib
from pathlib import Path
from typing import Any

from data_prep.synthetic.attacks.surrogate import WEIGHTS
from data_prep.synthetic.camera import CAPTURE_SIZE

GENERATOR = "data_prep.synthetic"
_HERE = Path(__file__).parent
_SHARED = ("../contract/leave_out", "../taxonomy")


def code_digest(*leave_out: str, weights: bool) -> str:
    """A digest of what the generator's code does: comments, docstrings and layout do not count.

    Args:
        leave_out: modules of ``data_prep.synthetic`` that the dataset does not use.
        weights: whether the surrogate's weights belong to it.
    """
    digest = hashlib.sha256()
    files = [path for path in _HERE.rglob("*.py") if path.stem not in leave_out]
    names = [path.relative_to(_HERE).with_suffix("").as_posix() for path in files]
    for name in sorted([*names, *_SHARED]):
        digest.update(name.encode() + _meaning(_HERE / f"{name}.py").encode())
    # Where units run changes no byte; how their seeds are derived changes all of them.
    digest.update(_meaning(_HERE / "../building/parallel.py", "derive_seed").encode())
    if weights and WEIGHTS.is_file():
        digest.update(WEIGHTS.read_bytes())
    return digest.hexdigest()[:16]


def dataset_info(name: str, recipe: dict[str, Any]) -> dict[str, Any]:
    """What ``dataset.json`` says of a synthetic dataset, before counts and checksums."""
    return {
        "name": name,
        "version": "1",
        "licence": "CC0-1.0",
        "seed": recipe["seed"],
        "generator": GENERATOR,
        "image_size": CAPTURE_SIZE,
        "recipe": recipe,
    }


def _meaning(path: Path, function: str | None = None) -> str:
    """The code of a module, or of one function of it, without comments, docstrings, layout."""
    tree = ast.parse(path.read_text("utf-8"))
    if function is not None:
        tree.body = [node for node in tree.body if getattr(node, "name", None) == function]
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [part for part in body if not _is_text(part)] or [ast.Pass()]
    return ast.unparse(tree)


def _is_text(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )
