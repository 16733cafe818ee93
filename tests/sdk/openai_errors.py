"""OpenAI's Python SDK: errors by their classes."""

import openai

from checks import BROKEN, CONTEXT_LENGTH, THROTTLED, UNKNOWN, check, raises, same
from openai_chat import MESSAGES, MODEL, client


def ask(model, **more):
    return client.chat.completions.create(model=model, messages=MESSAGES, **more)


@check
def a_wrong_key_is_an_authentication_error():
    stranger = client.with_options(api_key="wrong")
    error = raises(
        openai.AuthenticationError,
        lambda: stranger.chat.completions.create(model=MODEL, messages=MESSAGES),
    )
    same("status", error.status_code, 401)


@check
def a_bad_request_is_a_bad_request_error():
    for messages in ([], [{"role": "nobody", "content": "Hello"}]):
        error = raises(
            openai.BadRequestError,
            lambda messages=messages: client.chat.completions.create(model=MODEL, messages=messages),
        )
        same("type", error.type, "invalid_request_error")


@check
def a_prompt_that_is_too_long_is_a_bad_request_error():
    for stream in (False, True):
        error = raises(openai.BadRequestError, lambda stream=stream: ask(CONTEXT_LENGTH, stream=stream))
        same("code", error.code, "context_length_exceeded")


@check
def an_unknown_model_is_not_found():
    raises(openai.NotFoundError, lambda: ask(UNKNOWN))


@check
def too_many_requests_are_a_rate_limit_error():
    for stream in (False, True):
        raises(openai.RateLimitError, lambda stream=stream: ask(THROTTLED, stream=stream))


@check
def a_broken_provider_is_a_server_error():
    for stream in (False, True):
        raises(openai.InternalServerError, lambda stream=stream: ask(BROKEN, stream=stream))
