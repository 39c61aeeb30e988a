"""The patterns by which questions are read: politeness, heads, senses, clauses, and words that carry no content.

All work on plain lower-case text without contractions (`question.py`). A list of words is written as
one string, "_" standing for a space inside an entry; entries are regular expressions.
"""

from __future__ import annotations

import re
from enum import StrEnum


class QuestionKind(StrEnum):
    """What an answer has to do."""

    NOW = "now"  # describe the newest seconds
    WHEN = "when"  # find the moment
    WHAT = "what"  # say what was perceived, or what answers the content
    WHO = "who"
    SAID = "said"  # quote speech
    WRITTEN = "written"  # quote text on screen
    WHERE = "where"  # place in the picture, or the scene
    IS_THERE = "is there"  # yes or no, with the time
    ORDER = "order"  # compare two spans
    HOW_MANY = "how many"  # count
    DURATION = "duration"  # measure
    SUMMARY = "summary"  # tell what happened


def any_of(text: str) -> str:
    """A group that matches any entry of a list."""
    return "(?:" + "|".join(entry.replace("_", " ") for entry in text.split()) + ")"


AUX = any_of("is are was were did do does has have had can could will would should must may might shall")
ASKING = any_of("what when where who how which")

CONTRACTIONS = tuple(
    (re.compile(pattern), full)
    for pattern, full in (
        (r"\bcan't\b|\bcannot\b", "can not"),
        (r"\bwon't\b", "will not"),
        (r"(\w+)n't\b", r"\1 not"),
        (r"\b(what|who|where|when|how|that|there|it|he|she|which)'?s\b(?= )", r"\1 is"),
        (r"\b(what|who|where|when|how|there)'d\b", r"\1 did"),
        (r"\b(they|we|you|what|who|there|where)'re\b", r"\1 are"),
        (r"\b(i|you|we|they)'ve\b", r"\1 have"),
        (r"\bi'm\b", "i am"),
    )
)

# "Hey, can you please tell me whether ..."
POLITE = re.compile(
    rf"^(?:{any_of('hey hi hello ok okay so and well um uh please reverie now_then')}[ ,]+)*"
    rf"(?:{any_of('can could would will')} you (?:please )?"
    rf"(?={any_of('tell show find say look search check describe summari list count give recall remember')})"
    r"|(?:please|kindly) "
    r"|i (?:want|would like|need|wish) to (?:know|see|find out) |i wonder "
    rf"|do you (?:know|remember|recall|happen to know) (?=if |whether |anyone|{ASKING})"
    r"|(?:do|can) you (?:remember|recall) )?"
    rf"(?:please )?(?:tell me (?:please )?(?!about)|show me (?={ASKING})|say (?={ASKING}))?"
    r"(?:if |whether )?(?:please )?"
)
# "... in the video, please", "..., left or right"
_SIDES = "(?:left|right|top|bottom|up|down)"
TAIL = re.compile(
    rf"[ ,]*, ?(?:on )?(?:the )?{_SIDES} or (?:on )?(?:the )?{_SIDES}[ ?!.,]*$|"
    r"[ ,]*\b(?:please|thanks|thank you|so far|until now|up to now|by now"
    r"|at (?:any|some) (?:time|point|moment)|any ?where|at all"
    r"|(?:in|on|during|throughout|of) (?:the|this|that|my) (?:whole |entire )?"
    r"(?:video|stream|clip|film|footage|recording|movie))[ ?!.,]*$"
)

# "until when", "by how many", "on which level": the preposition says nothing that the content does not
BEFORE_ASKING = re.compile(
    rf"^{any_of('by for in on at from until till to with under near since of through about')} (?={ASKING}\b)"
)
# "which platform does", "how heavy is": the kind of answer, which the evidence may not name
ANSWER_TYPE = re.compile(rf"^(?:which|what|how(?! (?:many|often|long)\b)) (?P<type>\w+(?: of \w+)?) (?={AUX}\b)")
HOW_MUCH = re.compile(rf"^how (?!many\b|often\b|long\b|come\b)\w+ {AUX}\b")
SUBJECT_SAYS = re.compile(r"^what (?:did|does|do|has) (?:the|a|an|that|this) [\w ]+? (?:say|said|says)\b(?! about)")

# --- the senses that words name -----------------------------------------------------------------

SPEECH = re.compile(
    r"\b"
    + any_of(
        "say says said saying spoke speaks? spoken speaking talk(?:s|ed|ing)? mention(?:s|ed|ing)? tells? told hear "
        "heard utter(?:ed|s)? voices? speaker narrator announce[sd]? announcement discuss(?:ed|es|ing)? quote "
        "conversation speech"
    )
    + r"\b"
)
_CARRIERS = "(?:sign|screen|slide|banner|label|board|poster|caption|title|text)s?"
SCREEN_SAYS = re.compile(rf"\b{_CARRIERS} (?:say|says|said|read|reads)\b")
WRITING = re.compile(
    r"\b"
    + any_of(
        "written writing wrote captions? captioned texts? titles? subtitles? letters headline inscription words_on "
        "label_says signs?(?=_(?:with|that|say|saying|reading)) on[-_]screen_text "
        "read(?:s|ing)?(?=_on|_off|_on-screen) what_(?:does|did)_(?:it|the_\\w+)_read"
    )
    + rf"\b|\b{_CARRIERS} (?:show|shows)\b"
)
SEE = re.compile(
    r"\b"
    + any_of(
        "see sees saw seen seeing shown shows? showed appear(?:s|ed|ing)? visible looks?_like looking picture camera "
        "(?:in|into)_view watch(?:ed)? visual scene pass(?:es|ed|ing)?_by come_into came_into on_(?:the_)?screen "
        "leave_the_(?:frame|picture)"
    )
    + r"\b"
)
MUSIC = re.compile(r"\b(?:music|songs?|singing|sing|sang|sung|tune|melody)\b")
NOT_MUSIC = re.compile(r"\b(?:say|said|says|mention(?:ed)?|about|written|caption|text)\b")
UTTERED = re.compile(r"\b(?:say|said|heard|hear)\b")
CARRIER = re.compile(rf"(?:(?:the|a|on|{_CARRIERS})\b ?)*")
ANYONE = re.compile(r"\b(?:anyone|anybody|someone|somebody|nobody|no one|people)\b")
EXISTS = re.compile(r"^(?:is|are|was|were|will) (?:not )?there\b")  # short: of sight, unless it says otherwise
PRESENT = re.compile(
    r"^what (?:do|can|are) you (?:see|hear|seeing|hearing|looking)"
    r"|^what (?:is|are) (?:going on|happening|in front of)"
    r"|^what is (?:on|in) (?:the )?(?:screen|picture|camera|view|frame)"
)

# --- how each kind begins; the first that matches wins ------------------------------------------

_MOMENTS = any_of("moments? times? parts? scenes? places? points? spots? clips?")
_FILMS = any_of("video stream clip film movie recording")
_K = QuestionKind
HEADS: tuple[tuple[QuestionKind, re.Pattern[str]], ...] = tuple(
    (kind, re.compile("|".join(f"^{pattern}" for pattern in patterns)))
    for kind, patterns in (
        (
            _K.DURATION,
            (
                r"(?:for |about )?how long\b",
                r"for how (?:long|many (?:seconds|minutes))\b",
                r"how many (?:seconds|minutes|hours)\b",
                r"(?:what|how much) (?:is|was) the (?:length|duration) of\b",
                r"how much time\b",
                r"what (?:length|duration)\b",
            ),
        ),
        (
            _K.HOW_MANY,
            (
                r"how many\b",
                r"how often\b",
                r"count(?: up)?\b",
                r"(?:what|tell me|give me)?(?: (?:is|was))?(?: ?the)? ?(?:total )?number of\b",
            ),
        ),
        (
            _K.WHEN,
            (
                r"(?:at|about|around|since|until|from)? ?(?:what|which) "
                r"(?:times?|points?|moments?|timestamps?|minute|second)(?: in time)?\b(?! is it)",
                r"(?:since |until )?when\b",
                r"how (?:far|late|early) (?:in|into)\b",
                r"(?:give me |what (?:is|was|are) |tell me )?(?:the )?(?:times?|timestamps?|moments?|point) "
                r"(?:when|where|at which|of|that|for)\b",
                rf"{any_of('find show search locate look jump go get bring play seek')}\b(?: me| up| for| to| back)*"
                rf"(?: the| a| any| all)?(?: ?{_MOMENTS}\b)?(?: when| where| that| with| of| in which)?",
            ),
        ),
        (
            _K.SUMMARY,
            (
                rf"what (?:has |have )?{any_of('happen(?:ed|s)? did_happen took_place went_on was_going_on')}\b",
                r"what (?:did i miss|have i missed|was happening)\b",
                r"(?:give (?:me )?(?:a |the )?)?(?:short |brief |quick )?"
                rf"{any_of('summary summari[sz]e recap overview describe description')}\b",
                rf"what (?:is|was) (?:(?:the|this|that) {_FILMS}|it|this) about\b",
                r"tell me (?:about|what happened)\b",
            ),
        ),
        (_K.WHO, (r"(?:who|whose|whom)\b", r"(?:which|what) (?:person|speaker|man|woman)\b")),
        (
            _K.WHERE,
            (
                r"where\b",
                r"(?:in )?(?:what|which) (?:part|side|corner|area|position|place|location) (?:of|on|in|was|is)\b",
                r"on (?:what|which) side\b",
            ),
        ),
        (_K.IS_THERE, (rf"(?:{AUX}|any|was not|ever)\b",)),
    )
)
OPEN_HEAD = re.compile(r"^(?:what|which|why|how|list|name|read|quote|repeat|say|hear|whatever)\b")
OPEN_HEAD_WORDS = re.compile(r"^(?:what|which|why|how|list|name|read|quote|repeat|whatever)(?: all| out)?\b")

# --- two things compared, and clauses that hang on another moment -------------------------------

FIRST_OF = re.compile(
    r"^(?:which|what|who|whom)?\b(?P<pre>.*?)\b(?P<rel>first|earlier|earliest|sooner|last|later|latest)\b"
    r"[ ,:;\-]*(?P<post>.*)$"
)
BEFORE_AFTER = re.compile(
    rf"(?P<a>.+?) (?:{any_of('happen come came appear occur shown seen said start')}\w* )?"
    r"(?:before or after|after or before|earlier or later than) (?P<b>.+)"
)
YES_NO_ORDER = re.compile(
    rf"^{AUX}\b (?P<a>.+?) (?P<rel>before|after|earlier than|later than|prior to|sooner than)\b (?P<b>.+)$"
)
_CLOSE = r"(?P<close>right|just|immediately|directly|shortly|soon)?"
RELATION = re.compile(
    rf"[ ,]+{_CLOSE} ?\b(?P<rel>while|whilst|when|during|before|prior to|after|once|as soon as|following|since|until"
    r"|till|at the (?:same )?(?:time|moment) (?:that|when|as|of))\b (?P<rest>.+)$"
)
LEADING_RELATION = re.compile(
    rf"^{_CLOSE} ?\b(?P<rel>while|whilst|when|during|before|after|once|since|until|till)\b (?P<rest>.+?), (?P<main>.+)$"
)
BEGINS = re.compile(r" (?:has |had )?(?:start(?:s|ed)?|begins?|began|begun|came on)$")
ENDS = re.compile(r" (?:has |had )?(?:end(?:s|ed)?|stop(?:s|ped)?|finish(?:es|ed)?|is over|was over|went off)$")
NO_MAIN = re.compile(r"(?:show me|find|tell me|the|exactly)(?: the)?(?: moment| time| part| scene)?")

# --- words around the content of a phrase -------------------------------------------------------

FRONT = re.compile(
    rf"^(?:{AUX}|"
    + any_of(
        "one not there anyone anybody someone somebody everyone he she they it we i you ever any some a an the this "
        "that these those of about for to me be been being say says said saying mention(?:s|ed)? talk(?:s|ed|ing)? "
        "speak spoke tell told hear heard see saw seen noticed? shows? shown appear words? phrase sentence line "
        "captions? text titles? subtitles? writing sign(?=_(?:with|that|say|saying|reading)) with reading saying "
        "anything voice something first last time times moments? things? kind sort type picture image sight view "
        f"speaker narrator (?:man|woman|person|people)_say {ASKING} many much often different distinct spot find "
        "looks? like on_(?:the_)?screen screen written and if whether get got happen(?:ed|s)? come came one by in on "
        "at as please true doing on_camera"
    )
    + r")\b[ ,:;\-]*"
)
BACK = re.compile(
    rf"[ ,:;\-]*\b(?:{AUX}|"
    + any_of(
        "be been being appear(?:s|ed|ing)? shown shows? showed showing seen see saw visible happen(?:s|ed|ing)? said "
        "says? spoken speak mentioned mention heard hear written read displayed? on_(?:the_)?screen on up there "
        "come_up came_up came comes? turn_up pass(?:es|ed)?(?:_by|_through)? first last again ever exist present "
        "occur(?:red|s)? things? begin began start(?:s|ed)? play(?:ed|ing)? in at about of for to the a an and or "
        "into_view in_(?:the_)?(?:picture|view|frame|image) get_mentioned located go(?:ing)?_on talked discussed "
        "you anyone it he she they altogether in_total total overall doing on_camera"
    )
    + r")[ ?!.,;:]*$"
)
# What a question asks of the past ("where were my keys before"): which value is meant, and nothing that was said.
PREVIOUSLY = re.compile(
    r"[ ,]*\b(?:(?:previously|formerly)\b|(?:before(?: (?:that|it changed|then|the change))?|earlier|in the past)$)"
)
ORIGINALLY = re.compile(r"[ ,]*\b(?:(?:originally|initially)\b|(?:at first|first)$)")
LAST_PLACE = re.compile(r"\b(?:on|in) (?:the )?(?:screen|picture|caption|text)$")
