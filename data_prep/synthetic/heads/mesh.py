"""The head: MakeHuman's mesh with its shape targets, subdivided once.

Lengths are in decimeters, x to the right of the image, y up, and z out of the face. The mesh
holds the head, neck, and shoulders, eyeballs, teeth, tongue, and lashes.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import safe_open
from scipy import sparse

from data_prep.synthetic.heads.steady import cross, unit
from data_prep.synthetic.heads.subdivision import catmull_clark, subdivide_corners

Array = np.ndarray
HEAD_FILE = Path(__file__).parent / "data" / "head.safetensors"

PARTS = (
    "body",
    "helper-l-eye",
    "helper-r-eye",
    "helper-upper-teeth",
    "helper-lower-teeth",
    "helper-tongue",
    "helper-l-eyelashes-1",
    "helper-l-eyelashes-2",
    "helper-r-eyelashes-1",
    "helper-r-eyelashes-2",
)
"""Groups of faces in MakeHuman's file; their numbers are those of ``Head.part``."""
SKIN, TORSO, LEFT_EYE, RIGHT_EYE, UPPER_TEETH, LOWER_TEETH, TONGUE, LASHES = range(8)
"""Kinds of triangles: the body's faces are split into the head's and the torso's."""
_FIRST_HEAD_U = 0.635
"""Texture coordinate at which the atlas of the head starts."""
MASKS = ("lips", "eyelids", "ears", "inside-mouth")

ATLAS = (0.6375, 0.996, 0.008, 0.822)
"""The part of texture space that the head covers: first and last u, first and last v."""
ATLAS_SCALE = 800
"""Texels per unit of texture space; the atlas has u downward and v to the right."""
RACES = ("caucasian", "african", "asian")


@dataclass(frozen=True)
class Head:
    """Everything about the mesh that no person changes. Quads are (faces, 4)."""

    vertices: Array
    """Places without any target, (vertices, 3) float32."""
    faces: Array
    part: Array
    """Index into PARTS of each face."""
    target_names: tuple[str, ...]
    targets: sparse.csc_matrix
    """Shifts of all coordinates, (3 * vertices, targets)."""
    subdivide: sparse.csr_matrix
    """(fine vertices, vertices)."""
    fine_faces: Array
    fine_uv: Array
    """Texture coordinates of the corners of fine faces, (fine faces, 4, 2)."""
    fine_kind: Array
    """SKIN to LASHES of each fine face."""
    faces_at: sparse.csr_matrix
    """Which fine faces meet at a fine vertex, (fine vertices, fine faces)."""

    @functools.cached_property
    def target_number(self) -> dict[str, int]:
        return {name: number for number, name in enumerate(self.target_names)}

    @functools.cached_property
    def facial(self) -> tuple[sparse.csc_matrix, dict[str, int]]:
        """The facial actions alone, and the number of each by its name without the prefix."""
        columns = [i for i, name in enumerate(self.target_names) if name.startswith("face/")]
        names = [self.target_names[i].removeprefix("face/") for i in columns]
        return self.targets[:, columns].tocsc(), {name: k for k, name in enumerate(names)}

    @functools.cached_property
    def triangles(self) -> Array:
        """Fine triangles, (2 * fine faces, 3): the first halves of all quads, then the second."""
        return _halves(self.fine_faces)

    @functools.cached_property
    def triangle_uv(self) -> Array:
        return np.concatenate([self.fine_uv[:, [0, 1, 2]], self.fine_uv[:, [0, 2, 3]]])

    @functools.cached_property
    def triangle_kind(self) -> Array:
        return np.concatenate([self.fine_kind, self.fine_kind])

    @functools.cached_property
    def coarse_triangles(self) -> Array:
        """Triangles of the coarse mesh without lashes, for shadows."""
        return _halves(self.faces[self.part < PARTS.index("helper-l-eyelashes-1")])

    @functools.cached_property
    def vertex_part(self) -> Array:
        """Index into PARTS of each vertex, (vertices,)."""
        return _of_vertices(self.faces, self.part, len(self.vertices))

    @functools.cached_property
    def fine_vertex_kind(self) -> Array:
        """SKIN to LASHES of each fine vertex."""
        return _of_vertices(self.fine_faces, self.fine_kind, self.subdivide.shape[0])

    def shaped(self, weights: Mapping[str, float]) -> Array:
        """Vertices (vertices, 3) under a sum of targets.

        Raises:
            ValueError: If the head has no target of that name.
        """
        column = np.zeros(len(self.target_names), np.float32)
        for name, weight in weights.items():
            if name not in self.target_number:
                raise ValueError(f"the head has no target {name!r}; see Head.target_names")
            column[self.target_number[name]] += weight
        return self.vertices + (self.targets @ column).reshape(-1, 3)

    def expressed(self, actions: Mapping[str, float]) -> Array:
        """Shifts (vertices, 3) of facial actions, named as ARKit names them (``jawOpen``).

        Raises:
            ValueError: If there is no such action.
        """
        targets, numbers = self.facial
        column = np.zeros(len(numbers), np.float32)
        for name, weight in actions.items():
            if name not in numbers:
                raise ValueError(
                    f"no facial action {name!r}; expected one of: {', '.join(numbers)}"
                )
            column[numbers[name]] += weight
        return (targets @ column).reshape(-1, 3)

    def normals(self, fine: Array) -> Array:
        """Unit normals (3, fine vertices) of fine vertices (fine vertices, 3)."""
        corners = fine[self.fine_faces]
        across = cross((corners[:, 2] - corners[:, 0]).T, (corners[:, 3] - corners[:, 1]).T)
        return unit((self.faces_at @ across.T).T)


def build_head(arrays: Mapping[str, Array], target_names: tuple[str, ...]) -> Head:
    """A head from the arrays of its file."""
    faces = arrays["faces"].astype(np.int64)
    vertices = arrays["vertices"].astype(np.float32)
    subdivide, fine_faces = catmull_clark(faces, len(vertices))
    fine_uv = subdivide_corners(arrays["uv"][arrays["face_uv"].astype(np.int64)])
    part = np.repeat(arrays["part"], 4)
    kind = np.minimum(part + 1, LASHES)
    kind[(part == 0) & (fine_uv[:, :, 0].mean(axis=1) > _FIRST_HEAD_U)] = SKIN
    count = len(fine_faces)
    owners = np.repeat(np.arange(count), 4)
    faces_at = sparse.csr_matrix(
        (np.ones(4 * count, np.float32), (fine_faces.ravel(), owners)), (subdivide.shape[0], count)
    )
    return Head(
        vertices=vertices,
        faces=faces,
        part=arrays["part"],
        target_names=target_names,
        targets=_target_matrix(arrays, len(vertices)),
        subdivide=subdivide,
        fine_faces=fine_faces,
        fine_uv=fine_uv.astype(np.float32),
        fine_kind=kind,
        faces_at=faces_at,
    )


def average_weights() -> dict[str, float]:
    """Target weights of the template: the mean of young women and men of all ancestries."""
    sexes = ("female", "male")
    return {f"macro/{race}-{sex}-young": 1 / 6 for race in RACES for sex in sexes}


@functools.cache
def load_head() -> Head:
    """The shipped head.

    Raises:
        FileNotFoundError: If the package was installed without its data.
    """
    arrays, metadata = load_arrays()
    return build_head(arrays, tuple(metadata["targets"].split("\n")))


def load_arrays() -> tuple[dict[str, Array], dict[str, str]]:
    """Arrays and metadata of the shipped file."""
    if not HEAD_FILE.is_file():
        raise FileNotFoundError(
            f"{HEAD_FILE} is missing; make it with: python -m data_prep.synthetic.heads.extract"
        )
    with safe_open(HEAD_FILE, framework="numpy") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def _halves(quads: Array) -> Array:
    return np.concatenate([quads[:, [0, 1, 2]], quads[:, [0, 2, 3]]])


def _of_vertices(faces: Array, kinds: Array, count: int) -> Array:
    """A kind for each vertex: that of the last kind of face it belongs to."""
    values = np.zeros(count, np.int64)
    for kind in np.unique(kinds):
        values[np.unique(faces[kinds == kind])] = kind
    return values


def _target_matrix(arrays: Mapping[str, Array], vertices: int) -> sparse.csc_matrix:
    rows = 3 * arrays["target_vertex"].astype(np.int32)[:, None] + np.arange(3, dtype=np.int32)
    starts = 3 * arrays["target_start"].astype(np.int64)
    shifts = arrays["target_shift"].astype(np.float32).ravel()
    shape = (3 * vertices, len(starts) - 1)
    return sparse.csc_matrix((shifts, rows.ravel(), starts), shape)
