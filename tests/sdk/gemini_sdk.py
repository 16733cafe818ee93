"""Google's Python SDK for Gemini: content, functions, thoughts, tokens, embeddings, models, errors."""

import gemini_content  # noqa: F401 - its checks
import gemini_tools  # noqa: F401
import gemini_errors  # noqa: F401 - last: a provider may be left alone after errors
from checks import run

run()
