"""Classification, from the condition, of what the user has just done: a loss beside flow matching.

a[t, k] is how many frames ago the user last gave cause k, by the clock of the user's tracks; infinite before the first,
nan where the data do not say. Each kind has a logit z per span of ages, first_s <= a < first_(s+1) (CAUSE_AGES). The
loss is the binary cross-entropy (BCE)

    loss[t, k, s] = softplus(z) - y z        y = 1 where a[t, k] lies in span s

An answer is rare and faint beside all else that a face does, so that it teaches a network only slowly to look for its
cause. The cause itself is certain. Spans tell the time since it, on which the phase of an answer depends. Only data
that name the user's causes, as simulated conversations do, have these ages.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Float

from afjax.config.model import CAUSE_AGES
from afjax.types import HostOrDevice, Scalar, typed


@typed
def cross_entropy(logits: Float[HostOrDevice, "b t logits"], age: Float[HostOrDevice, "b t kinds"]) -> Scalar:
    """Loss of logits `[b, t, kinds * spans]` for ages `[b, t, kinds]` in frames, summed over spans, mean over the rest.

    The loss of an unknown age (nan) counts as 0.
    """
    age = age[..., None]
    first, end = (jnp.asarray(edge, age.dtype) for edge in (CAUSE_AGES[:-1], CAUSE_AGES[1:]))
    inside = ((age >= first) & (age < end)).astype(logits.dtype)
    logits = logits.reshape(inside.shape)
    return jnp.where(age >= 0, jax.nn.softplus(logits) - inside * logits, 0).sum(-1).mean()
