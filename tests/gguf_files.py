"""GGUF files: one written by the format's description, one by the format's own library."""

import json
import os
import struct
from pathlib import Path

import numpy as np

from tests.tiny_tokenizers import byte_level


def write_gguf(path: Path, *, rows: int = 4, width: int = 8) -> Path:
    """A header with one text, one number, one array and one float32 tensor, by the format's description."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    parts = [b"GGUF", struct.pack("<IQQ", 3, 1, 4)]
    parts += [text("general.architecture"), struct.pack("<I", 8), text("llama")]
    parts += [text("llama.block_count"), struct.pack("<II", 4, 3)]
    parts += [text("llama.attention.head_count"), struct.pack("<II", 4, 5)]
    parts += [text("tokenizer.ggml.tokens"), struct.pack("<IIQ", 9, 8, 2), text("a"), text("bc")]
    parts += [text("token_embd.weight"), struct.pack("<IQQIQ", 2, width, rows, 0, 0)]
    path.write_bytes(b"".join(parts))
    os.truncate(path, path.stat().st_size + 64 + 4 * rows * width)
    return path


def write_llama(path: Path) -> Path:
    """A tiny Llama with a byte-level tokenizer. Needs the packages of the extra `gguf`."""
    from gguf import GGUFWriter

    state = json.loads(byte_level().backend_tokenizer.to_str())["model"]
    entries = sorted(state["vocab"], key=state["vocab"].get)
    writer, rng = GGUFWriter(path, "llama"), np.random.default_rng(0)
    writer.add_block_count(1)
    writer.add_context_length(64)
    writer.add_embedding_length(8)
    writer.add_feed_forward_length(16)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_rope_dimension_count(4)
    writer.add_vocab_size(len(entries))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(entries)
    writer.add_token_types([3, 3, *[1] * (len(entries) - 2)])
    writer.add_token_merges([" ".join(pair) for pair in state["merges"]])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    shapes = {"token_embd": (len(entries), 8), "output_norm": (8,), "blk.0.attn_norm": (8,), "blk.0.ffn_norm": (8,)}
    shapes |= {"blk.0.attn_q": (8, 8), "blk.0.attn_k": (4, 8), "blk.0.attn_v": (4, 8), "blk.0.attn_output": (8, 8)}
    shapes |= {"blk.0.ffn_gate": (16, 8), "blk.0.ffn_up": (16, 8), "blk.0.ffn_down": (8, 16)}
    for name, shape in shapes.items():
        writer.add_tensor(f"{name}.weight", rng.normal(size=shape).astype(np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path
