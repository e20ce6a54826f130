"""Small files of the released format with synthetic weights, for tests and trials from end to end."""

import json
from pathlib import Path

import numpy as np

from afjax.audio.wav2vec2.config import Wav2Vec2Config
from afjax.codec.latent.config import LatentConfig
from afjax.config import ModelConfig
from afjax.weights import readers, synthetic, tensor_shapes

__all__ = ["FLOW", "LATENT", "SPEECH", "huggingface", "speech_tensors", "tensors", "write"]

SPEECH = Wav2Vec2Config(
    width=8, depth=2, heads=2, feed_forward=16, conv_dim=(4,) * 7, positional_kernel=4, positional_groups=2
)
FLOW = ModelConfig(
    motion_dim=16, audio_dim=16, width=16, depth=3, heads=2, mlp_ratio=2, condition_encoder="released",
    condition_width=24,
)  # fmt: skip
LATENT = LatentConfig(64, 16, 4, (8, 8, 8, 4, 4))


def huggingface(config: Wav2Vec2Config) -> dict:
    """A Hugging Face config.json of these sizes."""
    values = {
        "hidden_size": config.width, "num_hidden_layers": config.depth, "num_attention_heads": config.heads,
        "intermediate_size": config.feed_forward, "layer_norm_eps": config.epsilon,
        "num_conv_pos_embeddings": config.positional_kernel, "num_conv_pos_embedding_groups": config.positional_groups,
    }  # fmt: skip
    values |= {name: list(getattr(config, name)) for name in ("conv_dim", "conv_kernel", "conv_stride")}
    return {"model_type": "wav2vec2", "feat_extract_norm": "group", "do_stable_layer_norm": False, **values}


def tensors(config) -> dict[str, np.ndarray]:
    """Every parameter of a network, by released name."""
    return {name: synthetic.tensor(name, shape, 7) for name, shape in tensor_shapes.shapes(config).items()}


def speech_tensors() -> dict[str, np.ndarray]:
    """Tensors of a Hugging Face file, with those of the speech recogniser's head."""
    return tensors(SPEECH) | {"lm_head.weight": np.ones((4, 8), np.float32), "lm_head.bias": np.ones(4, np.float32)}


def write(folder: Path, flow=None, autoencoder=None, speech=None) -> dict[str, str]:
    """Writes the three sources; -> the arguments of `afjax.weights.folder.to_folder` that name them."""
    (folder / "hf").mkdir(parents=True)
    readers.write_safetensors(folder / "flow.safetensors", tensors(FLOW) if flow is None else flow)
    readers.write_safetensors(folder / "ae.safetensors", tensors(LATENT) if autoencoder is None else autoencoder)
    readers.write_safetensors(folder / "hf" / "model.safetensors", speech_tensors() if speech is None else speech)
    (folder / "hf" / "config.json").write_text(json.dumps(huggingface(SPEECH) | {"architectures": ["X"]}))
    sources = {"flow": "flow.safetensors", "autoencoder": "ae.safetensors", "wav2vec2": "hf"}
    return {name: str(folder / file) for name, file in sources.items()}
