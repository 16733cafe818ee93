"""Anthropic's Python SDK: messages without tools, tokens, models."""

import anthropic

from checks import (
    ANSWER,
    API_KEY,
    BASE_URL,
    BEFORE_STOP,
    IMAGE_URL,
    LONG,
    PNG,
    REFUSE,
    SAY_LONG,
    STOP,
    SYSTEM,
    THOUGHT,
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

MODEL = "claude-sonnet-4-5"
# It takes a budget, as those before it do, and finds its own, as those after it do.
THINKER = "claude-opus-4-6"
MESSAGES = [{"role": "user", "content": "Hello, you"}]

client = anthropic.Anthropic(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20)


def ask(content="Hello, you", **more):
    settings = {"model": MODEL, "max_tokens": 100, **more}
    return client.messages.create(messages=[{"role": "user", "content": content}], **settings)


def text_of(message):
    return "".join(block.text for block in message.content if block.type == "text")


@check
def a_message_gets_the_answer():
    answer = client.messages.create(model=MODEL, max_tokens=100, messages=MESSAGES)
    same("text", "".join(block.text for block in answer.content), ANSWER)
    same("stop reason", answer.stop_reason, "end_turn")
    same("output tokens", answer.usage.output_tokens, WORDS)


@check
def a_streamed_message_gets_the_answer():
    events = list(client.messages.create(model=MODEL, max_tokens=100, messages=MESSAGES, stream=True))
    deltas = [event.delta.text for event in events if event.type == "content_block_delta"]
    same("text", "".join(deltas), ANSWER)
    same("first event", events[0].type, "message_start")
    same("last event", events[-1].type, "message_stop")


@check
def the_stream_helper_puts_the_answer_together():
    with client.messages.stream(model=MODEL, max_tokens=100, messages=MESSAGES) as stream:
        same("text", "".join(stream.text_stream), ANSWER)
        final = stream.get_final_message()
    same("stop reason", final.stop_reason, "end_turn")
    same("output tokens", final.usage.output_tokens, WORDS)


@check
def a_limit_cuts_the_answer():
    answer = client.messages.create(model=MODEL, max_tokens=2, messages=MESSAGES)
    same("text", answer.content[0].text, " ".join(ANSWER.split()[:2]))
    same("stop reason", answer.stop_reason, "max_tokens")


@check
def tokens_are_counted():
    count = client.messages.count_tokens(model=MODEL, messages=MESSAGES)
    same("counted", count.input_tokens > 0, True)


@check
def models_are_listed():
    same("known", MODEL in [model.id for model in client.models.list()], True)


@check
def a_long_answer_comes_whole():
    messages = [{"role": "user", "content": SAY_LONG}]
    answer = client.messages.create(model=MODEL, max_tokens=8192, messages=messages)
    same("text", text_of(answer), LONG)
    with client.messages.stream(model=MODEL, max_tokens=8192, messages=messages) as stream:
        same("streamed", "".join(stream.text_stream), LONG)


@check
def a_system_prompt_arrives_as_text_or_blocks():
    marked = {"type": "text", "text": SYSTEM, "cache_control": {"type": "ephemeral"}}
    for system in (SYSTEM, [marked]):
        same("text", text_of(ask(system=system)), f"{SYSTEM} {ANSWER}")


@check
def all_turns_arrive():
    messages = [
        {"role": role, "content": text} for role, text in zip(("user", "assistant", "user"), TURNS)
    ]
    answer = client.messages.create(model=MODEL, max_tokens=100, system=SYSTEM, messages=messages)
    same("text", text_of(answer), f"{SYSTEM} {ANSWER}")
    same("input tokens", answer.usage.input_tokens, tokens_of(SYSTEM, *TURNS))


@check
def turns_of_one_role_are_one():
    messages = [{"role": "user", "content": text} for text in TURNS]
    same("text", text_of(client.messages.create(model=MODEL, max_tokens=100, messages=messages)), ANSWER)


@check
def images_are_seen():
    sources = [{"type": "base64", "media_type": "image/png", "data": PNG}, {"type": "url", "url": IMAGE_URL}]
    content = [{"type": "image", "source": source} for source in sources]
    content.append({"type": "text", "text": "Look"})
    text = text_of(ask(content))
    has("text", text, "saw 2 image(s)")
    ends_with("text", text, ANSWER)


@check
def stop_sequences_stop():
    answer = ask(stop_sequences=["never said", STOP])
    with client.messages.stream(
        model=MODEL, max_tokens=100, messages=MESSAGES, stop_sequences=["never said", STOP]
    ) as stream:
        streamed = stream.get_final_message()
    for message in (answer, streamed):
        same("text", text_of(message), BEFORE_STOP)
        # Without the name it could be any end.
        if can("stop_name"):
            same("stop reason", (message.stop_reason, message.stop_sequence), ("stop_sequence", STOP))


@check
def a_refusal_is_told():
    with client.messages.stream(
        model=MODEL, max_tokens=100, messages=[{"role": "user", "content": REFUSE}]
    ) as stream:
        streamed = stream.get_final_message()
    for message in (ask(REFUSE), streamed):
        same("stop reason", message.stop_reason, "refusal")


@check
def json_follows_its_schema():
    settings = {"model": MODEL, "max_tokens": 1000, "messages": MESSAGES}
    answer = client.messages.parse(**settings, output_format=Weather)
    same("parsed", answer.parsed_output, Weather(**WEATHER))
    with client.messages.stream(**settings, output_format=Weather) as stream:
        same("streamed", stream.get_final_message().parsed_output, Weather(**WEATHER))


@check
def sampling_is_taken():
    # The SDK has no names for these any more, its users do.
    same("text", text_of(ask(extra_body={"temperature": 0.5}, metadata={"user_id": "me"})), ANSWER)


THINKING = {"type": "enabled", "budget_tokens": 1024}


def thoughts_of(message):
    return [block.thinking for block in message.content if block.type == "thinking"]


@check
def thinking_is_asked_for():
    for thinking in (THINKING, {"type": "adaptive"}):
        settings = {"model": THINKER, "max_tokens": 2000, "messages": MESSAGES, "thinking": thinking}
        whole = client.messages.create(**settings)
        with client.messages.stream(**settings) as stream:
            streamed = stream.get_final_message()
        for message in (whole, streamed):
            same("text", text_of(message), ANSWER)
            same("output tokens", message.usage.output_tokens, WORDS + THOUGHT_WORDS)
            same("thought tokens", message.usage.output_tokens_details.thinking_tokens, THOUGHT_WORDS)
            if can("thoughts"):
                same("thoughts", thoughts_of(message), [THOUGHT])
            if can("thoughts") and can("signatures"):
                same("signed", bool(message.content[0].signature), True)


@needs("thoughts")
def a_thought_may_be_sent_back():
    first = ask(model=THINKER, max_tokens=2000, thinking=THINKING)
    content = [block.model_dump(exclude_none=True) for block in first.content]
    messages = [*MESSAGES, {"role": "assistant", "content": content}, *MESSAGES]
    again = client.messages.create(model=THINKER, max_tokens=2000, thinking=THINKING, messages=messages)
    same("text", text_of(again), ANSWER)


@needs("prefill")
def what_the_client_began_is_gone_on_from():
    begun, rest = ANSWER[:20], ANSWER[20:]
    messages = [*MESSAGES, {"role": "assistant", "content": begun}]
    same("text", text_of(client.messages.create(model=MODEL, max_tokens=100, messages=messages)), rest)
