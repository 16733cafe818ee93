"""Google's Python SDK for Gemini: errors by their codes."""

from google.genai import errors

from checks import BROKEN, CONTEXT_LENGTH, THROTTLED, UNKNOWN, check, raises, same
from gemini_content import MODEL, QUESTION, client, connect


@check
def a_wrong_key_is_a_client_error():
    # Held by a name: the SDK closes a client that nobody holds.
    stranger = connect("wrong")
    error = raises(
        errors.ClientError, lambda: stranger.models.generate_content(model=MODEL, contents=QUESTION)
    )
    same("code", error.code in (400, 401, 403), True)


@check
def a_bad_request_is_an_invalid_argument():
    contents = [{"role": "nobody", "parts": [{"text": QUESTION}]}]
    error = raises(
        errors.ClientError, lambda: client.models.generate_content(model=MODEL, contents=contents)
    )
    same("error", (error.code, error.status), (400, "INVALID_ARGUMENT"))


# The error for each model, whole and as a stream.
ERRORS = {
    CONTEXT_LENGTH: (errors.ClientError, 400, "INVALID_ARGUMENT"),
    UNKNOWN: (errors.ClientError, 404, "NOT_FOUND"),
    THROTTLED: (errors.ClientError, 429, "RESOURCE_EXHAUSTED"),
    BROKEN: (errors.ServerError, 500, "INTERNAL"),
}


@check
def each_error_has_its_code():
    for model, (kind, *expected) in ERRORS.items():
        settings = {"model": model, "contents": QUESTION}
        for ask in (
            lambda settings=settings: client.models.generate_content(**settings),
            lambda settings=settings: list(client.models.generate_content_stream(**settings)),
        ):
            error = raises(kind, ask)
            same(f"error of {model}", [error.code, error.status], expected)
