"""OpenAI's Python SDK: chats without tools, embeddings, models."""

import json

import openai

from checks import (
    ANSWER,
    API_KEY,
    BASE_URL,
    BEFORE_STOP,
    IMAGE_URL,
    LONG,
    PNG,
    REFUSAL,
    REFUSE,
    SAY_LONG,
    STOP,
    SYSTEM,
    THOUGHT_WORDS,
    TURNS,
    WEATHER,
    WORDS,
    Weather,
    can,
    check,
    ends_with,
    has,
    needs,
    same,
    tokens_of,
)

MODEL = "gpt-4o-mini"
# It thinks, which the other refuses to be asked for.
THINKER = "gpt-5-mini"
MESSAGES = [{"role": "user", "content": "Hello, you"}]

client = openai.OpenAI(base_url=f"{BASE_URL}/v1", api_key=API_KEY, max_retries=0, timeout=20)


@check
def a_chat_gets_the_answer():
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES)
    same("text", answer.choices[0].message.content, ANSWER)
    same("finish reason", answer.choices[0].finish_reason, "stop")
    same("output tokens", answer.usage.completion_tokens, WORDS)


@check
def a_streamed_chat_gets_the_answer():
    text, reasons = "", []
    for chunk in client.chat.completions.create(model=MODEL, messages=MESSAGES, stream=True):
        for choice in chunk.choices:
            text += choice.delta.content or ""
            reasons += [choice.finish_reason] if choice.finish_reason else []
        same("usage", chunk.usage, None)
    same("text", text, ANSWER)
    same("finish reasons", reasons, ["stop"])


@check
def a_streamed_chat_has_the_usage_it_asked_for():
    chunks = list(
        client.chat.completions.create(
            model=MODEL, messages=MESSAGES, stream=True, stream_options={"include_usage": True}
        )
    )
    same("choices of the last chunk", chunks[-1].choices, [])
    same("output tokens", chunks[-1].usage.completion_tokens, WORDS)
    same("chunks with usage", sum(1 for chunk in chunks if chunk.usage), 1)


@check
def the_stream_helper_puts_the_answer_together():
    with client.chat.completions.stream(model=MODEL, messages=MESSAGES) as stream:
        for _ in stream:
            pass
        same("text", stream.get_final_completion().choices[0].message.content, ANSWER)


@check
def a_limit_cuts_the_answer():
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, max_completion_tokens=2)
    same("text", answer.choices[0].message.content, " ".join(ANSWER.split()[:2]))
    same("finish reason", answer.choices[0].finish_reason, "length")


@check
def a_long_answer_comes_whole():
    messages = [{"role": "user", "content": SAY_LONG}]
    answer = client.chat.completions.create(model=MODEL, messages=messages)
    same("text", answer.choices[0].message.content, LONG)
    chunks = client.chat.completions.create(model=MODEL, messages=messages, stream=True)
    same("streamed", "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices), LONG)


@check
def a_system_prompt_arrives():
    for role in ("system", "developer"):
        messages = [{"role": role, "content": SYSTEM}, *MESSAGES]
        answer = client.chat.completions.create(model=MODEL, messages=messages)
        same(role, answer.choices[0].message.content, f"{SYSTEM} {ANSWER}")


@check
def all_turns_arrive():
    messages = [{"role": "system", "content": SYSTEM}]
    messages += [
        {"role": role, "content": text} for role, text in zip(("user", "assistant", "user"), TURNS)
    ]
    answer = client.chat.completions.create(model=MODEL, messages=messages)
    same("text", answer.choices[0].message.content, f"{SYSTEM} {ANSWER}")
    same("input tokens", answer.usage.prompt_tokens, tokens_of(SYSTEM, *TURNS))
    same("all tokens", answer.usage.total_tokens, answer.usage.prompt_tokens + answer.usage.completion_tokens)


@check
def images_are_seen():
    urls = [f"data:image/png;base64,{PNG}", IMAGE_URL]
    parts = [{"type": "text", "text": "Look"}]
    parts += [{"type": "image_url", "image_url": {"url": url}} for url in urls]
    answer = client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": parts}])
    text = answer.choices[0].message.content
    has("text", text, "saw 2 image(s)")
    ends_with("text", text, ANSWER)


@check
def stop_sequences_stop():
    for stop in (STOP, ["never said", STOP]):
        answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, stop=stop)
        same("text", answer.choices[0].message.content, BEFORE_STOP)
        same("finish reason", answer.choices[0].finish_reason, "stop")
    chunks = client.chat.completions.create(model=MODEL, messages=MESSAGES, stop=STOP, stream=True)
    same("streamed", "".join(chunk.choices[0].delta.content or "" for chunk in chunks), BEFORE_STOP)


@check
def a_refusal_is_told():
    settings = {"model": MODEL, "messages": [{"role": "user", "content": REFUSE}]}
    answer = client.chat.completions.create(**settings).choices[0]
    chunks = client.chat.completions.create(**settings, stream=True)
    choices = [choice for chunk in chunks for choice in chunk.choices]
    refusal = "".join(choice.delta.refusal or "" for choice in choices)
    reason = "stop" if can("refusals") else "content_filter"
    for told in [
        (answer.message.refusal, answer.message.content, answer.finish_reason),
        (refusal or None, None, choices[-1].finish_reason),
    ]:
        same("refusal", told, (REFUSAL if can("refusals") else None, None, reason))


@check
def sampling_is_taken():
    answer = client.chat.completions.create(
        model=MODEL, messages=MESSAGES, temperature=0.5, max_tokens=60, user="me"
    )
    same("text", answer.choices[0].message.content, ANSWER)


@needs("choices")
def several_choices_come():
    answer = client.chat.completions.create(model=MODEL, messages=MESSAGES, n=2)
    same("texts", [choice.message.content for choice in answer.choices], [ANSWER] * 2)


@check
def json_follows_its_schema():
    answer = client.chat.completions.parse(model=MODEL, messages=MESSAGES, response_format=Weather)
    same("parsed", answer.choices[0].message.parsed, Weather(**WEATHER))
    with client.chat.completions.stream(model=MODEL, messages=MESSAGES, response_format=Weather) as stream:
        for _ in stream:
            pass
        parsed = stream.get_final_completion().choices[0].message.parsed
    same("streamed", parsed, Weather(**WEATHER))


@needs("loose_json")
def json_needs_no_schema():
    messages = [{"role": "user", "content": "Some JSON, please"}]
    answer = client.chat.completions.create(
        model=MODEL, messages=messages, response_format={"type": "json_object"}
    )
    same("keys", list(json.loads(answer.choices[0].message.content)), ["answer"])


@check
def reasoning_is_asked_for():
    settings = {"model": THINKER, "messages": MESSAGES, "reasoning_effort": "low"}
    answer = client.chat.completions.create(**settings)
    same("text", answer.choices[0].message.content, ANSWER)
    same("thought tokens", answer.usage.completion_tokens_details.reasoning_tokens, THOUGHT_WORDS)
    same("output tokens", answer.usage.completion_tokens, WORDS + THOUGHT_WORDS)
    chunks = client.chat.completions.create(**settings, stream=True)
    same("streamed", "".join(chunk.choices[0].delta.content or "" for chunk in chunks), ANSWER)


@needs("embeddings")
def embeddings_are_the_same_in_base64_and_as_numbers():
    model = "text-embedding-3-small"
    texts = ["one", "two"]
    # Without a format the SDK asks for Base64 and decodes it.
    encoded = client.embeddings.create(model=model, input=texts)
    numbers = client.embeddings.create(model=model, input=texts, encoding_format="float")
    same("count", [entry.index for entry in encoded.data], [0, 1])
    for left, right in zip(encoded.data, numbers.data):
        worst = max(abs(a - b) for a, b in zip(left.embedding, right.embedding))
        same("lengths", len(left.embedding), len(right.embedding))
        same("near", worst < 1e-6, True)
    same("different texts", encoded.data[0].embedding == encoded.data[1].embedding, False)


@check
def models_are_listed():
    same("known", MODEL in [model.id for model in client.models.list()], True)
