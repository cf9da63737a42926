#!/usr/bin/env python3
"""Draws time per token against the context, from `samebit bench -o jsonl` on standard input: one SVG on standard output.

    samebit bench -m MODEL -p 0 -n 16 -d 128,512,2048,8064 -r 3 --against llama-bench -o jsonl \
      | tools/scaling.py MODEL='its name' llama-bench=llama.cpp > scaling.svg

Each model is a pair of lines: samebit's, drawn through, and the other program's, dashed. Both axes are logarithmic.
Arguments say how a model's file (less its ending) or the other program shall be called.
"""

import json
import math
import sys
from pathlib import Path

WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT = 820, 440, 70, 50, 30, 300
COLOURS = ["#1b6ca8", "#c0392b", "#2e8b57", "#8e44ad", "#b8860b", "#555555"]


def series(lines, names):
    """Name to points (context, milliseconds per token), ours and theirs."""
    found = {}
    for line in lines:
        row = json.loads(line)
        if not row["n_gen"] or row["n_prompt"]:
            continue
        # A test of n tokens from depth d sees d + n/2 positions on average.
        context = row["n_depth"] + row["n_gen"] / 2
        stem = Path(row["model_filename"]).stem
        name = f'{names.get(stem, stem)}, {row["n_threads"]} thread' + "s" * (row["n_threads"] > 1)
        found.setdefault((name, False), []).append((context, 1e3 / row["median_ts"]))
        if row.get("against_median_ts"):
            program = names.get(row["against_program"], row["against_program"])
            other = (f"{name} ({program})", True)
            found.setdefault(other, []).append((context, 1e3 / row["against_median_ts"]))
    return found


def ticks(low, high, steps):
    """Round numbers from low to high."""
    decade = 10 ** math.floor(math.log10(low))
    while decade <= high:
        for step in steps:
            if low <= step * decade <= high:
                yield step * decade
        decade *= 10


def draw(found):
    points = [point for line in found.values() for point in line]
    low_x, high_x = min(x for x, _ in points) * 0.9, max(x for x, _ in points) * 1.1
    low_y, high_y = min(y for _, y in points) * 0.8, max(y for _, y in points) * 1.2

    def at(x, y):
        across = (math.log(x) - math.log(low_x)) / (math.log(high_x) - math.log(low_x))
        up = (math.log(y) - math.log(low_y)) / (math.log(high_y) - math.log(low_y))
        return LEFT + across * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - up * (HEIGHT - BOTTOM - TOP)

    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="18">milliseconds per generated token, by positions in the context</text>',
    ]
    for y in ticks(low_y, high_y, (1, 2, 5)):
        x0, y0 = at(low_x, y)
        out.append(f'<line x1="{x0}" y1="{y0:.1f}" x2="{WIDTH - RIGHT}" y2="{y0:.1f}" stroke="#dddddd"/>')
        out.append(f'<text x="{x0 - 6}" y="{y0 + 4:.1f}" text-anchor="end">{y:g}</text>')
    for power in range(4, 20):
        if low_x <= 2**power <= high_x:
            x0, y0 = at(2**power, low_y)
            out.append(f'<text x="{x0:.1f}" y="{y0 + 18}" text-anchor="middle">{2**power}</text>')
    colours = {}
    for index, ((name, dashed), line) in enumerate(found.items()):
        colour = colours.setdefault(name.split(" (")[0], COLOURS[len(colours) % len(COLOURS)])
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (at(*point) for point in sorted(line)))
        dash = ' stroke-dasharray="5 4"' if dashed else ""
        out.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dash}/>')
        y = TOP + 16 * index
        out.append(f'<line x1="{WIDTH - RIGHT + 8}" y1="{y}" x2="{WIDTH - RIGHT + 32}" y2="{y}" stroke="{colour}" stroke-width="2"{dash}/>')
        out.append(f'<text x="{WIDTH - RIGHT + 38}" y="{y + 4}" font-size="10">{name}</text>')
    out.append("</svg>")
    return "\n".join(out)


if __name__ == "__main__":
    called = dict(argument.split("=", 1) for argument in sys.argv[1:] if "=" in argument)
    data = series((line for line in sys.stdin if line.strip()), called)
    if not data:
        sys.exit("scaling.py: no tests of generation on standard input")
    print(draw(data))
