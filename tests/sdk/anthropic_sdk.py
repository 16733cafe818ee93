"""Anthropic's Python SDK: messages, tools, thinking, tokens, models, errors."""

import anthropic_messages  # noqa: F401 - its checks
import anthropic_tools  # noqa: F401
import anthropic_errors  # noqa: F401 - last: a provider may be left alone after errors
from checks import run

run()
