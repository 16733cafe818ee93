"""Anthropic's Python SDK: messages, tokens, models, errors."""

import anthropic

from checks import ANSWER, API_KEY, BASE_URL, WORDS, check, run, same

MODEL = "claude-sonnet-4-5"
MESSAGES = [{"role": "user", "content": "Hello, you"}]

client = anthropic.Anthropic(base_url=BASE_URL, api_key=API_KEY, max_retries=0, timeout=20)


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
def a_wrong_key_is_an_authentication_error():
    stranger = client.with_options(api_key="wrong")
    try:
        stranger.messages.create(model=MODEL, max_tokens=100, messages=MESSAGES)
    except anthropic.AuthenticationError as error:
        same("type", error.body["error"]["type"], "authentication_error")
    else:
        same("error", None, "AuthenticationError")


@check
def a_bad_request_is_a_bad_request_error():
    try:
        client.messages.create(model=MODEL, max_tokens=100, messages=[])
    except anthropic.BadRequestError as error:
        same("type", error.body["error"]["type"], "invalid_request_error")
    else:
        same("error", None, "BadRequestError")


run()
