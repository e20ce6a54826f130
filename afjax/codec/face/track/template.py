"""The mean face and the head pose of a mesh.

The template is a face mesh `[468, 3]` in canonical units: 1 = the distance between the outer corners of the eyes, x to
the image's right, y down, z away from the camera, looking straight ahead, mirror-symmetric, origin at the mean of the
rigid points. It is remade, from scikit-image's public-domain photograph of Eileen Collins, by

    python -m afjax.codec.face.track.make_template

The pose of a mesh P is the similarity P = s R C + t that fits the template's rigid points (skull and nose, where speech
and smiles move little) by least squares (Umeyama 1991). With angles in the sense of `channels`,

    R = Rz(roll) Ry(yaw) Rx(pitch)

           [cos yaw  0  -sin yaw]        [1      0          0    ]        [cos roll  -sin roll  0]
    Ry  =  [   0     1      0   ]   Rx = [0  cos pitch -sin pitch]   Rz = [sin roll   cos roll  0]
           [sin yaw  0   cos yaw]        [0  sin pitch  cos pitch]        [   0          0      1]

so that the nose, at negative z, moves to the image's right for yaw > 0 and down for pitch > 0.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

__all__ = ["Pose", "RIGID", "angles", "canonical", "load_template", "mirror_table", "pose_of", "rotation", "similarity"]


PATH = Path(__file__).with_name("template.npy")


RIGID = np.array(
    [10, 151, 9, 8, 168, 6, 197, 195, 5, 4, 33, 133, 362, 263, 127, 356]
    + [234, 454, 93, 323, 21, 251, 54, 284, 103, 332, 67, 297, 109, 338, 162, 389]
)


OUTER_CORNERS = (33, 263)


@dataclass(frozen=True)
class Pose:
    """P = scale * rotation @ C + translation; `rotation` `[3, 3]`, `scale` and `translation` `[3]` in pixels."""

    rotation: np.ndarray
    scale: float
    translation: np.ndarray


def load_template() -> np.ndarray:
    """The mean face `[468, 3]` in canonical units."""
    return np.load(PATH, allow_pickle=False).astype(np.float64)


def similarity(source: np.ndarray, target: np.ndarray) -> Pose:
    """The rotation, scale and translation that take points `[n, 3]` onto `target` with the least squared error."""
    source_mean, target_mean = source.mean(0), target.mean(0)
    centred = source - source_mean
    u, sizes, vt = np.linalg.svd((target - target_mean).T @ centred)
    signs = np.array([1.0, 1.0, np.sign(np.linalg.det(u) * np.linalg.det(vt))])
    turn = (u * signs) @ vt
    scale = float((sizes * signs).sum() / (centred**2).sum())
    return Pose(turn, scale, target_mean - scale * turn @ source_mean)


def pose_of(mesh: np.ndarray, template: np.ndarray) -> Pose:
    """Head pose of a mesh `[468, 3]` in pixels."""
    return similarity(template[RIGID], mesh[RIGID].astype(np.float64))


def canonical(points: np.ndarray, pose: Pose) -> np.ndarray:
    """Points `[..., 3]` in pixels, brought into canonical units: C = R^T (P - t) / s."""
    return (points - pose.translation) @ pose.rotation / pose.scale


def rotation(yaw: float, pitch: float, roll: float) -> np.ndarray:
    """R `[3, 3]` of angles in degrees."""
    (cy, sy), (cp, sp), (cr, sr) = ((np.cos(a), np.sin(a)) for a in np.radians([yaw, pitch, roll]))
    about_y = np.array([[cy, 0, -sy], [0, 1, 0], [sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x


def angles(turn: np.ndarray) -> np.ndarray:
    """Yaw, pitch, roll `[3]` in degrees of R `[3, 3]`; the inverse of `rotation` for |yaw| < 90."""
    yaw = np.arcsin(np.clip(turn[2, 0], -1, 1))
    pitch, roll = np.arctan2(turn[2, 1], turn[2, 2]), np.arctan2(turn[1, 0], turn[0, 0])
    return np.degrees([yaw, pitch, roll])


def mirror_table(face: np.ndarray) -> np.ndarray:
    """Index `[468]` of each point's mirror image in a symmetric canonical face `[468, 3]`."""
    return ((face[:, None] - (face * (-1, 1, 1))[None]) ** 2).sum(-1).argmin(1)
