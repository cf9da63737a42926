#!/usr/bin/env python3
"""Asks a running `samebit serve` through the `openai` package, unchanged, and checks what comes.

    pip install openai
    samebit serve -m qwen2.5-0.5b.gguf &
    tools/openai_client.py [http://127.0.0.1:8080/v1] [key]
"""

import json
import sys

import openai

TOOLS = [{"type": "function", "function": {
    "name": "get_weather", "description": "Tells the weather in a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"],
                   "additionalProperties": False}}}]
SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
          "required": ["name", "age"], "additionalProperties": False}
QUESTION = [{"role": "user", "content": "Name three colours."}]


def chat(client, model):
    answer = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=24, seed=7)
    again = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=24, seed=7)
    assert answer.choices[0].message.content == again.choices[0].message.content
    assert answer.system_fingerprint.startswith("samebit-") and answer.usage.completion_tokens <= 24
    return answer.choices[0].message.content


def streaming(client, model):
    whole = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=24, seed=7, n=2)
    texts, usage = ["", ""], None
    for chunk in client.chat.completions.create(model=model, messages=QUESTION, max_tokens=24, seed=7, n=2, stream=True,
                                                stream_options={"include_usage": True}):
        usage = chunk.usage or usage
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == [choice.message.content for choice in whole.choices], texts
    assert usage.total_tokens == whole.usage.total_tokens
    return usage


def logprobs(client, model):
    answer = client.chat.completions.create(model=model, messages=QUESTION, max_tokens=4, temperature=0, logprobs=True,
                                            top_logprobs=3)
    for token in answer.choices[0].logprobs.content:
        assert len(token.top_logprobs) == 3 and token.top_logprobs[0].logprob == token.logprob
    text = client.completions.create(model=model, prompt="One, two,", max_tokens=4, temperature=0, logprobs=2, echo=True)
    assert text.choices[0].text.startswith("One, two,") and text.choices[0].logprobs.token_logprobs[0] is None
    return text.choices[0].text


def tools(client, model):
    messages = [{"role": "user", "content": "What is the weather in Oslo?"}]
    try:
        answer = client.chat.completions.create(model=model, messages=messages, tools=TOOLS, max_tokens=64, temperature=0)
    except openai.BadRequestError as error:
        assert error.code == "tools_unsupported", error
        return "the model's template knows no tools"
    said = answer.choices[0].message
    forced = client.chat.completions.create(model=model, messages=messages, tools=TOOLS, max_tokens=64, temperature=0,
                                            tool_choice="required")
    call = forced.choices[0].message.tool_calls[0]
    assert forced.choices[0].finish_reason == "tool_calls" and "city" in json.loads(call.function.arguments)
    messages += [forced.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "Rain, 7 degrees."}]
    last = client.chat.completions.create(model=model, messages=messages, tools=TOOLS, max_tokens=32, temperature=0)
    streamed = [delta for chunk in client.chat.completions.create(
        model=model, messages=messages[:1], tools=TOOLS, max_tokens=64, temperature=0, tool_choice="required", stream=True)
        for delta in chunk.choices[0].delta.tool_calls or []]
    assert streamed[0].function.arguments == call.function.arguments
    return said.tool_calls and said.tool_calls[0].function, call.function, last.choices[0].message.content


def schema(client, model):
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Invent a person, as JSON."}], max_tokens=120, seed=3,
        response_format={"type": "json_schema", "json_schema": {"name": "person", "schema": SCHEMA, "strict": True}})
    person = json.loads(answer.choices[0].message.content)
    assert isinstance(person["name"], str) and isinstance(person["age"], int) and len(person) == 2
    return person


def embeddings(client, model):
    answer = client.embeddings.create(model=model, input=["a cat", "a kitten", "a tax return"])
    one, two, three = (item.embedding for item in answer.data)
    near, far = (sum(a * b for a, b in zip(one, other)) for other in (two, three))
    assert abs(sum(a * a for a in one) - 1) < 1e-3 and near > far, (near, far)
    return len(one), near, far


def responses(client, model):
    answer = client.responses.create(model=model, input="Name three colours.", max_output_tokens=24)
    text, final = "", None
    for event in client.responses.create(model=model, input="Name three colours.", max_output_tokens=24, stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        elif event.type in ("response.completed", "response.incomplete"):
            final = event.response
    assert final.output_text == text and final.usage.output_tokens == answer.usage.output_tokens
    assert text == answer.output_text
    return text


def errors(client, model):
    try:
        client.chat.completions.create(model=model, messages=QUESTION, top_p=3)
    except openai.BadRequestError as error:
        assert "top_p" in error.message
        return error.message
    raise AssertionError("top_p 3 was taken")


def main():
    base = sys.argv[1] if len(sys.argv) > 1 else "http://127.0.0.1:8080/v1"
    client = openai.OpenAI(base_url=base, api_key=sys.argv[2] if len(sys.argv) > 2 else "none", max_retries=0)
    model = client.models.list().data[0].id
    print("model:", model)
    for check in (chat, streaming, logprobs, tools, schema, embeddings, responses, errors):
        print(f"{check.__name__}: {check(client, model)}")


if __name__ == "__main__":
    main()
