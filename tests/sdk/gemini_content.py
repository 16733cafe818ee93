"""Google's Python SDK for Gemini: content without functions, tokens, embeddings, models."""

import base64
import json

from google import genai
from google.genai import types

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

MODEL = "gemini-2.5-flash"
# It thinks whether it is asked to or not.
THINKER = "gemini-2.5-pro"
QUESTION = "Hello, you"


def connect(key):
    options = types.HttpOptions(base_url=BASE_URL, timeout=20_000)
    return genai.Client(api_key=key, vertexai=False, http_options=options)


client = connect(API_KEY)


def ask(contents=QUESTION, model=MODEL, **settings):
    config = types.GenerateContentConfig(**settings)
    return client.models.generate_content(model=model, contents=contents, config=config)


def streamed(contents, model=MODEL, **settings):
    """The text, the parts and the last usage of a stream."""
    config = types.GenerateContentConfig(**settings)
    responses = list(client.models.generate_content_stream(model=model, contents=contents, config=config))
    parts = [part for response in responses for part in response.parts or []]
    text = "".join(part.text or "" for part in parts if not part.thought)
    return text, parts, responses[-1].usage_metadata


@check
def content_is_generated():
    answer = client.models.generate_content(model=MODEL, contents=QUESTION)
    same("text", answer.text, ANSWER)
    same("finish reason", answer.candidates[0].finish_reason, types.FinishReason.STOP)
    same("output tokens", answer.usage_metadata.candidates_token_count, WORDS)


@check
def content_is_streamed():
    parts = list(client.models.generate_content_stream(model=MODEL, contents=QUESTION))
    same("text", "".join(part.text or "" for part in parts), ANSWER)
    same("finish reason", parts[-1].candidates[0].finish_reason, types.FinishReason.STOP)
    same("output tokens", parts[-1].usage_metadata.candidates_token_count, WORDS)


@check
def a_limit_cuts_the_answer():
    settings = types.GenerateContentConfig(max_output_tokens=2)
    answer = client.models.generate_content(model=MODEL, contents=QUESTION, config=settings)
    same("text", answer.text, " ".join(ANSWER.split()[:2]))
    same("finish reason", answer.candidates[0].finish_reason, types.FinishReason.MAX_TOKENS)


@check
def tokens_are_counted():
    count = client.models.count_tokens(model=MODEL, contents=QUESTION)
    same("counted", count.total_tokens > 0, True)


@needs("embeddings")
def texts_are_embedded_in_order():
    model = "gemini-embedding-001"
    embedded = [
        client.models.embed_content(model=model, contents=contents).embeddings
        for contents in (["one", "two"], ["two"])
    ]
    same("counts", [len(embeddings) for embeddings in embedded], [2, 1])
    same("vector of one text", embedded[0][1].values, embedded[1][0].values)
    same("different texts", embedded[0][0].values == embedded[0][1].values, False)


@check
def models_are_listed():
    names = [model.name.removeprefix("models/") for model in client.models.list()]
    same("known", MODEL in names, True)


@check
def a_long_answer_comes_whole():
    same("text", client.models.generate_content(model=MODEL, contents=SAY_LONG).text, LONG)
    same("streamed", streamed(SAY_LONG)[0], LONG)


@check
def a_system_prompt_arrives():
    same("text", ask(system_instruction=SYSTEM).text, f"{SYSTEM} {ANSWER}")


@check
def all_turns_arrive():
    contents = [
        types.Content(role=role, parts=[types.Part(text=text)])
        for role, text in zip(("user", "model", "user"), TURNS)
    ]
    answer = ask(contents, system_instruction=SYSTEM)
    same("text", answer.text, f"{SYSTEM} {ANSWER}")
    usage = answer.usage_metadata
    same("input tokens", usage.prompt_token_count, tokens_of(SYSTEM, *TURNS))
    same("all tokens", usage.total_token_count, usage.prompt_token_count + usage.candidates_token_count)


@check
def a_chat_keeps_its_turns():
    chat = client.chats.create(model=MODEL)
    for _ in range(2):
        same("text", chat.send_message(QUESTION).text, ANSWER)
    same("turns", len(chat.get_history()), 4)


@check
def images_are_seen():
    contents = [
        types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png"),
        types.Part.from_uri(file_uri=IMAGE_URL, mime_type="image/png"),
        "Look",
    ]
    text = ask(contents).text
    has("text", text, "saw 2 image(s)")
    ends_with("text", text, ANSWER)


@check
def stop_sequences_stop():
    answer = ask(stop_sequences=["never said", STOP])
    same("text", answer.text, BEFORE_STOP)
    same("finish reason", answer.candidates[0].finish_reason, types.FinishReason.STOP)
    same("streamed", streamed(QUESTION, stop_sequences=[STOP])[0], BEFORE_STOP)


@check
def a_refusal_is_told():
    config = types.GenerateContentConfig()
    parts = list(client.models.generate_content_stream(model=MODEL, contents=REFUSE, config=config))
    for answer in (ask(REFUSE), parts[-1]):
        same("finish reason", answer.candidates[0].finish_reason, types.FinishReason.SAFETY)


@check
def sampling_is_taken():
    same("text", ask(temperature=0.5, max_output_tokens=60).text, ANSWER)


@check
def json_follows_its_schema():
    schemas = {"response_schema": Weather}, {"response_json_schema": Weather.model_json_schema()}
    for schema in schemas:
        settings = {"response_mime_type": "application/json", **schema}
        same("text", json.loads(ask(**settings).text), WEATHER)
        same("streamed", json.loads(streamed(QUESTION, **settings)[0]), WEATHER)
    parsed = ask(response_mime_type="application/json", response_schema=Weather).parsed
    same("parsed", parsed, Weather(**WEATHER))


@needs("loose_json")
def json_needs_no_schema():
    answer = ask("Some JSON, please", response_mime_type="application/json")
    same("keys", list(json.loads(answer.text)), ["answer"])


@check
def thinking_is_asked_for():
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    whole = ask(model=THINKER, thinking_config=thinking)
    text, parts, usage = streamed(QUESTION, THINKER, thinking_config=thinking)
    same("streamed", text, ANSWER)
    for text, parts, usage in [
        (whole.text, whole.candidates[0].content.parts, whole.usage_metadata),
        (text, parts, usage),
    ]:
        same("text", text, ANSWER)
        counted = (usage.candidates_token_count or 0) + (usage.thoughts_token_count or 0)
        same("output tokens", counted, WORDS + THOUGHT_WORDS)
        same("thought tokens", usage.thoughts_token_count, THOUGHT_WORDS)
        if can("thoughts"):
            same("thought", "".join(part.text for part in parts if part.thought), THOUGHT)
            same("signed", any(part.thought_signature for part in parts), True)
