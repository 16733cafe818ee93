"""Google's Python SDK for Gemini: content that calls functions."""

import base64

from google.genai import types

from checks import ANSWER, CALL_BOTH, CALL_ONE, PNG, RESULTS, TOOLS, WEATHER, check, ends_with, has, same
from gemini_content import THINKER, ask, streamed

# Parameters as JSON Schema, which have references, and in the vendor's own schema, which has none.
AS_JSON_SCHEMA = [
    types.FunctionDeclaration(name=name, description=about, parameters_json_schema=schema)
    for name, (about, schema, _) in TOOLS.items()
]
TEXT = types.Schema(type=types.Type.STRING)
OWN = types.FunctionDeclaration(
    name="get_weather",
    description="The weather in a city.",
    parameters=types.Schema(
        type=types.Type.OBJECT,
        properties={
            "city": TEXT,
            "days": types.Schema(type=types.Type.INTEGER, nullable=True),
            "unit": types.Schema(type=types.Type.STRING, format="enum", enum=["celsius", "kelvin"]),
            "spot": types.Schema(type=types.Type.OBJECT, properties={"name": TEXT}),
        },
        required=["city"],
    ),
)


def settings(functions=AS_JSON_SCHEMA, mode=None, allowed=None, **more):
    calling = types.FunctionCallingConfig(mode=mode, allowed_function_names=allowed)
    chosen = {"tool_config": types.ToolConfig(function_calling_config=calling)} if mode else {}
    return {"tools": [types.Tool(function_declarations=functions)], **chosen, **more}


def names(calls):
    return [call.name for call in calls or []]


def calls_in(parts):
    return [part.function_call for part in parts if part.function_call]


@check
def functions_are_called_in_parallel():
    whole = ask(CALL_BOTH, **settings())
    same("finish reason", whole.candidates[0].finish_reason, types.FinishReason.STOP)
    _, parts, _ = streamed(CALL_BOTH, **settings())
    for calls in (whole.function_calls, calls_in(parts)):
        same("names", names(calls), list(TOOLS))
        for call in calls:
            same("arguments", call.args, TOOLS[call.name][2])


@check
def parameters_may_be_in_the_vendors_own_schema():
    calls = ask(CALL_ONE, **settings([OWN])).function_calls
    same("arguments", [call.args for call in calls], [WEATHER])


def answered(parts):
    """The conversation after the functions have answered these parts."""
    responses = [
        types.Part(
            function_response=types.FunctionResponse(
                id=call.id, name=call.name, response={"result": RESULTS[call.name]}
            )
        )
        for call in calls_in(parts)
    ]
    return [
        types.Content(role="user", parts=[types.Part(text=CALL_BOTH)]),
        types.Content(role="model", parts=parts),
        types.Content(role="user", parts=responses),
    ]


@check
def what_the_functions_say_arrives():
    first = ask(CALL_BOTH, **settings())
    contents = answered(first.candidates[0].content.parts)
    text = ask(contents, **settings()).text
    has("text", text, *RESULTS.values())
    ends_with("text", text, ANSWER)
    same("streamed", streamed(contents, **settings())[0], text)


@check
def a_thought_goes_back_with_its_calls():
    thinking = types.ThinkingConfig(include_thoughts=True, thinking_budget=1024)
    _, parts, _ = streamed(CALL_BOTH, THINKER, **settings(thinking_config=thinking))
    same("names", names(calls_in(parts)), list(TOOLS))
    text = ask(answered(parts), THINKER, **settings(thinking_config=thinking)).text
    has("text", text, *RESULTS.values())


@check
def a_choice_rules_over_the_words():
    for mode, allowed, text, expected in [
        ("NONE", None, CALL_BOTH, []),
        ("ANY", None, "Hello, get_time", ["get_time"]),
        ("ANY", ["get_time"], CALL_ONE, ["get_time"]),
        ("AUTO", None, "Hello", []),
    ]:
        calls = ask(text, **settings(mode=mode, allowed=allowed)).function_calls
        same(f"{mode}", names(calls), expected)


@check
def images_and_functions_go_together():
    image = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")
    whole = ask([image, CALL_ONE], **settings())
    text, parts, _ = streamed([image, CALL_ONE], **settings())
    for text, calls in [
        ("".join(part.text or "" for part in whole.parts), whole.function_calls),
        (text, calls_in(parts)),
    ]:
        has("text", text, "saw 1 image(s)")
        same("names", names(calls), ["get_weather"])


@check
def functions_are_called_for_the_client_if_it_wants():
    def get_time(zone: str) -> str:
        """The time in a zone."""
        return f"it is late in {zone}"

    text = ask("Please call get_time.", tools=[get_time]).text
    has("text", text, "it is late in acorn")
