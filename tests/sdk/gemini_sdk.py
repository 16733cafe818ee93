"""Google's Python SDK for Gemini: content, tokens, embeddings, models, errors."""

from google import genai
from google.genai import errors, types

from checks import ANSWER, API_KEY, BASE_URL, WORDS, check, needs, run, same

MODEL = "gemini-2.5-flash"
QUESTION = "Hello, you"


def connect(key):
    options = types.HttpOptions(base_url=BASE_URL, timeout=20_000)
    return genai.Client(api_key=key, vertexai=False, http_options=options)


client = connect(API_KEY)


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
def a_wrong_key_is_a_client_error():
    # Held by a name: the SDK closes a client that nobody holds.
    stranger = connect("wrong")
    try:
        stranger.models.generate_content(model=MODEL, contents=QUESTION)
    except errors.ClientError as error:
        same("code", error.code in (400, 401, 403), True)
    else:
        same("error", None, "ClientError")


run()
