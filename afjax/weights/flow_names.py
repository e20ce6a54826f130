"""Paths of the released flow transformer's tensors in the forcing transformer's tree.

Packed projections (query, key, value of the condition encoder's attentions) are several layers here: their tensors are
split evenly along the first axis.
"""

from afjax.config import ModelConfig

Paths = dict[str, tuple[tuple[str, ...], ...]]

_ENCODER = "flow_transformer.c_embedder"
_LAYERS = {
    "flow_transformer.x_embedder.proj": "embed_motion",
    "flow_transformer.t_embedder.mlp.0": "embed_level/hidden",
    "flow_transformer.t_embedder.mlp.2": "embed_level/out",
    "flow_transformer.adaLN_modulation.1": "modulation/linear",
    "flow_transformer.final_layer.adaLN_modulation.1": "head_modulation/linear",
    "flow_transformer.final_layer.linear": "head",
    f"{_ENCODER}.motion_embedder.0": "condition_encoder/motion_0",
    f"{_ENCODER}.motion_embedder.3": "condition_encoder/motion_1",
    f"{_ENCODER}.dual_modal_attn.out_proj": "condition_encoder/user/out",
    f"{_ENCODER}.user_agent_attn.out_proj": "condition_encoder/avatar/out",
    f"{_ENCODER}.to_cond_user": "condition_encoder/out",
}
_PROJECTION = {"audio_encoder.audio_projection.0": "condition_encoder/audio_projection/linear"}
_PROJECTION_NORM = {"audio_encoder.audio_projection.1": "condition_encoder/audio_projection/norm"}
_NORMS = {
    f"{_ENCODER}.motion_embedder.1": "condition_encoder/motion_norm_0",
    f"{_ENCODER}.motion_embedder.4": "condition_encoder/motion_norm_1",
    f"{_ENCODER}.ln1": "condition_encoder/user_norm",
    f"{_ENCODER}.ln2": "condition_encoder/avatar_norm",
}
_PACKED = {f"{_ENCODER}.dual_modal_attn": "user", f"{_ENCODER}.user_agent_attn": "avatar"}
_BLOCK = {
    "attn.qkv": "attention/qkv",
    "attn.proj": "attention/out",
    "cross_attn.q": "cross_attention/q",
    "cross_attn.kv": "cross_attention/kv",
    "cross_attn.proj": "cross_attention/out",
    "mlp.fc1": "mlp_in",
    "mlp.fc2": "mlp_out",
}


def names(config: ModelConfig) -> Paths:
    """Released name -> paths in the tree; the audio projection is among them if the network has one."""
    layers, norms = dict(_LAYERS), dict(_NORMS)
    if config.audio_dim:
        layers, norms = layers | _PROJECTION, norms | _PROJECTION_NORM
    for i in range(config.depth):
        layers |= {f"flow_transformer.blocks.{i}.{name}": f"blocks_{i}/{path}" for name, path in _BLOCK.items()}
    table = {}
    for name, path in layers.items():
        table[f"{name}.weight"], table[f"{name}.bias"] = _paths(path, "kernel"), _paths(path, "bias")
    for name, path in norms.items():
        table[f"{name}.weight"], table[f"{name}.bias"] = _paths(path, "scale"), _paths(path, "bias")
    for name, layer in _PACKED.items():
        parts = [f"condition_encoder/{layer}/{part}" for part in "qkv"]
        table[f"{name}.in_proj_weight"] = _paths(*parts, "kernel")
        table[f"{name}.in_proj_bias"] = _paths(*parts, "bias")
    return table


def _paths(*layers_and_leaf: str) -> tuple[tuple[str, ...], ...]:
    *layers, leaf = layers_and_leaf
    return tuple((*layer.split("/"), leaf) for layer in layers)
