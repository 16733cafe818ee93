"""OpenAI's Python SDK: chat, responses, embeddings, models, errors."""

import openai

from checks import ANSWER, API_KEY, BASE_URL, WORDS, check, needs, run, same

MODEL = "gpt-4o-mini"
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
def a_response_gets_the_answer():
    answer = client.responses.create(model=MODEL, input="Hello, you")
    same("text", answer.output_text, ANSWER)
    same("status", answer.status, "completed")
    same("output tokens", answer.usage.output_tokens, WORDS)


@check
def a_streamed_response_gets_the_answer():
    text, last = "", None
    for event in client.responses.create(model=MODEL, input="Hello, you", stream=True):
        if event.type == "response.output_text.delta":
            text += event.delta
        last = event
    same("text", text, ANSWER)
    same("last event", last.type, "response.completed")
    same("text of the last event", last.response.output_text, ANSWER)


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


@check
def a_wrong_key_is_an_authentication_error():
    stranger = client.with_options(api_key="wrong")
    try:
        stranger.chat.completions.create(model=MODEL, messages=MESSAGES)
    except openai.AuthenticationError as error:
        same("status", error.status_code, 401)
    else:
        same("error", None, "AuthenticationError")


@check
def a_bad_request_is_a_bad_request_error():
    try:
        client.chat.completions.create(model=MODEL, messages=[])
    except openai.BadRequestError as error:
        same("type", error.type, "invalid_request_error")
    else:
        same("error", None, "BadRequestError")


run()
