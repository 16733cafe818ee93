"""Anthropic's Python SDK: errors by their classes."""

import anthropic

from anthropic_messages import MESSAGES, MODEL, ask, client
from checks import BROKEN, CONTEXT_LENGTH, THROTTLED, UNKNOWN, check, raises, same


def kind_of(error):
    return error.body["error"]["type"]


@check
def a_wrong_key_is_an_authentication_error():
    # The SDK sends the key in one header, older ones in the other.
    stranger = client.with_options(api_key="wrong")
    error = raises(
        anthropic.AuthenticationError,
        lambda: stranger.messages.create(model=MODEL, max_tokens=100, messages=MESSAGES),
    )
    same("type", kind_of(error), "authentication_error")


@check
def a_bad_request_is_a_bad_request_error():
    for messages in ([], [{"role": "nobody", "content": "Hello"}]):
        error = raises(
            anthropic.BadRequestError,
            lambda messages=messages: client.messages.create(model=MODEL, max_tokens=9, messages=messages),
        )
        same("type", kind_of(error), "invalid_request_error")


# The error for each model, whole and as a stream.
ERRORS = {
    CONTEXT_LENGTH: (anthropic.BadRequestError, "invalid_request_error"),
    UNKNOWN: (anthropic.NotFoundError, "not_found_error"),
    THROTTLED: (anthropic.RateLimitError, "rate_limit_error"),
    BROKEN: (anthropic.InternalServerError, "api_error"),
}


@check
def each_error_has_its_class():
    for model, (kind, name) in ERRORS.items():
        for stream in (False, True):
            error = raises(kind, lambda model=model, stream=stream: ask(model=model, stream=stream))
            same(f"type of {model}", kind_of(error), name)
