"""Remakes the mean face of `template` from one photograph: `python -m afjax.codec.face.track.make_template`."""

import numpy as np

from afjax.codec.face.track.template import OUTER_CORNERS, PATH, RIGID, canonical, similarity


def _matched(face: np.ndarray) -> np.ndarray:
    """`mirror_table` of a face that is only nearly symmetric: the cheapest one-to-one match."""
    from scipy.optimize import linear_sum_assignment

    return linear_sum_assignment(((face[:, None] - (face * (-1, 1, 1))[None]) ** 2).sum(-1))[1]


def make_template(mesh: np.ndarray, steps: int = 4) -> np.ndarray:
    """The symmetric canonical face `[468, 3]` of one frontal mesh in pixels.

    The face is turned upright by its eyes and the line from chin to forehead, then averaged with its mirror image. The
    average gives the pose for the next one, which is better aligned.
    """
    face = mesh.astype(np.float64) - mesh[RIGID].mean(0)
    x = face[OUTER_CORNERS[1]] - face[OUTER_CORNERS[0]]
    y = face[152] - face[10]
    x = x / np.linalg.norm(x)
    y = y - x * (x @ y)
    y = y / np.linalg.norm(y)
    face = face @ np.stack([x, y, np.cross(x, y)], -1)
    for _ in range(steps):
        table = _matched(face)
        mean = (face + face[table] * (-1, 1, 1)) / 2
        mean = (mean - mean[RIGID].mean(0)) / np.linalg.norm(mean[OUTER_CORNERS[1]] - mean[OUTER_CORNERS[0]])
        face = canonical(face, similarity(mean, face))
    return mean


def main() -> None:
    """Writes the template beside `template.py`."""
    from skimage import data

    from afjax.codec.face.track.detector import FaceDetector
    from afjax.codec.face.track.mesh import FaceMesh, crop_of_detection, landmarks_near
    from afjax.codec.face.track.models import to_image

    picture = to_image(data.astronaut())
    # The mirrored average needs the template's own mirror table: one reading has to do here.
    found = landmarks_near(FaceMesh(mirror=None), picture, crop_of_detection(FaceDetector()(picture)))
    np.save(PATH, make_template(found.mesh).astype(np.float32))
    print(f"wrote {PATH}")


if __name__ == "__main__":
    main()
