"""What the SDK scripts share: where to call, how a check is told, what is asked and what should come back.

Each script is called with BASE_URL (without a version), API_KEY and ANSWER in its environment,
prints one line per check and ends with 1 if any failed. LACKS names what the provider behind
a gateway can't do or can't say; checks that need it are left out, or expect less:

    embeddings      vectors for texts
    responses       OpenAI's second endpoint
    choices         several answers to one question
    single_call     a bound of one tool call per answer
    loose_json      JSON without a schema
    stop_name       which stop sequence ended an answer
    thoughts        the text of a thought
    signatures      a signature on a thought, and not on what comes of it
    refusals        words for why the model doesn't answer
    open_thoughts   the text of a thought that nobody has asked to see
    failures        all that was said, where the provider breaks off
    everything      every event of the Responses API that there is for what is served
    prefill         going on from what the client has put into the mouth of the model
"""

import math
import os
import sys
import traceback
from typing import Literal

from pydantic import BaseModel

# No proxy may stand between a test and loopback.
for variable in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
    os.environ.pop(variable, None)
    os.environ.pop(variable.lower(), None)

BASE_URL = os.environ["BASE_URL"]
API_KEY = os.environ["API_KEY"]
ANSWER = os.environ["ANSWER"]
WORDS = len(ANSWER.split())
LACKS = os.environ.get("LACKS", "").split()

# What the simulated model says and thinks; see src/simulator/turn.rs.
THOUGHT = "The words are in order."
THOUGHT_WORDS = len(THOUGHT.split())
SYSTEM = "You are terse. echo-system"
# In three turns, so that all that was said before has to arrive for the count of tokens to be right.
TURNS = ["Hello, you", "Hello, too", "And now?"]
REFUSE = "Please refuse"
REFUSAL = "I can't help with that."
CALL_BOTH = "Please call get_weather and get_time."
CALL_ONE = "Please call get_weather."
RESULTS = {"get_weather": "sunny, 21 degrees", "get_time": "half past nine"}
STOP = "candle"
BEFORE_STOP = ANSWER.split(STOP)[0]
TIMES = 50
LONG = " ".join([ANSWER] * TIMES)
SAY_LONG = f"Say it {TIMES} times"

# One red pixel.
PNG = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
)
IMAGE_URL = "https://127.0.0.1/red.png"

# Models that fail in a way of their own; see src/simulator/scenarios/table.rs.
CONTEXT_LENGTH = "fault-s12"
UNKNOWN = "fault-404-model"
THROTTLED = "fault-s02"
BROKEN = "fault-s16"


class Spot(BaseModel):
    """A place within a city."""

    name: str


class Weather(BaseModel):
    """What tools take and what JSON has: text, a number, a choice, and an object that is referred to."""

    city: str
    days: int
    unit: Literal["celsius", "kelvin"]
    spot: Spot


WEATHER = {"city": "acorn", "days": 7, "unit": "celsius", "spot": {"name": "acorn"}}
ZONE_SCHEMA = {
    "type": "object",
    "properties": {"zone": {"type": "string", "description": "Such as UTC"}},
    "required": ["zone"],
}
ZONE = {"zone": "acorn"}
# The tools, their parameters, and what they are called with.
TOOLS = {
    "get_weather": ("The weather in a city.", Weather.model_json_schema(), WEATHER),
    "get_time": ("The time in a zone.", ZONE_SCHEMA, ZONE),
}

_checks = []


class Different(Exception):
    """A check saw something else than it expected."""


def check(function):
    """Marks a function as a check. Its name, read as a sentence, says what should hold."""
    _checks.append(function)
    return function


def needs(ability):
    """Marks a function as a check of something that not every provider can do."""
    return check if can(ability) else lambda function: function


def same(what, got, expected):
    """Fails the check unless both are equal."""
    if got != expected:
        raise Different(f"{what}: expected {expected!r}, got {got!r}")


def can(ability):
    """Whether the provider has an ability: what LACKS doesn't name."""
    return ability not in LACKS


def ends_with(what, got, expected):
    """Fails the check unless a text ends so."""
    if not (isinstance(got, str) and got.endswith(expected)):
        raise Different(f"{what}: expected to end with {expected!r}, got {got!r}")


def has(what, got, *expected):
    """Fails the check unless a text contains all of the others."""
    for part in expected:
        if not (isinstance(got, str) and part in got):
            raise Different(f"{what}: expected {part!r} to be in {got!r}")


def tokens_of(*texts):
    """The tokens that texts count as, taken together."""
    return max(1, math.ceil(sum(len(text.encode()) for text in texts) / 4))


def raises(kind, ask):
    """The error of that type that a call ends with; fails the check if there is none."""
    try:
        ask()
    except kind as error:
        return error
    raise Different(f"expected {kind.__name__}, got an answer")


def run():
    """Runs all checks in order, and ends the script."""
    failed = 0
    for function in _checks:
        name = function.__name__.replace("_", " ")
        try:
            function()
            print(f"ok      {name}", flush=True)
        except Different as difference:
            failed += 1
            print(f"FAILED  {name}: {difference}", flush=True)
        except Exception as error:  # noqa: BLE001 - whatever an SDK throws is a failed check
            failed += 1
            print(f"FAILED  {name}: {type(error).__name__}: {error}", flush=True)
            traceback.print_exc()
    sys.exit(1 if failed or not _checks else 0)
