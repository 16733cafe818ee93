"""OpenAI's Python SDK: chats, responses, embeddings, models, errors."""

import openai_chat  # noqa: F401 - its checks
import openai_chat_tools  # noqa: F401
from checks import can, run

if can("responses"):
    import openai_responses  # noqa: F401
import openai_errors  # noqa: F401 - last: a provider may be left alone after errors

run()
