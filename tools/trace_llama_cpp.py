#!/usr/bin/env python3
"""Writes a trace of llama.cpp, all values, for `samebit compare` and `samebit diagnose`.

    pip install llama-cpp-python numpy
    python3 trace_llama_cpp.py -m model.gguf -p "The capital of France is" -o theirs.safetensors

Uses the eval callback of llama.cpp's own library, through llama-cpp-python's low-level API (LLAMA_CPP_LIB_PATH names
another folder with libllama.so). By default the cache is binary32 and there is no flash attention, so that what remains of
a difference is the arithmetic; --kv f16 and --flash ask for what llama.cpp does by itself.
"""

import argparse
import ctypes
import os
import re
import sys

import numpy as np

import llama_cpp.llama_cpp as llama

from trace_file import write

# ggml's tensor, as far as it is read here: the layout has been the same since 2024.
MAX_DIMS, MAX_OP_PARAMS, MAX_SRC, MAX_NAME = 4, 64, 10, 64


class Tensor(ctypes.Structure):
    pass


Tensor._fields_ = [
    ("type", ctypes.c_int),
    ("buffer", ctypes.c_void_p),
    ("ne", ctypes.c_int64 * MAX_DIMS),
    ("nb", ctypes.c_size_t * MAX_DIMS),
    ("op", ctypes.c_int),
    ("op_params", ctypes.c_int32 * (MAX_OP_PARAMS // 4)),
    ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(Tensor) * MAX_SRC),
    ("view_src", ctypes.c_void_p),
    ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p),
    ("name", ctypes.c_char * MAX_NAME),
]

# Nodes that are nothing of their own.
NOTHING = {"VIEW", "RESHAPE", "PERMUTE", "TRANSPOSE", "CPY", "SET_ROWS", "RMS_NORM", "NORM", "NONE"}
BY_MATRIX = {
    "attn_q": "Qcur", "attn_k": "Kcur", "attn_v": "Vcur", "attn_output": "attn_out", "ffn_gate": "ffn_gate",
    "ffn_up": "ffn_up", "ffn_down": "ffn_out", "ffn_gate_inp": "ffn_moe_logits",
}
ALIASES = {
    "inp_embd": "embd", "ffn_swiglu": "ffn_gated", "ffn_geglu": "ffn_gated", "ffn_gate_par": "ffn_gated",
    "sa_out": "ffn_inp", "ffn_moe_out": "ffn_out", "ffn_moe_weights_norm": "ffn_moe_weights",
    "ffn_moe_weights_softmax": "ffn_moe_weights", "ffn_moe_swiglu": "ffn_moe_gated", "ffn_moe_geglu": "ffn_moe_gated",
    "ffn_moe_swiglu_oai": "ffn_moe_gated", "ffn_moe_gate_biased": "ffn_moe_gate", "ffn_moe_up_biased": "ffn_moe_up",
    "ffn_moe_down_biased": "ffn_moe_down",
}
# Of each chosen expert, side by side.
EXPERTS = {"ffn_moe_gate", "ffn_moe_up", "ffn_moe_gated", "ffn_moe_down"}
LAYER = {
    "attn_norm", "Qcur", "Kcur", "Vcur", "Qcur_normed", "Kcur_normed", "kq", "kq_soft_max", "kqv_out", "attn_out",
    "attn_post_norm", "ffn_inp", "ffn_norm", "ffn_gate", "ffn_up", "ffn_gated", "ffn_out", "ffn_post_norm", "l_out",
    "ffn_moe_logits", "ffn_moe_weights", *EXPERTS,
}
GLOBAL = {"embd", "inp_scaled", "result_norm", "result_output"}


def ggml():
    """The library that names ggml's operations: the one that llama.cpp has loaded already."""
    folder = os.environ.get("LLAMA_CPP_LIB_PATH") or os.path.join(os.path.dirname(llama.__file__), "lib")
    for name in ("libggml-base.so", "libggml-base.dylib", "ggml-base.dll"):
        path = os.path.join(folder, name)
        if os.path.exists(path):
            library = ctypes.CDLL(path)
            library.ggml_op_desc.restype = ctypes.c_char_p
            library.ggml_op_desc.argtypes = [ctypes.c_void_p]
            library.ggml_backend_tensor_get.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_size_t]
            return library
    sys.exit(f"{folder}: no libggml-base here: set LLAMA_CPP_LIB_PATH to llama.cpp's libraries")


def label(name, operation, sources):
    """The trace's name of a node, or None for nodes that are no result of their own."""
    if operation in NOTHING or " (" in name:
        return None
    if operation == "MUL_MAT":
        for source in sources:
            if source in ("output.weight", "token_embd.weight"):
                return "result_output"
            parts = source.split(".")
            if len(parts) == 4 and parts[0] == "blk" and parts[2] in BY_MATRIX:
                return f"{BY_MATRIX[parts[2]]}-{parts[1]}"
    if operation == "FLASH_ATTN_EXT":
        # Unnamed in some releases: the cache that it reads says which layer's it is.
        for source in [name, *sources]:
            found = re.match(r"(?:cache_k_l|.*-)(\d+)( |$)", source)
            if found:
                return f"kqv_out-{found[1]}"
        return None
    base, _, layer = name.rpartition("-")
    if operation == "ADD" and any(source.endswith("ffn_gate_inp.bias") for source in sources):
        base = "ffn_moe_logits"  # the sum bears the name of what comes next
    if not base or not layer.isdigit():
        base, layer = name, None
    base = ALIASES.get(base, base)
    if operation == "ROPE" and base in ("Qcur", "Kcur"):
        base += "_rope"
    elif operation == "SCALE" and base in ("Qcur", "Qcur_rope"):
        return None
    elif operation == "GET_ROWS" and base != "embd":
        return None
    elif base not in LAYER | GLOBAL:
        return None
    return base if layer is None else f"{base}-{layer}"


class Listener:
    """Keeps every node's values; rows of a pass get the pass's positions."""

    def __init__(self, library):
        self.library, self.tensors, self.first, self.rows, self.pass_ = library, {}, 0, 0, {}

    def begin(self, first, rows):
        self.end()
        self.first, self.rows = first, rows

    def end(self):
        """Adds the pass's tensors to what earlier passes gave."""
        for name, rows in self.pass_.items():
            positions = list(range(self.first + self.rows - len(rows), self.first + self.rows))
            self.tensors.setdefault(name, []).append((positions, rows))
        self.pass_ = {}

    def hear(self, pointer, ask):
        tensor = ctypes.cast(pointer, ctypes.POINTER(Tensor)).contents
        operation = self.library.ggml_op_desc(pointer).decode()
        sources = [s.contents.name.decode() for s in tensor.src if s]
        name = label(tensor.name.decode(), operation, sources)
        if ask:
            return name is not None
        if name is None or tensor.type != 0:
            return True
        self.pass_[name] = self.array(pointer, tensor, name, operation)
        return True

    def array(self, pointer, tensor, name, operation):
        ne, nb = list(tensor.ne), list(tensor.nb)
        size = sum((n - 1) * b for n, b in zip(ne, nb)) + 4
        raw = np.empty(size, np.uint8)
        self.library.ggml_backend_tensor_get(pointer, raw.ctypes.data, 0, size)
        view = np.lib.stride_tricks.as_strided(raw.view(np.float32) if size % 4 == 0 else raw, shape=ne[::-1], strides=nb[::-1])
        view = view[0]
        base = name.rpartition("-")[0] or name
        if base in ("kq", "kq_soft_max"):
            return np.ascontiguousarray(view.transpose(1, 0, 2))  # tokens × heads × keys
        if base.endswith(("_rope", "cur_normed")) or base in EXPERTS or ne[2] > 1 or operation == "FLASH_ATTN_EXT":
            return np.ascontiguousarray(view.reshape(ne[2], -1))
        return np.ascontiguousarray(view[0])


def tokenize(vocabulary, text):
    data = text.encode()
    room = (ctypes.c_int32 * (len(data) + 8))()
    count = llama.llama_tokenize(vocabulary, data, len(data), room, len(room), True, True)
    return list(room[:count])


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("-p", "--prompt")
    parser.add_argument("--tokens", help="the prompt as ids, such as 1,2,3")
    parser.add_argument("-n", "--predict", type=int, default=0, help="tokens to generate, greedily")
    parser.add_argument("-o", "--output", required=True)
    parser.add_argument("-t", "--threads", type=int, default=1)
    parser.add_argument("--kv", choices=["f32", "f16"], default="f32")
    parser.add_argument("--flash", action="store_true", help="flash attention: scores are no tensors of their own then")
    return parser.parse_args()


def main():
    args = arguments()
    silent = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p)(lambda *_: None)
    llama.llama_log_set(silent, None)
    llama.llama_backend_init()
    library = ggml()
    model = llama.llama_model_load_from_file(args.model.encode(), llama.llama_model_default_params())
    if not model:
        sys.exit(f"{args.model}: llama.cpp does not load it")
    vocabulary = llama.llama_model_get_vocab(model)
    tokens = [int(t) for t in args.tokens.split(",")] if args.tokens else tokenize(vocabulary, args.prompt or "")
    if not tokens:
        sys.exit("no prompt: give one with -p TEXT or --tokens IDS")
    listener = Listener(library)
    hear = llama.ggml_backend_sched_eval_callback(lambda tensor, ask, _: listener.hear(tensor, ask))
    params = llama.llama_context_default_params()
    params.n_ctx = max(256, len(tokens) + args.predict)
    params.n_batch = params.n_ubatch = max(512, len(tokens))
    params.n_threads = params.n_threads_batch = args.threads
    params.type_k = params.type_v = {"f32": 0, "f16": 1}[args.kv]
    params.flash_attn_type = int(args.flash)
    params.cb_eval = hear
    context = llama.llama_init_from_model(model, params)
    run, generated, batch = [], [], list(tokens)
    size = llama.llama_vocab_n_tokens(vocabulary)
    for step in range(max(1, args.predict)):
        listener.begin(len(run), len(batch))
        array = (ctypes.c_int32 * len(batch))(*batch)
        if llama.llama_decode(context, llama.llama_batch_get_one(array, len(batch))) != 0:
            sys.exit(f"{args.model}: llama_decode failed at position {len(run)}")
        run += batch
        logits = np.ctypeslib.as_array(llama.llama_get_logits_ith(context, -1), shape=(size,))
        if args.predict:
            generated.append(int(np.argmax(logits)))
            batch = generated[-1:]
    listener.end()
    attention = "flash" if args.flash else "plain"
    metadata = {
        "engine": f"llama.cpp (llama-cpp-python {__import__('llama_cpp').__version__})",
        "numerics": f"kv {args.kv}, {attention} attention", "tokens": ",".join(map(str, run)),
        "generated": ",".join(map(str, generated)), "kv": args.kv,
    }
    if args.prompt and not args.tokens:
        metadata["prompt"] = args.prompt
    write(args.output, metadata, listener.tensors)
    print(f"{args.output}: {len(listener.tensors)} tensors, {len(run)} tokens", file=sys.stderr)


if __name__ == "__main__":
    main()
