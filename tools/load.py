#!/usr/bin/env python3
"""Puts load on servers that speak OpenAI's completions API, and looks at what it does to answers and times.

    tools/load.py burst URL [--expect run.json]        one request many times among others: how many different answers?
    tools/load.py speed ours=URL theirs=URL            the same load on each in turns: tokens a second, times between tokens
    tools/load.py prefix URL                           a long prompt, again, and with another end: time to the first token

Needs Python's standard library alone. `burst` exits with 1 if there was more than one answer.
"""

import argparse
import asyncio
import collections
import json
import random
import resource
import statistics
import sys
import time
import urllib.parse

WORDS = "the a of to and in that it was he for on with as his at by from they we say her she or an will my one all".split()
NEEDLE = {"prompt": "The needle in the haystack", "seed": 77, "temperature": 1.1, "max_tokens": 24, "samebit": True}


async def lines_of(reader, chunked):
    """The body's lines, as they come."""
    rest = b""
    while True:
        if chunked:
            size = int((await reader.readline()).split(b";")[0] or b"0", 16)
            piece = await reader.readexactly(size)
            await reader.readline()
        else:
            piece = await reader.read(65536)
        if not piece:
            break
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line
    yield rest


async def post(url, body, each=None):
    """The answer to a request; calls `each` with each event of a stream."""
    parts = urllib.parse.urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port or 80, limit=1 << 26)
    try:
        data = json.dumps(body).encode()
        head = f"POST {parts.path.rstrip('/')}/v1/completions HTTP/1.1\r\nHost: {parts.netloc}\r\nConnection: close\r\n"
        writer.write(f"{head}Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode() + data)
        status = int((await reader.readline()).split()[1])
        headers = {}
        while (line := (await reader.readline()).strip()):
            name, _, value = line.partition(b":")
            headers[name.lower()] = value.strip().lower()
        text = b""
        async for line in lines_of(reader, headers.get(b"transfer-encoding") == b"chunked"):
            if each is None or status != 200:
                text += line
            elif line.startswith(b"data: ") and line != b"data: [DONE]":
                each(line[6:])
        if status != 200:
            raise RuntimeError(f"status {status}: {text[:300].decode(errors='replace')}")
        return json.loads(text) if each is None else None
    finally:
        writer.close()


def prose(rnd, words):
    return " ".join(rnd.choice(WORDS) for _ in range(words))


def other(rnd, index):
    """One of the requests among which the needle lies."""
    body = {"prompt": prose(rnd, rnd.choice([1, 5, 20, 60, 200, 400])), "seed": index, "max_tokens": rnd.randint(1, 48),
            "temperature": rnd.choice([0, 0.7, 1.2])}
    body.update(rnd.choice([{}, {}, {}, {"n": 2}, {"stop": ["."]}, {"logprobs": 2}, {"top_k": 5}, {"frequency_penalty": 0.5}]))
    return body


def answer_of(response):
    """What must not differ: texts, log-probabilities if they were asked for, and the digest where there is one."""
    digest = (response.get("samebit") or {}).get("logits_digest")
    choices = response["choices"]
    return tuple(choice["text"] for choice in choices), digest, json.dumps([choice.get("logprobs") for choice in choices])


async def burst(args):
    rnd = random.Random(args.seed)
    start = prose(random.Random(0), args.words)
    needle = {**NEEDLE, "max_tokens": args.tokens, **({"logprobs": 1} if args.logprobs else {})}
    needle["prompt"] = f"{start} {NEEDLE['prompt']}".lstrip()
    others = [other(rnd, i) for i in range(args.requests - args.needles)]
    for body in others[::2]:
        body["prompt"] = f"{start} {body['prompt']}".lstrip()
    jobs = [dict(needle) for _ in range(args.needles)] + others
    rnd.shuffle(jobs)
    if args.reversed:
        jobs.reverse()
    delays = [0 if args.over == 0 else rnd.random() * args.over for _ in jobs]
    answers, failed = collections.Counter(), []

    async def one(body, delay):
        await asyncio.sleep(delay)
        try:
            response = await post(args.url, body)
            if body["prompt"] == needle["prompt"]:
                answers[answer_of(response)] += 1
        except (OSError, RuntimeError, ValueError, asyncio.IncompleteReadError) as error:
            failed.append(f"{type(error).__name__}: {error}")

    began = time.monotonic()
    await asyncio.gather(*(one(body, delay) for body, delay in zip(jobs, delays)))
    print(f"{len(jobs)} requests in {time.monotonic() - began:.1f} s, {len(failed)} failed; "
          f"{sum(answers.values())} needles, {len(answers)} different answers")
    for (texts, digest, _), count in answers.most_common(5):
        print(f"  {count:4} × {digest[:16] if digest else '–':16} {texts[0][:60]!r}")
    for why in sorted(set(failed))[:5]:
        print(f"  failed: {why}")
    good = len(answers) == 1 and not failed
    if args.expect:
        with open(args.expect, encoding="utf-8") as file:
            alone = json.load(file)
        good &= {answer[:2] for answer in answers} == {((alone["text"],), alone["logits_digest"])}
        print(f"  {'equal to' if good else 'NOT'} the answer alone")
    return 0 if good else 1


def quantiles(values):
    values = sorted(values) or [0.0]
    return "/".join(f"{1000 * values[min(len(values) - 1, int(len(values) * q))]:.0f}" for q in (0.5, 0.95, 0.99))


async def load(url, clients, tokens, words, seed):
    """Some clients at once, each with one stream: tokens a second, times to the first, between the others."""
    firsts, gaps = [], []

    async def one(index):
        times = [time.monotonic()]
        body = {"prompt": prose(random.Random(seed * 1000 + index), words), "seed": index, "max_tokens": tokens, "stream": True,
                "temperature": 0.8, "ignore_eos": True, "cache_prompt": False}
        await post(url, body, lambda _: times.append(time.monotonic()))
        firsts.append(times[1] - times[0])
        # The last event tells the end, not a token.
        gaps.extend(b - a for a, b in zip(times[1:-1], times[2:-1]))

    began = time.monotonic()
    await asyncio.gather(*(one(index) for index in range(clients)))
    return clients * tokens / (time.monotonic() - began), firsts, gaps


async def speed(args):
    servers = [server.split("=", 1) for server in args.server]
    rates, firsts, gaps = (collections.defaultdict(list) for _ in range(3))
    for name, url in servers:
        await load(url, 1, 8, args.words, 999)
    for turn in range(args.rounds):
        for clients in args.clients:
            for name, url in servers[::1 if turn % 2 == 0 else -1]:
                rate, first, gap = await load(url, clients, args.tokens, args.words, turn)
                rates[clients, name].append(rate)
                firsts[clients, name] += first
                gaps[clients, name] += gap
    print("| clients | server | tokens/s | ratio | first token, ms p50/p95/p99 | between tokens, ms p50/p95/p99 |\n|--|--|--|--|--|--|")
    base = servers[-1][0]
    for clients in args.clients:
        for name, _ in servers:
            key = clients, name
            ratio = statistics.median(a / b for a, b in zip(rates[key], rates[clients, base]))
            print(f"| {clients} | {name} | {statistics.median(rates[key]):.0f} | {ratio:.2f} | {quantiles(firsts[key])} "
                  f"| {quantiles(gaps[key])} |")
    return 0


async def prefix(args):
    rnd = random.Random(args.seed)
    start = prose(rnd, args.words)
    for name, prompt in [("first time", start + " now"), ("again", start + " now"), ("another end", start + " then go on")]:
        times = [time.monotonic()]
        body = {"prompt": prompt, "max_tokens": 4, "stream": True, "temperature": 0, "ignore_eos": True, "cache_prompt": True}
        await post(args.url, body, lambda _: times.append(time.monotonic()))
        print(f"{name}: first token after {times[1] - times[0]:.3f} s")
    return 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(required=True)
    command = commands.add_parser("burst")
    command.add_argument("url")
    command.add_argument("--requests", type=int, default=1000, help="all together")
    command.add_argument("--needles", type=int, default=100, help="of them the same one")
    command.add_argument("--tokens", type=int, default=24, help="of the needle's answer")
    command.add_argument("--logprobs", action="store_true", help="compare the needle's log-probabilities too")
    command.add_argument("--words", type=int, default=0, help="with which the needle's prompt and half of the others begin")
    command.add_argument("--over", type=float, default=0, help="seconds over which they arrive")
    command.add_argument("--seed", type=int, default=1, help="of the others")
    command.add_argument("--reversed", action="store_true", help="arrivals in the reversed order")
    command.add_argument("--expect", help="what `samebit run --json` printed for the needle: prompt "
                         f"'{NEEDLE['prompt']}', --temp 1.1 -s 77 -n (--tokens)")
    command.set_defaults(run=burst)
    command = commands.add_parser("speed")
    command.add_argument("server", nargs="+", help="NAME=URL; ratios are to the last")
    command.add_argument("--clients", type=lambda text: [int(n) for n in text.split(",")], default=[1, 2, 4, 8, 16])
    command.add_argument("--tokens", type=int, default=128)
    command.add_argument("--words", type=int, default=32, help="of a prompt")
    command.add_argument("--rounds", type=int, default=5)
    command.set_defaults(run=speed)
    command = commands.add_parser("prefix")
    command.add_argument("url")
    command.add_argument("--words", type=int, default=4000)
    command.add_argument("--seed", type=int, default=1)
    command.set_defaults(run=prefix)
    args = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 16384)), hard))
    try:
        return asyncio.run(args.run(args))
    except (OSError, RuntimeError, ValueError) as error:
        print(f"load.py: {error}", file=sys.stderr)
        return 3


if __name__ == "__main__":
    sys.exit(main())
