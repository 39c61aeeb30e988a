"""Question -> plan -> evidence -> answer. `Reasoner` is the way in; memory stays behind the `Retriever` protocol."""

from reverie.reasoning.calibration import Calibration, Example, fit
from reverie.reasoning.fact_reader import OpenAIFactReader
from reverie.reasoning.grammar import QuestionKind
from reverie.reasoning.inquiry import ReasonerConfig
from reverie.reasoning.note_reader import OpenAINoteReader
from reverie.reasoning.question import Question, parse
from reverie.reasoning.reader import Evidence, OpenAIReader, Reader, ReaderConfig, ReaderError, Reading
from reverie.reasoning.reasoner import Reasoner
from reverie.reasoning.retriever import LabelCount, Retriever
from reverie.reasoning.senses import EMBEDDED_MISSING, Senses

__all__ = [
    "EMBEDDED_MISSING",
    "Calibration",
    "Evidence",
    "Example",
    "LabelCount",
    "OpenAIFactReader",
    "OpenAINoteReader",
    "OpenAIReader",
    "Question",
    "QuestionKind",
    "Reader",
    "ReaderConfig",
    "ReaderError",
    "Reading",
    "Reasoner",
    "ReasonerConfig",
    "Retriever",
    "Senses",
    "fit",
    "parse",
]
