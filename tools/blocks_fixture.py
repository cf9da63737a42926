#!/usr/bin/env python3
"""Weight formats against the `gguf` package's numpy code (pip install gguf numpy).

    tools/blocks_fixture.py write            regenerates crates/samebit-numerics/tests/data/blocks.bin
    tools/blocks_fixture.py check [BLOCKS]   compares BLOCKS (default 1000000) random blocks per format, and
                                             the quantisers that the package has, with the `blocks` example

The fixture, little-endian, once per block format:

    name        8 bytes, padded with zeros
    count       u32
    blocks      count * block_bytes bytes
    checksums   count * u32: CRC-32 (zlib's) of each block's values as f32 bits
    first       the first block's values, f32

NaN is canonicalised to 0x7fc00000 before anything is compared or summed: the package keeps payloads, and the
sign of the NaN that infinity times zero makes is the processor's.
"""

import functools
import itertools
import json
import pathlib
import subprocess
import sys
import zlib

import gguf
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIXTURE = ROOT / "crates/samebit-numerics/tests/data/blocks.bin"
PIECE = 50_000  # blocks compared at a time

# Name: where its f16 scales (d, then offset or dmin) lie in a block.
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [],
}
# Zeros, the smallest and largest subnormal, the smallest normal, ones, the largest finite, infinities, NaNs.
EDGES = [0x0000, 0x8000, 0x0001, 0x8001, 0x03FF, 0x83FF, 0x0400, 0x3C00, 0xBC00, 0x7BFF, 0xFBFF,
         0x7C00, 0xFC00, 0x7E00, 0xFE01]


def kind(name):
    return gguf.GGMLQuantizationType[name]


def values(name, blocks):
    """The package's values as u32 bits, one row per block."""
    if name in ("F32", "F16"):  # not block formats to the package
        values = blocks.view(np.float32 if name == "F32" else np.float16).astype(np.float32)
    else:
        with np.errstate(all="ignore"):
            values = gguf.dequantize(blocks, kind(name)).astype(np.float32)
    bits = values.view(np.uint32).copy()
    bits[np.isnan(values)] = 0x7FC00000
    return bits.reshape(len(blocks), -1)


def random_blocks(name, count, rng):
    return rng.integers(0, 256, (count, gguf.GGML_QUANT_SIZES[kind(name)][1]), dtype=np.uint8)


def edge_blocks(name, rng):
    """Every edge as the first scale; where there is a second one, random pairs of edges besides."""
    places = SCALES[name]
    if not places:
        blocks = random_blocks(name, 256, rng)
        blocks[:, 0] = np.arange(256)
        return blocks
    pairs = [[edge] * len(places) for edge in EDGES]
    if len(places) == 2:
        every = list(itertools.product(EDGES, EDGES))
        pairs += [every[i] for i in rng.permutation(len(every))[:15]]
    blocks = random_blocks(name, len(pairs), rng)
    for block, pair in zip(blocks, pairs):
        for at, edge in zip(places, pair):
            block[at : at + 2] = np.frombuffer(edge.to_bytes(2, "little"), np.uint8)
    return blocks


def write():
    rng = np.random.default_rng(1)
    out = bytearray()
    for name in SCALES:
        elements = gguf.GGML_QUANT_SIZES[kind(name)][0]
        plain = random_blocks(name, 64 if elements == 32 else 16, rng)
        blocks = np.concatenate([plain, edge_blocks(name, rng)])
        bits = values(name, blocks)
        sums = np.array([zlib.crc32(row.astype("<u4").tobytes()) for row in bits], "<u4")
        out += name.encode().ljust(8, b"\0") + len(blocks).to_bytes(4, "little")
        out += blocks.tobytes() + sums.tobytes() + bits[0].astype("<u4").tobytes()
    FIXTURE.write_bytes(out)
    print(f"{FIXTURE.relative_to(ROOT)}: {len(out)} bytes")


@functools.cache
def binary():
    """Builds the example and finds it where cargo's messages say."""
    command = ["cargo", "build", "--release", "-p", "samebit-numerics", "--example", "blocks", "--message-format=json"]
    messages = subprocess.run(command, stdout=subprocess.PIPE, check=True, cwd=ROOT).stdout.splitlines()
    return next(path for message in messages if (path := json.loads(message).get("executable")))


def example(*arguments, data):
    return subprocess.run([binary(), *arguments], input=data, stdout=subprocess.PIPE, check=True).stdout


def check_values(name, count):
    rng = np.random.default_rng(2)
    differing = 0
    for begin in range(0, count, PIECE):
        blocks = random_blocks(name, min(PIECE, count - begin), rng)
        got = np.frombuffer(example("dequantize", name, data=blocks.tobytes()), "<u4")
        differing += np.count_nonzero(got != values(name, blocks).ravel())
    print(f"{name:7} dequantize {count} blocks: {differing} differing values", flush=True)
    return differing


def check_quantizer(name, count):
    """Bit for bit on values that span many magnitudes, a block of zeros among them."""
    rng = np.random.default_rng(3)
    x = (rng.standard_normal((count, 32)) * np.exp(rng.standard_normal((count, 1)) * 3)).astype(np.float32)
    x[0] = 0
    got = np.frombuffer(example("quantize", name, data=x.tobytes()), np.uint8)
    with np.errstate(all="ignore"):
        want = gguf.quantize(x, kind(name)).reshape(count, -1)
    differing = np.count_nonzero((got.reshape(want.shape) != want).any(axis=1))
    print(f"{name:7} quantize {count} blocks: {differing} differing blocks", flush=True)
    return differing


def main():
    match sys.argv[1:]:
        case ["write"]:
            write()
        case ["check", *rest]:
            count = int(rest[0]) if rest else 1_000_000
            wrong = sum(check_values(name, count) for name in ["F32", "F16", "BF16", *SCALES])
            quantizers = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "MXFP4"]
            wrong += sum(check_quantizer(name, min(count, 100_000)) for name in quantizers)
            sys.exit(1 if wrong else 0)
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main()
