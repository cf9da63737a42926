#!/usr/bin/env python3
"""Writes a trace of a Hugging Face model, for `samebit compare` and `samebit diagnose`.

    pip install torch transformers numpy
    python3 trace_transformers.py MODEL -p "The capital of France is" -o theirs.safetensors
    python3 trace_transformers.py . --gguf model.gguf --tokens 1,2,3 -o theirs.safetensors

Listens with PyTorch's hooks; attention is the eager one, so that its weights are tensors. For models of llama's kind the
elements of queries and keys are put in the order in which GGUF has them (pair beside pair).
"""

import argparse
import sys

import numpy as np
import torch
import transformers

from trace_file import write

# GGUF's llama architecture has the rows of queries and keys interleaved; all others have the halves of a head.
INTERLEAVED = {"llama", "mistral", "mixtral", "smollm"}


class Listener:
    """Keeps tensors by name; a tensor of a later pass follows the earlier one's rows."""

    def __init__(self, model):
        self.model, self.tensors, self.layer, self.first = model, {}, 0, 0
        config = model.config.get_text_config()
        self.heads, self.kv_heads = config.num_attention_heads, config.num_key_value_heads
        self.interleave = config.model_type in INTERLEAVED

    def keep(self, name, value):
        array = value.detach().to(torch.float32).cpu().numpy()
        rows = array.shape[0]
        self.tensors.setdefault(name, []).append((list(range(self.first, self.first + rows)), array))

    def keep_heads(self, name, value, heads):
        """Rows of all heads side by side, in GGUF's order."""
        rows = value.reshape(value.shape[0], heads, -1)
        if self.interleave:
            rows = rows.reshape(rows.shape[0], heads, 2, -1).swapaxes(2, 3)
        self.keep(name, rows.reshape(value.shape[0], -1))

    def output(self, module, name, heads=None):
        def hook(_, __, out):
            value = (out[0] if isinstance(out, tuple) else out)[0]
            if value.dim() > 2:
                value = value.reshape(value.shape[0], -1)
            self.keep(name, value) if heads is None else self.keep_heads(name, value, heads)

        if module is not None:
            module.register_forward_hook(hook)

    def input(self, module, name):
        module.register_forward_pre_hook(lambda _, args: self.keep(name, args[0][0]))

    def listen(self):
        base = self.model.model
        base = getattr(base, "language_model", base)
        scaled = hasattr(base.embed_tokens, "embed_scale")
        self.output(base.embed_tokens, "inp_scaled" if scaled else "embd")
        for index, layer in enumerate(base.layers):
            self.listen_layer(index, layer)
        self.output(base.norm, "result_norm")
        self.output(self.model.lm_head, "result_output")

    def listen_layer(self, index, layer):
        at, mlp = layer.self_attn, layer.mlp
        name = lambda base: f"{base}-{index}"
        self.output(layer.input_layernorm, name("attn_norm"))
        if hasattr(at, "q_proj"):
            self.output(at.q_proj, name("Qcur"), self.heads)
            self.output(at.k_proj, name("Kcur"), self.kv_heads)
            self.output(at.v_proj, name("Vcur"))
        self.listen_norms(index, at)
        self.listen_rope(index, at)
        self.input(at.o_proj, name("kqv_out"))
        self.output(at.o_proj, name("attn_out"))

        def weights(_, __, out):
            if isinstance(out, tuple) and len(out) > 1 and out[1] is not None:
                self.keep(name("kq_soft_max"), out[1][0].transpose(0, 1))

        at.register_forward_hook(weights)
        if hasattr(layer, "pre_feedforward_layernorm"):
            self.output(layer.post_attention_layernorm, name("attn_post_norm"))
            before = layer.pre_feedforward_layernorm
            self.output(layer.post_feedforward_layernorm, name("ffn_post_norm"))
        else:
            before = layer.post_attention_layernorm
        self.input(before, name("ffn_inp"))
        self.output(before, name("ffn_norm"))
        if hasattr(mlp, "gate_proj"):
            self.output(mlp.gate_proj, name("ffn_gate"))
            self.output(mlp.up_proj, name("ffn_up"))
        if hasattr(mlp, "down_proj"):
            self.input(mlp.down_proj, name("ffn_gated"))
        self.output(mlp, name("ffn_out"))
        self.output(layer, name("l_out"))

    def listen_norms(self, index, at):
        """Norms of heads: [batch, tokens, heads, size] or [batch, heads, tokens, size], as the model has it."""
        for part, base, heads in (("q_norm", "Qcur", self.heads), ("k_norm", "Kcur", self.kv_heads)):
            module = getattr(at, part, None)
            if module is None:
                continue

            def hook(_, __, out, base=base, heads=heads):
                value = out[0] if out.shape[2] == heads else out[0].transpose(0, 1)
                self.keep_heads(f"{base}_normed-{index}", value.reshape(value.shape[0], -1), heads)

            module.register_forward_hook(hook)

    def listen_rope(self, index, at):
        """RoPE is a function of the module that the attention is written in."""
        at.register_forward_pre_hook(lambda *_: setattr(self, "layer", index), with_kwargs=False)
        module = sys.modules[type(at).__module__]
        original = getattr(module, "apply_rotary_pos_emb", None)
        if original is None or hasattr(original, "samebit"):
            return

        def wrapped(q, k, *args, **kwargs):
            q, k = original(q, k, *args, **kwargs)
            for base, value, heads in (("Qcur", q, self.heads), ("Kcur", k, self.kv_heads)):
                rows = value[0].transpose(0, 1)
                self.keep_heads(f"{base}_rope-{self.layer}", rows.reshape(rows.shape[0], -1), heads)
            return q, k

        wrapped.samebit = True
        module.apply_rotary_pos_emb = wrapped


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="a folder or a name on the hub")
    parser.add_argument("--gguf", help="load this GGUF file of the folder, dequantised")
    parser.add_argument("-p", "--prompt")
    parser.add_argument("--tokens", help="the prompt as ids, such as 1,2,3")
    parser.add_argument("-n", "--predict", type=int, default=0, help="tokens to generate, greedily")
    parser.add_argument("--dtype", default="float32", choices=["float32", "float16", "bfloat16", "float64"])
    parser.add_argument("-o", "--output", required=True)
    return parser.parse_args()


def main():
    args = arguments()
    options = {"gguf_file": args.gguf} if args.gguf else {}
    model = transformers.AutoModelForCausalLM.from_pretrained(
        args.model, attn_implementation="eager", dtype=getattr(torch, args.dtype), **options
    ).eval()
    if args.tokens:
        tokens = [int(t) for t in args.tokens.split(",")]
    else:
        tokens = transformers.AutoTokenizer.from_pretrained(args.model, **options)(args.prompt or "")["input_ids"]
    if not tokens:
        sys.exit("no prompt: give one with -p TEXT or --tokens IDS")
    listener = Listener(model)
    listener.listen()
    run, generated, batch, cache = [], [], list(tokens), None
    with torch.no_grad():
        for _ in range(max(1, args.predict)):
            listener.first = len(run)
            out = model(torch.tensor([batch]), past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            run += batch
            if args.predict:
                generated.append(int(out.logits[0, -1].argmax()))
                batch = generated[-1:]
    metadata = {
        "engine": f"transformers {transformers.__version__} (torch {torch.__version__})", "numerics": args.dtype,
        "tokens": ",".join(map(str, run)), "generated": ",".join(map(str, generated)),
    }
    write(args.output, metadata, listener.tensors)
    print(f"{args.output}: {len(listener.tensors)} tensors, {len(run)} tokens", file=sys.stderr)


if __name__ == "__main__":
    main()
