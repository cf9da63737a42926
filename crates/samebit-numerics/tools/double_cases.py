#!/usr/bin/env python3
"""Writes tests/data/double.txt: the elementary functions in binary64 by mpmath, `NAME ARGUMENT VALUE` in hex bits."""

import os
import random
import struct

from mpmath import mp, mpf

mp.prec = 300
rng = random.Random(2)


def gelu_tanh(x):
    return x / (1 + mp.exp(-2 * mp.sqrt(2 / mp.pi) * (x + mpf("0.044715") * x**3)))


# The function, and the arguments' range beyond which it is trivial.
FUNCTIONS = {
    "exp": (mp.exp, -700, 700),
    "ln": (mp.log, 0, 1e6),
    "tanh": (mp.tanh, -20, 20),
    "sigmoid": (lambda x: 1 / (1 + mp.exp(-x)), -700, 40),
    "silu": (lambda x: x / (1 + mp.exp(-x)), -700, 40),
    "gelu_tanh": (gelu_tanh, -8, 8),
    "gelu_erf": (lambda x: x * mp.ncdf(x), -30, 10),
    "softplus": (lambda x: mp.log1p(mp.exp(x)), -700, 40),
    "erf": (mp.erf, -6, 6),
}


def bits(x):
    return f"{struct.unpack('<Q', struct.pack('<d', x))[0]:016x}"


def main():
    lines = []
    for name, (function, low, high) in FUNCTIONS.items():
        arguments = [rng.uniform(low, high) for _ in range(25)]
        arguments += [rng.uniform(max(low, -2), 2) for _ in range(25)]
        arguments += [rng.choice([1, -1 if low < 0 else 1]) * 10 ** rng.uniform(-18, -1) for _ in range(10)]
        for x in arguments:
            value = float(function(mpf(x)))
            lines.append(f"{name} {bits(x)} {bits(value)}")
    path = os.path.join(os.path.dirname(__file__), "..", "tests", "data", "double.txt")
    with open(path, "w") as file:
        file.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
