"""Writes a trace file: safetensors, as docs/traces.md describes it. Shared by the other tools, which lie beside it."""

import json
import struct

import numpy as np


def write(path, metadata, tensors):
    """`tensors`: for each name its passes, each a list of positions and an array with a row for each."""
    header, at, blobs = {}, 0, []
    for name, passes in tensors.items():
        positions = [p for part, _ in passes for p in part]
        keys = max(rows.shape[-1] for _, rows in passes)
        padded = [np.pad(r, [(0, 0)] * (r.ndim - 1) + [(0, keys - r.shape[-1])]) for _, r in passes]
        values = np.concatenate(padded).astype("<f4")
        metadata["positions." + name] = ",".join(map(str, positions))
        header[name] = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [at, at + values.nbytes]}
        at += values.nbytes
        blobs.append(values)
    header["__metadata__"] = metadata
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for blob in blobs:
            file.write(blob.tobytes())
