"""The network, its layout in time, and its sampler."""

from dataclasses import dataclass

from afjax.config.checks import one_of, require

MASKS = ("framewise", "blockwise", "blockwise_lookahead", "framewise_lookahead", "bidirectional")


CONDITION_ENCODERS = ("windowed", "released", "memory")


# conditions that a branch keeps: avatar audio, user audio, user motion
CONDITION_MASKS = {
    "none": (0, 0, 0),
    "avatar": (1, 0, 0),
    "user": (0, 1, 1),
    "joint": (1, 1, 1),
    "user_audio": (0, 1, 0),
    "user_motion": (0, 0, 1),
    "avatar_and_user_audio": (1, 1, 0),
    "avatar_and_user_motion": (1, 0, 1),
}


MOVES = 3
"""Frames over which the condition encoder's convolutions compare the user's motion with its past."""


CAUSE_AGES = tuple(range(0, 34, 3))
"""Edges in frames of the spans of time since a user's cause, which the condition encoder learns to classify
(`afjax.losses.causes`): short enough for the phase of a nod of eleven frames, and long enough for the whole answer."""


def condition_set_name(avatar_audio: bool, user_audio: bool, user_motion: bool) -> str:
    """Name in CONDITION_MASKS of the given conditions."""
    present = (avatar_audio, user_audio, user_motion)
    return next(name for name, kept in CONDITION_MASKS.items() if kept == present)


@dataclass(frozen=True)
class ModelConfig:
    """Sizes of the forcing transformer (paper: width 1024, 8 heads, 8 blocks, condition width 512, 4 heads).

    `audio_dim` is the width of the audio features, 0 where they come projected to the condition's width. `memory_size`
    is the number of vectors in each motion memory bank of the `memory` encoder, 0 for the other encoders.
    `condition_convolutions`: causal convolutions beside the condition encoder's attention, dilated by 1, 2, 4 ...; they
    carry fast cues. `relative_frames`: time constant, in frames, of the statistics by which these are also told the
    user's motion relative to what that user usually does (`afjax.nn.relative_motion`), MOVES or more; 0: they are not.
    `answer_head`: a linear head that predicts the motion from the condition alone, for training.
    `cause_kinds`: number of kinds of the user's causes that another linear head predicts from the condition, for
    training on data that name them.
    """

    motion_dim: int = 15
    audio_dim: int = 80
    width: int = 96
    depth: int = 3
    heads: int = 4
    mlp_ratio: int = 4
    condition_encoder: str = "windowed"
    condition_width: int = 64
    condition_heads: int = 4
    memory_size: int = 0
    condition_convolutions: int = 0
    relative_frames: int = 0
    answer_head: bool = False
    cause_kinds: int = 0

    @property
    def condition_reach(self) -> int:
        """Frames of past that the condition encoder's convolutions read."""
        return 2 * (2**self.condition_convolutions - 1) + MOVES if self.condition_convolutions else 0

    @property
    def earlier_frames(self) -> int:
        """Frames of the user before a training window from which its running statistics are taken."""
        return 5 * self.relative_frames  # by then the statistics before a conversation weigh less than a hundredth

    def __post_init__(self):
        one_of("model.condition_encoder", self.condition_encoder, CONDITION_ENCODERS)
        for name in ("motion_dim", "width", "depth", "heads", "mlp_ratio", "condition_width", "condition_heads"):
            require(getattr(self, name) > 0, f"model.{name} must be positive")
        require(self.cause_kinds >= 0, "model.cause_kinds must not be negative")
        require(self.audio_dim >= 0, "model.audio_dim must not be negative")
        require(0 <= self.condition_convolutions <= 6, "model.condition_convolutions must lie in 0 .. 6")
        require(
            self.relative_frames == 0 or self.relative_frames >= MOVES,
            f"model.relative_frames must be 0, or {MOVES} or more",
        )
        require(
            self.relative_frames == 0 or self.condition_convolutions > 0,
            "model.relative_frames is for condition_convolutions, of which there are none",
        )
        require(
            self.memory_size > 0 if self.condition_encoder == "memory" else self.memory_size == 0,
            "model.memory_size must be positive for the memory condition encoder and 0 for the others",
        )
        require(self.width % (2 * self.heads) == 0, "model.width must be a multiple of 2 * model.heads")
        require(
            self.condition_width % (2 * self.condition_heads) == 0,
            "model.condition_width must be a multiple of 2 * model.condition_heads",
        )


@dataclass(frozen=True)
class LayoutConfig:
    """Layout in time: blocks, masks and the stream's memory, all in frames (25 per second).

    `block`: frames that a stream generates at once. `look_ahead`: frames after its own block that a token may see in
    training; a stream feeds as many finished frames again. `mask`: that of self-attention (`afjax.nn.masks`). `cache`:
    frames of the KV cache, a sliding window over the past. `alignment`: a token's cross-attention sees conditions at
    most so many frames away.

    `condition_window` is the causal window of the condition encoder, 0 = the whole pass (always so in the form
    `released`, never in `windowed`). `tokens` is what training runs on (`afjax.nn.token_layout`): `frames` under the
    mask; `passes` as the stream computes them; or `stream`, passes with a finished past before every noisy one. Mask
    `bidirectional` with `cache` 0 makes windows: each block sees itself and `look_ahead` frames before it.
    `user_delay`: frames by which the user's tracks come late, in training and in the stream. A block that starts at
    frame s then reads no user frame from s + block - user_delay on; with user_delay = block it can be made when it
    starts.
    """

    block: int = 10
    look_ahead: int = 2
    mask: str = "blockwise_lookahead"
    cache: int = 38
    alignment: int = 2
    condition_window: int = 16
    tokens: str = "passes"
    user_delay: int = 0

    def __post_init__(self):
        one_of("layout.mask", self.mask, MASKS)
        one_of("layout.tokens", self.tokens, ("frames", "passes", "stream"))
        require(self.block >= 1, "layout.block must be at least 1")
        for name in ("look_ahead", "cache", "alignment", "condition_window", "user_delay"):
            require(getattr(self, name) >= 0, f"layout.{name} must not be negative")
        require(self.look_ahead < self.block, "layout.look_ahead must be smaller than layout.block")


@dataclass(frozen=True)
class SamplerConfig:
    """Solver steps per block, and scales of classifier-free guidance (cfg; paper eq. 14 has avatar and user).

    `nfe`: function evaluations (sampling steps) per block. `solver`: `euler`, or `dpm_solver_pp`, of second order with
    as many evaluations. `grid` (`afjax.diffusion.solver`): `uniform` steps, those of a `power`, which are smaller
    towards level 0, or those of the `released` sampler, whose `nfe` counts the pass that fills the caches and one that
    does nothing. `start_frames`: frames that a stream makes at once before its first block; 0: none, it starts from an
    empty cache. `anchor_seconds`: time constant with which the slow part of motion is pulled back where it is more than
    `anchor_band` standard deviations from the reference (`afjax.streaming.anchor`); 0: no anchor. `temperature`:
    deviation of the noise that a block starts from (`afjax.diffusion.solver`).

    `guidance_avatar`, `guidance_user`, `guidance_joint`: scale of each branch against the one without conditions.
    `guidance_reaction`: scale of the joint branch against the avatar's; it emphasises what the user adds
    (`afjax.diffusion.guidance`).
    """

    nfe: int = 8
    solver: str = "euler"
    grid: str = "uniform"
    temperature: float = 1.0
    start_frames: int = 0
    anchor_seconds: float = 0.0
    anchor_band: float = 1.0
    guidance_avatar: float = 0.0
    guidance_user: float = 0.0
    guidance_joint: float = 1.0
    guidance_reaction: float = 0.0

    def __post_init__(self):
        one_of("sampler.solver", self.solver, ("euler", "dpm_solver_pp"))
        one_of("sampler.grid", self.grid, ("uniform", "power", "released"))
        require(self.start_frames >= 0, "sampler.start_frames must not be negative")
        for name in ("anchor_seconds", "anchor_band"):
            require(getattr(self, name) >= 0, f"sampler.{name} must not be negative")
        require(self.temperature > 0, "sampler.temperature must be positive")
        least = 2 if self.grid == "released" else 1
        require(self.nfe >= least, f"sampler.nfe must be at least {least}")
