"""PSNR and SSIM of uint8 pictures `[..., h, w, 3]` against their targets.

SSIM (Wang et al. 2004) has a Gaussian window of deviation 1.5 and 11 pixels, and is the mean of the three channels over
all places where the window lies inside. LPIPS is `afjax.nn.vgg.lpips`.
"""

import numpy as np
from scipy.ndimage import correlate1d

__all__ = ["psnr", "ssim"]

_WINDOW = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
_WINDOW /= _WINDOW.sum()


def psnr(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Peak signal-to-noise ratio `[...]` in dB; 100 for equal pictures."""
    error = ((found.astype(np.float64) - wanted) ** 2).mean((-3, -2, -1))
    return np.minimum(10 * np.log10(255.0**2 / np.maximum(error, 1e-12)), 100.0)


def ssim(found: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Structural similarity `[...]` of pictures of at least 11 pixels per side; 1 for equal pictures."""
    x, y = (np.asarray(each, np.float64) for each in (found, wanted))
    mean_x, mean_y = _smooth(x), _smooth(y)
    var_x, var_y = _smooth(x * x) - mean_x**2, _smooth(y * y) - mean_y**2
    both = _smooth(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    top = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    return (top / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))).mean((-3, -2, -1))


def _smooth(x: np.ndarray) -> np.ndarray:
    blurred = correlate1d(correlate1d(x, _WINDOW, -3), _WINDOW, -2)
    return blurred[..., 5:-5, 5:-5, :]
