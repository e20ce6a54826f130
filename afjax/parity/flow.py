"""Every array of the files `masks`, `scheduler`, `flow_modules_*` and `sampler_*`, computed by ours.

The released network caches keys rotated to absolute positions. The stream's keys are not rotated
(`afjax.streaming.state`), so they are rotated here before they are compared.
"""

import functools
import re
from collections.abc import Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from afjax.config import ModelConfig, SamplerConfig
from afjax.config.released import LAYOUT, SAMPLER
from afjax.diffusion.solver import make_grid
from afjax.errors import InputError
from afjax.nn import masks
from afjax.nn.blocks import modulate, normalise
from afjax.nn.condition_encoder import Conditions, ProjectedConditions
from afjax.nn.embeddings import sinusoid
from afjax.nn.rope import rotate
from afjax.nn.token_layout import frame_layout
from afjax.nn.transformer import ForcingTransformer
from afjax.parity.arrays import Stored, kept
from afjax.streaming import step as stream
from afjax.streaming.rollout import pad_to_blocks
from afjax.streaming.state import init_stream
from afjax.weights import names
from afjax.weights.flow_names import names as flow_names
from afjax.weights.tensor_shapes import flow_config

Arrays = Mapping[str, np.ndarray]

START = SAMPLER.start_frames
_CONDITIONS = ("avatar_audio", "user_audio", "user_motion")
"""Names of a module's conditions in the stored arrays, in the order of `Conditions`."""


def params_of(tensors: Arrays, config: ModelConfig, dtype=np.float32) -> dict:
    """Parameters of the forcing transformer from tensors by released name."""
    tree = names.to_tree({name: np.asarray(value, dtype) for name, value in tensors.items()}, flow_names(config))
    return {"params": tree}


def modules(stored: Stored, tensors: Arrays, heads: int, dtype) -> dict[str, np.ndarray]:
    """Known arrays of `flow_modules_*`. `stored` holds the file's arrays, and the inputs of the small file."""
    config = flow_config(tensors, heads, 0, stored.where)
    groups = {key.split("/")[0] for key in stored}
    streams = {match[0] for key in stored if (match := re.match(r"block_stream/start\d+", key))}
    inputs = stored.inputs()

    @jax.jit
    def run(params, arrays):
        bound, given, found = ForcingTransformer(config).bind(params), Stored(inputs.where, arrays), {}
        for names_of, compute in _GROUPS.items():
            found |= compute(bound, given) if groups.intersection(names_of) else {}
        for name in streams:
            found |= _cached_block(bound.blocks[0], given, name)
        return found

    given = {key: np.asarray(x, dtype) for key, x in inputs.items()}
    found = run(params_of(tensors, config, dtype), given)
    return {key: kept(np.asarray(value), stored[key].shape) for key, value in found.items() if key in stored}


def _embeddings(bound, given) -> dict:
    t = given["t_embedder/t"]
    embedding = bound.embed_level(t / 1000)
    return {
        "t_embedder/sinusoid": sinusoid(t, 256),
        "t_embedder/out": embedding,
        "adaLN/out": jnp.concatenate(bound.modulation(embedding), axis=-1),
        "final_adaLN/out": jnp.concatenate(bound.head_modulation(embedding), axis=-1),
    }


def _condition(bound, given) -> dict:
    conditions = ProjectedConditions(*(given[f"c_embedder/{name}"] for name in _CONDITIONS))
    frames, encoder = conditions.user_motion.shape[1], bound.condition_encoder
    own, positions, every = np.ones((frames, frames), bool), np.arange(frames), jnp.ones((1, 3))
    motion = encoder.embed_motion(conditions.user_motion)
    return {
        "c_embedder/out": bound.encode(conditions, every, own, positions),
        "c_embedder/motion_embedder": motion,
        "c_embedder/after_first_attention": encoder.fuse_user(motion, conditions.user_embedding, own, positions),
        "c_embedder/out_null": bound.encode(jax.tree.map(lambda x: x[:1], conditions), 0 * every, own, positions),
    }


def _forward(bound, given) -> dict:
    level, x, reference_motion = given["forward/t"] / 1000, given["forward/x"], given["forward/wr"]
    conditions = ProjectedConditions(*(given[f"forward/{name}"] for name in _CONDITIONS))
    layout = frame_layout(LAYOUT, x.shape[1])
    condition = bound.encode(conditions, jnp.ones((1, 3)), layout.encoder_mask, layout.frame)
    cross, masks = bound.project(condition, layout.frame), (layout.attention_mask, layout.cross_mask)
    h = bound.embed_motion(jnp.concatenate([x, jnp.broadcast_to(reference_motion[:, None], x.shape)], axis=-1))
    modulation, found = bound.modulation(bound.embed_level(level)), {}
    for i, block in enumerate(bound.blocks):
        h, _ = block(h, modulation, cross[i], masks, layout.frame)
        found[f"forward/block{i}_out"] = h
    return found | {"forward/v": bound(x, level, reference_motion, cross, masks, layout.frame)[0]}


def _block(bound, given) -> dict:
    """The three branches of the first block before their gates, and its output."""
    block = bound.blocks[0]
    x, condition = given["block/x"], given["block/c"]
    shift, scale, gate, mlp_shift, mlp_scale, mlp_gate = modulation = jnp.split(given["block/mod"], 6, axis=-1)
    layout = frame_layout(LAYOUT, x.shape[1])
    cross = block.project(condition, layout.frame)
    attention, _ = block.attention(modulate(x, shift, scale), layout.attention_mask, layout.frame)
    after = x + gate * attention
    crossed = block.cross_attention(normalise(after), cross, layout.cross_mask, layout.frame)
    hidden = jax.nn.gelu(block.mlp_in(modulate(after + crossed, mlp_shift, mlp_scale)), approximate=True)
    return {
        "block/attn": attention,
        "block/cross_attn": crossed,
        "block/mlp": block.mlp_out(hidden),
        "block/out": block(x, modulation, cross, (layout.attention_mask, layout.cross_mask), layout.frame)[0],
    }


_GROUPS = {
    ("t_embedder", "adaLN", "final_adaLN"): _embeddings,
    ("c_embedder",): _condition,
    ("forward",): _forward,
    ("block",): _block,
}


def _cached_block(block, given, name: str) -> dict:
    """One block over 12 tokens with caches, at the absolute position in the key's name."""
    count, aligned = LAYOUT.block + LAYOUT.look_ahead, LAYOUT.alignment
    start = int(re.search(r"start(\d+)", name).group(1))
    positions = start + np.arange(count)
    past, seen = (
        tuple(_tokens_first(given[f"block_stream/{kind}_{part}"]) for part in "kv") for kind in ("self", "cross")
    )
    modulation = jnp.split(given["block/mod"][:, :count], 6, axis=-1)
    own = block.project(given["block/c"][:, :count], positions)
    cross = tuple(jnp.concatenate(pair, axis=1) for pair in zip(seen, own, strict=True))
    rows = masks.stream_mask(LAYOUT.mask, LAYOUT.block, LAYOUT.look_ahead, LAYOUT.cache)
    near = np.abs(np.arange(count)[:, None] + aligned - np.arange(count + aligned)) <= aligned
    out, (keys, values) = block(given["block/x"][:, :count], modulation, cross, (rows, near), positions, past)
    found = {f"{name}/out": out}
    fresh = (rotate(keys, positions), values)
    for part, old, new, crossed in zip("kv", past, fresh, own, strict=True):
        kept = jnp.concatenate([old, new[:, : LAYOUT.block]], axis=1)[:, -LAYOUT.cache :]
        found[f"{name}/after_self_{part}"] = _tokens_first(kept)
        found[f"{name}/after_cross_{part}"] = _tokens_first(crossed[:, LAYOUT.block - aligned : LAYOUT.block])
    return found


def sampler(stored: Stored, tensors: Arrays, heads: int, dtype) -> dict[str, np.ndarray]:
    """Known arrays of `sampler_*`. `stored` holds the file's arrays, and the inputs of the small file.

    Latents come from the jitted start and step of the stream, inner arrays from the same passes taken apart.
    """
    config = flow_config(tensors, heads, 0, stored.where)
    params, found = params_of(tensors, config, dtype), {}
    cases = sorted({key.split("/")[0] for key in stored if re.match(r"T[1-9]\d*[^/]*/", key)})
    for case in cases:
        run = Case(case, stored, config, params, dtype)
        if f"{case}/latents" in stored:
            found[f"{case}/latents"] = run.latents()
        inner = re.findall(rf"^{re.escape(case)}/\w+_block(\d+)", "\n".join(stored), re.MULTILINE)
        if inner:
            found |= run.inner(max(map(int, inner)))
    for key in found.keys() & stored.keys():
        if "/cache_" in key:  # the first channels of a head
            found[key] = found[key][..., : (stored[key].shape or (1,))[-1]]
    return {key: kept(np.asarray(value), stored[key].shape) for key, value in found.items() if key in stored}


class Case:
    """One run of the released sampler: length and settings from a name such as `T60_nfe8_a0.7_u3.3`, or the inputs."""

    def __init__(self, name: str, stored: Stored, config: ModelConfig, params, dtype):
        self.name, self.stored, self.config, self.params, self.dtype = name, stored, config, params, dtype
        self.frames = int(re.match(r"T(\d+)", name).group(1))

        def setting(letter, key):
            said = re.search(rf"_{letter}(-?\d+(?:\.\d+)?)", name)
            return float(said.group(1) if said else stored[f"in/{key}"])

        a, u = setting("a", "a_cfg_scale"), setting("u", "u_cfg_scale")
        self.sampler = replace(SAMPLER, nfe=int(setting("nfe", "nfe")), guidance_avatar=a, guidance_user=u)
        self.weights = (1 - a - u, a, u)
        self.model = ForcingTransformer(config)

    def passes(self):
        """Conditions and noise of the start, then of each block; short conditions are filled with their last frame."""
        tracks = {name: self.stored[f"in/{name}"][:, : self.frames] for name in _CONDITIONS}
        for name, track in tracks.items():
            if track.shape[1] < self.frames:
                raise InputError(f"in/{name} has {track.shape[1]} frames, too few for {self.name}", self.stored.where)
        given = Conditions(*(np.asarray(track, self.dtype) for track in tracks.values()))
        starts = [0, *range(START, self.frames, LAYOUT.block)]
        for number, start in enumerate(starts):
            end = START if number == 0 else start + LAYOUT.block
            piece = jax.tree.map(lambda x, a=start, b=end: x[:, a:b], given)
            yield pad_to_blocks(piece, end - start), np.asarray(self.stored[f"in/noise{number}"], self.dtype)

    def empty(self, sampler: SamplerConfig):
        """State before the first frame."""
        reference_motion = jnp.asarray(self.stored["in/r_s"], self.dtype)
        keys = jax.random.split(jax.random.key(0), len(reference_motion))
        return init_stream(keys, reference_motion, self.config, LAYOUT, sampler)

    def latents(self) -> np.ndarray:
        """Motion of the whole clip `[b, t, d]`."""
        start, block = _compiled(self.model, self.sampler)
        state, advance, motions = self.empty(self.sampler), start, []
        for conditions, noise in self.passes():
            state, motion = advance(self.params, state, conditions, noise)
            motions.append(np.asarray(motion))
            if len(motions) == 1:
                advance = block
        return np.concatenate(motions, axis=1)[:, : self.frames]

    def inner(self, last: int) -> dict[str, np.ndarray]:
        """States and raw velocities along the solver, and the caches after each block, up to the block `last`.

        Fixtures hold all three branches whatever their weights; streams compute those whose weight is not zero. The
        passes are therefore made for scales that need all, and solved with the weights of this case.
        """
        state, found = self.empty(_BRANCHED), {}
        for number, (conditions, noise) in enumerate(self.passes()):
            if number > last:
                break
            make = stream._start_pass if number == 0 else stream._block_pass
            state, path, first, clean = self._traced(make)(self.params, state, conditions, noise)
            found |= {f"xt_block{number}": path, f"v_block{number}_step0": first}
            found[f"v_block{number}_cache_update"] = clean
            for layer in range(self.config.depth):
                for name, value in self._caches(state, number, layer).items():
                    found[f"cache_block{number}/layer{layer}_{name}"] = value
        return {f"{self.name}/{key}": np.asarray(value) for key, value in found.items()}

    @functools.cache  # noqa: B019 - a case lives as long as its report
    def _traced(self, make):
        def run(params, state, conditions, noise):
            context = make(self.model, LAYOUT, _BRANCHED, params, state, conditions)
            weights = jnp.asarray(self.weights, noise.dtype)
            return self._trace(params, state, context.replace(guidance_weights=weights), noise)

        return jax.jit(run)

    def _trace(self, params, state, context, noise):
        refed, (levels, sigmas) = context.refed_motion.shape[1], make_grid(self.sampler)

        def tokens(x):
            return jnp.concatenate([context.refed_motion, x], axis=1)

        def raw(x, level):
            each = jnp.where(np.arange(refed + x.shape[1]) < refed, 0.0, level).astype(x.dtype)
            return stream.evaluate(self.model, params, context, tokens(x), each)[0]

        def step(x, entry):
            level, sigma, following = entry
            x = x + (following - sigma) * stream.combine(raw(x, level)[:, :, refed:], context.guidance_weights)
            return x, tokens(x)

        grid = tuple(jnp.asarray(part, noise.dtype) for part in (levels, sigmas[:-1], sigmas[1:]))
        motion, path = jax.lax.scan(step, noise, grid)
        path = jnp.concatenate([path, tokens(motion)[None]])  # the released sampler's last evaluation changes nothing
        state = stream.advance(self.model, LAYOUT, params, state, context, motion)
        return state, path, _merge_branches(raw(noise, 1.0)), _merge_branches(raw(motion, 0.0))

    def _caches(self, state, number: int, layer: int) -> dict:
        """Caches of one layer `[k * b, h, m, e]` as the released sampler keeps them, and their means."""
        first = START + LAYOUT.block * number - LAYOUT.look_ahead - LAYOUT.cache
        block = self.model.bind(self.params).blocks[layer]
        aligned = np.arange(LAYOUT.alignment)  # the released cross-attention has no positions
        cross = block.project(_merge_branches(state.condition), aligned)
        kept = {
            "self_k": rotate(_merge_branches(state.cache_k[layer]), first + np.arange(LAYOUT.cache)),
            "self_v": _merge_branches(state.cache_v[layer]),
            "cross_k": cross[0],
            "cross_v": cross[1],
        }
        kept = {name: _tokens_first(x) for name, x in kept.items()}
        return kept | {f"{name}_head_mean": x.mean(axis=(2, 3)) for name, x in kept.items()}


_BRANCHED = replace(SAMPLER, guidance_avatar=0.25, guidance_user=0.25)


@functools.lru_cache(maxsize=2)
def _compiled(model: ForcingTransformer, sampler: SamplerConfig):
    """Start and step of a setting, compiled once for clips of all lengths."""
    return stream.make_start(model, LAYOUT, sampler), stream.make_step(model, LAYOUT, sampler)


def _tokens_first(x):
    """`[b, h, n, e]` <-> `[b, n, h, e]`."""
    return jnp.moveaxis(x, 1, 2)


def _merge_branches(x):
    return x.reshape(-1, *x.shape[2:])
