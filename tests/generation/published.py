"""A checkpoint as StreamingT2V publishes it, of networks of ours."""

from __future__ import annotations

from reverie.generation.apm import cross_attention_names


def published(unet, cam, apm):
    """The tensors under the names that the released file has for them."""
    layers = cross_attention_names(unet)
    state = {f"base_model.{name}": tensor for name, tensor in unet.state_dict().items()}
    for name, tensor in cam.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "extractor":
            state[f"unet.{rest.replace('encode_frames', 'controlnet_cond_embedding')}"] = tensor
        elif part == "middle":
            state[f"base_model.cross_attention_merger_mid_block.temporal_transformer.{rest}"] = tensor
        else:
            index, _, rest = rest.partition(".")
            state[f"base_model.cross_attention_merger_down_blocks.{index}.temporal_transformer.{rest}"] = tensor
    for name, tensor in apm.state_dict().items():
        part, _, rest = name.partition(".")
        if part == "image_tokens":
            state[f"resampler.context_embedding.{rest.removeprefix('expand.')}"] = tensor
        else:
            index, _, rest = rest.partition(".")
            state[f"base_model.{layers[int(index)]}.{rest.replace('norm', 'conv_ln')}"] = tensor
    return state
